//! What does the database know about a batch of scans?

use std::collections::HashMap;

use crate::model::{
    Claims, DeviceId, DeviceStatus, Direction, Event, EventId, Gate, GateId, Headcount, Movement, Occupancy,
    OrganizationId, Recorded, ScanAnswer, ScanId, SessionId, TicketCode, TicketFacts, TicketId,
};

/// A session as the database has it: is it still on, and where?
#[derive(Debug, Clone, PartialEq)]
pub struct SessionFacts {
    /// Whether the session goes on.
    pub session_active: bool,
    /// Whether its device may call.
    pub device_status: DeviceStatus,
    /// The device's name.
    pub device_name: String,
    /// The event.
    pub event: Event,
    /// The gate.
    pub gate: Gate,
}

/// A scan that was recorded before under the same `scan_id`.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownScan {
    /// The device that scanned.
    pub device_id: DeviceId,
    /// The payload's SHA-256.
    pub payload_sha256: [u8; 32],
    /// Which way.
    pub direction: Direction,
    /// Whether it was undone.
    pub undone: bool,
    /// What it was answered; occupancy left at zero.
    pub answer: ScanAnswer,
}

impl KnownScan {
    /// What a scan of the same id gets.
    #[must_use]
    pub fn answer_to(&self, device: DeviceId, payload_sha256: &[u8; 32], direction: Direction) -> Recorded {
        let same =
            self.device_id == device && self.payload_sha256 == *payload_sha256 && self.direction == direction;
        if !same {
            Recorded::ScanIdReused
        } else if self.undone {
            Recorded::ScanUndone
        } else {
            Recorded::Replayed(Box::new(ScanAnswer {
                replayed: true,
                ..self.answer.clone()
            }))
        }
    }
}

/// What the database knows about a batch.
#[derive(Debug, Default)]
pub struct BatchFacts {
    /// Scans known by their ids.
    pub known_scans: HashMap<(OrganizationId, ScanId), KnownScan>,
    /// Sessions with their devices, events and gates.
    pub sessions: HashMap<(OrganizationId, SessionId), SessionFacts>,
    pub(super) tickets: HashMap<(OrganizationId, TicketId), TicketFacts>,
    codes: HashMap<(OrganizationId, TicketCode), TicketId>,
    /// People inside by gate, of every event that the batch scans for.
    pub inside: HashMap<(OrganizationId, EventId), HashMap<GateId, i64>>,
}

impl BatchFacts {
    /// Adds a ticket.
    pub fn add_ticket(&mut self, facts: TicketFacts) {
        let (organization, id) = (facts.ticket.organization_id, facts.ticket.id);
        self.codes.insert((organization, facts.ticket.code), id);
        self.tickets.insert((organization, id), facts);
    }

    pub(super) fn ticket_id(&self, organization: OrganizationId, claims: &Claims) -> Option<TicketId> {
        match claims.ticket_code {
            Some(code) => self.codes.get(&(organization, code)).copied(),
            None => claims
                .ticket_id
                .filter(|id| self.tickets.contains_key(&(organization, *id))),
        }
    }

    /// People inside at a gate and its event.
    #[must_use]
    pub fn occupancy(&self, event: &Event, gate: &Gate) -> Occupancy {
        let counts = self.inside.get(&(event.organization_id, event.id));
        let at_gate = counts.and_then(|gates| gates.get(&gate.id)).copied().unwrap_or(0);
        let at_event = counts.map_or(0, |gates| gates.values().sum());
        Occupancy {
            gate: Headcount {
                inside: at_gate,
                capacity: gate.capacity,
            },
            event: Headcount {
                inside: at_event,
                capacity: event.capacity,
            },
        }
    }

    pub(super) fn move_people(&mut self, organization: OrganizationId, event: EventId, movement: &Movement) {
        let gates = self.inside.entry((organization, event)).or_default();
        *gates.entry(movement.gate_id).or_default() += movement.entries - movement.exits;
    }
}

//! The facts of the database about a batch of scans.

use std::collections::HashMap;

use crate::model::{
    Claims, DeviceId, DeviceScope, DeviceStatus, Direction, Event, EventId, Gate, GateId, Headcount,
    Movement, Occupancy, OrganizationId, Recorded, ScanAnswer, ScanId, SessionId, TicketCode, TicketFacts,
    TicketId, Timestamp,
};

/// A session with its device, event and gate.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionFacts {
    /// Whether the session is active.
    pub session_active: bool,
    /// The status of the device.
    pub device_status: DeviceStatus,
    /// The device's scope.
    pub device_scope: DeviceScope,
    /// The device's name.
    pub device_name: String,
    /// The event.
    pub event: Event,
    /// The gate.
    pub gate: Gate,
    /// The time from which the event's present rules hold.
    pub rules_since: Timestamp,
}

/// A scan that is already recorded under a `scan_id`.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownScan {
    /// The device.
    pub device_id: DeviceId,
    /// The payload's SHA-256.
    pub payload_sha256: [u8; 32],
    /// The direction.
    pub direction: Direction,
    /// Whether it was undone.
    pub undone: bool,
    /// Its answer, with an occupancy of zero.
    pub answer: ScanAnswer,
}

impl KnownScan {
    /// The result of another scan with the same id.
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

/// The facts of the database about a batch.
#[derive(Debug, Default)]
pub struct BatchFacts {
    /// The recorded scans with ids of the batch.
    pub known_scans: HashMap<(OrganizationId, ScanId), KnownScan>,
    /// The sessions with their devices, events and gates.
    pub sessions: HashMap<(OrganizationId, SessionId), SessionFacts>,
    pub(super) tickets: HashMap<(OrganizationId, TicketId), TicketFacts>,
    codes: HashMap<(OrganizationId, TicketCode), TicketId>,
    /// The people inside by gate, for every event of the batch.
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

    /// The occupancy of a gate and its event.
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

    pub(super) fn apply_movement(
        &mut self,
        organization: OrganizationId,
        event: EventId,
        movement: &Movement,
    ) {
        let gates = self.inside.entry((organization, event)).or_default();
        *gates.entry(movement.gate_id).or_default() += movement.entries - movement.exits;
    }
}

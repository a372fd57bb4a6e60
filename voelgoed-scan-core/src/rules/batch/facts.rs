//! The facts of the database about a batch of scans.

use std::collections::HashMap;

use crate::model::{
    Attempt, Claims, DeviceId, DeviceScope, DeviceStatus, Direction, Event, EventId, Fingerprint, Gate,
    GateId, Headcount, Movement, Occupancy, OrganizationId, Recorded, ScanAnswer, ScanId, ScannedBy,
    SessionId, TicketCode, TicketFacts, TicketId, Timestamp,
};
use crate::rules::ScanDay;
use crate::rules::decision::claims_match;

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
    /// The event. It allows unsigned codes where the device may type codes that it found by a search.
    pub event: Event,
    /// The gate.
    pub gate: Gate,
    /// The time from which the event's present rules hold.
    pub rules_since: Timestamp,
    /// The start of the period in which people were counted at that time.
    pub counted_since: Timestamp,
}

/// A gate where somebody checks tickets in by hand, and its event.
#[derive(Debug, Clone, PartialEq)]
pub struct DeskFacts {
    /// The event.
    pub event: Event,
    /// The gate.
    pub gate: Gate,
    /// The time from which the event's present rules hold.
    pub rules_since: Timestamp,
    /// The start of the period in which people were counted at that time.
    pub counted_since: Timestamp,
}

impl DeskFacts {
    fn as_session(&self, name: &str) -> SessionFacts {
        SessionFacts {
            session_active: true,
            device_status: DeviceStatus::Active,
            device_scope: DeviceScope::default(),
            device_name: name.to_owned(),
            event: Event {
                allow_unsigned: true,
                ..self.event.clone()
            },
            gate: self.gate.clone(),
            rules_since: self.rules_since,
            counted_since: self.counted_since,
        }
    }
}

impl SessionFacts {
    /// The day of a scan at a time.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> ScanDay {
        ScanDay::new(self.event.day(at), self.rules_since, self.counted_since)
    }
}

/// The people inside by a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeopleCount {
    /// The start of the period in which they are counted.
    pub since: Timestamp,
    /// Entries minus exits.
    pub inside: i64,
}

impl PeopleCount {
    /// The people inside in the period that begins at `since`. Those of an earlier period have left.
    #[must_use]
    pub fn inside(&self, since: Timestamp) -> i64 {
        if self.since >= since { self.inside } else { 0 }
    }

    pub(crate) fn add_movement(&mut self, movement: &Movement) {
        if movement.since < self.since {
            return;
        }
        self.inside = self.inside(movement.since) + movement.entries - movement.exits;
        self.since = movement.since;
    }
}

/// A scan that is already recorded under a `scan_id`.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownScan {
    /// The device, or the API key of a check-in by hand.
    pub scanned_by: DeviceId,
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
    pub fn answer_to(&self, scanned_by: DeviceId, payload: &Fingerprint, direction: Direction) -> Recorded {
        let same = self.scanned_by == scanned_by
            && payload.is_of(&self.payload_sha256)
            && self.direction == direction;
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
    /// The gates of check-ins by hand.
    pub desks: HashMap<(OrganizationId, EventId, GateId), DeskFacts>,
    pub(super) tickets: HashMap<(OrganizationId, TicketId), TicketFacts>,
    codes: HashMap<(OrganizationId, TicketCode), TicketId>,
    /// The people inside by gate, for every event of the batch.
    pub inside: HashMap<(OrganizationId, EventId), HashMap<GateId, PeopleCount>>,
}

impl BatchFacts {
    /// Adds a ticket.
    pub fn add_ticket(&mut self, facts: TicketFacts) {
        let (organization, id) = (facts.ticket.organization_id, facts.ticket.id);
        self.codes.insert((organization, facts.ticket.code), id);
        self.tickets.insert((organization, id), facts);
    }

    /// The session of an attempt. A check-in by hand is decided as a scan of a device that may work at the gate, and that
    /// found the ticket by a search.
    pub(super) fn session_of(&self, attempt: &Attempt) -> Option<SessionFacts> {
        let organization = attempt.organization_id;
        match &attempt.scanned_by {
            ScannedBy::Device { session_id, .. } => self.sessions.get(&(organization, *session_id)).cloned(),
            ScannedBy::Desk { name, .. } => {
                let key = (organization, attempt.event_id, attempt.gate_id);
                self.desks.get(&key).map(|desk| desk.as_session(name))
            }
        }
    }

    pub(super) fn ticket_id(&self, organization: OrganizationId, claims: &Claims) -> Option<TicketId> {
        match claims.ticket_code {
            Some(code) => self.codes.get(&(organization, code)).copied(),
            None => claims
                .ticket_id
                .filter(|id| self.tickets.contains_key(&(organization, *id))),
        }
    }

    /// The ticket that verified claims name, if every claim about it matches.
    pub(super) fn ticket_of(&self, organization: OrganizationId, claims: &Claims) -> Option<&TicketFacts> {
        let id = self.ticket_id(organization, claims)?;
        let facts = self.tickets.get(&(organization, id))?;
        claims_match(claims, facts, organization).then_some(facts)
    }

    /// The occupancy of a session's gate and event on a day.
    #[must_use]
    pub fn occupancy(&self, session: &SessionFacts, day: ScanDay) -> Occupancy {
        let SessionFacts { event, gate, .. } = session;
        let counts = self.inside.get(&(event.organization_id, event.id));
        let inside = |count: &PeopleCount| count.inside(day.counted_since);
        let at_gate = counts.and_then(|gates| gates.get(&gate.id)).map_or(0, inside);
        let at_event = counts.map_or(0, |gates| gates.values().map(inside).sum());
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
        let none = PeopleCount {
            since: Timestamp::MIN,
            inside: 0,
        };
        gates
            .entry(movement.gate_id)
            .or_insert(none)
            .add_movement(movement);
    }
}

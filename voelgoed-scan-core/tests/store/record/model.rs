//! The oracle: the stored facts before a batch, and what `decide` makes of its attempts one after the other.

use std::collections::HashMap;

use voelgoed_scan_core::model::{
    Attempt, Claims, DeviceId, DeviceStatus, Direction, Event, Format, Gate, GateId, Headcount, Occupancy,
    Passage, Reason, Recorded, ResultCounts, ScanId, ScanResult, SessionId, SessionStatus, TicketCode,
    TicketFacts, Timestamp, Verification,
};
use voelgoed_scan_core::rules::{Allowance, ScanContext, ScanDay, can_be_overridden, decide};

use super::Setup;
use crate::fixture::{Fixture, RULES};

/// What comes out of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Decided {
        result: ScanResult,
        reason: Reason,
        would_have_been: Option<Reason>,
    },
    Replayed {
        result: ScanResult,
        reason: Reason,
    },
    ScanIdReused,
    ScanUndone,
    NoActiveSession,
    DeviceInactive,
    OutOfScope,
}

impl From<&Recorded> for Outcome {
    fn from(recorded: &Recorded) -> Self {
        match recorded {
            Recorded::Decided(decided) => Self::Decided {
                result: decided.answer.result,
                reason: decided.answer.reason,
                would_have_been: decided.record.would_have_been.map(|outcome| outcome.reason),
            },
            Recorded::Replayed(answer) => Self::Replayed {
                result: answer.result,
                reason: answer.reason,
            },
            Recorded::ScanIdReused => Self::ScanIdReused,
            Recorded::ScanUndone => Self::ScanUndone,
            Recorded::NoActiveSession => Self::NoActiveSession,
            Recorded::DeviceInactive => Self::DeviceInactive,
            Recorded::OutOfScope => Self::OutOfScope,
            Recorded::NotClaimed => panic!("every attempt of the test is claimed"),
            Recorded::NotRecorded { reason, .. } => panic!("not recorded: {reason}"),
        }
    }
}

/// A scan id that is on record.
struct KnownId {
    device: DeviceId,
    payload_sha256: [u8; 32],
    direction: Direction,
    undone: bool,
    reason: Reason,
}

struct StoredSession {
    is_active: bool,
    gate: GateId,
    device_status: DeviceStatus,
    is_in_scope: bool,
    /// Whether the scope of the device names events or gates.
    has_scope: bool,
    device_name: String,
    scan_count: u64,
}

/// The stored facts, and the effects of the attempts that were applied.
pub(crate) struct Model {
    event: Event,
    gates: HashMap<GateId, Gate>,
    sessions: HashMap<SessionId, StoredSession>,
    tickets: HashMap<TicketCode, TicketFacts>,
    known: HashMap<ScanId, KnownId>,
    /// Entries and exits by gate.
    counts: HashMap<GateId, (i64, i64)>,
    results: ResultCounts,
    decided: i64,
}

impl Model {
    /// Reads the facts through the store's ordinary reading methods.
    pub(crate) async fn read(fixture: &Fixture, setup: &Setup, batch: &[Attempt]) -> Self {
        let (store, organization) = (&fixture.store, fixture.organization);
        let event = store.event(organization, fixture.event).await;
        let event = event.expect("the read succeeds").expect("the event exists");
        let (mut gates, mut sessions) = (HashMap::new(), HashMap::new());
        for session in setup.sessions {
            let gate = store.gate(organization, fixture.event, session.gate).await;
            gates.insert(
                session.gate,
                gate.expect("the read succeeds").expect("the gate exists"),
            );
            let device = store.device(organization, session.device).await;
            let device = device.expect("the read succeeds").expect("the device exists");
            let stored = store.session(organization, session.id).await;
            let stored = stored.expect("the read succeeds").expect("the session exists");
            sessions.insert(
                session.id,
                StoredSession {
                    is_active: stored.status == SessionStatus::Active,
                    gate: stored.gate_id,
                    device_status: device.status,
                    has_scope: !device.scope.is_any(),
                    is_in_scope: device.scope.admits_gate(fixture.event, session.gate),
                    device_name: device.name.to_string(),
                    scan_count: stored.scan_count,
                },
            );
        }
        let mut tickets = HashMap::new();
        for code in &setup.codes {
            tickets.insert(*code, fixture.ticket_facts(*code).await);
        }
        let other = store
            .ticket(organization, setup.other_event, setup.code_of_other_event)
            .await;
        let other = other.expect("the read succeeds").expect("the ticket exists");
        tickets.insert(setup.code_of_other_event, other);
        let mut known = HashMap::new();
        for attempt in batch {
            let found = store.find_scan_for_retry(organization, attempt.scan_id).await;
            if let Some(found) = found.expect("the read succeeds") {
                let id = KnownId {
                    device: found.scanned_by,
                    payload_sha256: found.payload_sha256,
                    direction: found.direction,
                    undone: found.undone,
                    reason: found.answer.reason,
                };
                known.insert(attempt.scan_id, id);
            }
        }
        let occupancy = fixture.occupancy().await;
        let counts = occupancy
            .gates
            .iter()
            .map(|gate| (gate.id, (gate.count.entries, gate.count.exits)));
        Self {
            event,
            gates,
            sessions,
            tickets,
            known,
            counts: counts.collect(),
            results: occupancy.results,
            decided: 0,
        }
    }

    /// Decides an attempt by the facts and applies its effects. `device_name` replaces the stored name of the device in
    /// the ledger.
    pub(crate) fn apply(&mut self, attempt: &Attempt, device_name: Option<&str>) -> Outcome {
        if let Some(known) = self.known.get(&attempt.scan_id) {
            return known.outcome(attempt);
        }
        let session = &self.sessions[&session_of(attempt)];
        if session.device_status != DeviceStatus::Active {
            return Outcome::DeviceInactive;
        }
        if !session.is_in_scope {
            return Outcome::OutOfScope;
        }
        if !session.is_active {
            return Outcome::NoActiveSession;
        }
        let device_name = device_name.unwrap_or(&session.device_name).to_owned();
        let (reason, would_have_been) = match &attempt.verification {
            Verification::Verified(claims) => self.decide(attempt, claims, device_name),
            Verification::Denied(denial) => (denial.reason, None),
        };
        let id = KnownId {
            device: attempt.scanned_by.id(),
            payload_sha256: attempt.fingerprint.sha256,
            direction: attempt.direction,
            undone: false,
            reason,
        };
        self.known.insert(attempt.scan_id, id);
        self.decided += 1;
        count(&mut self.results, reason.result());
        let session = self
            .sessions
            .get_mut(&session_of(attempt))
            .expect("it was read above");
        session.scan_count += 1;
        Outcome::Decided {
            result: reason.result(),
            reason,
            would_have_been,
        }
    }

    fn decide(
        &mut self,
        attempt: &Attempt,
        claims: &Claims,
        device_name: String,
    ) -> (Reason, Option<Reason>) {
        let gate = &self.gates[&self.sessions[&session_of(attempt)].gate];
        let occupancy = self.occupancy(gate);
        let facts = match (claims.ticket_code, claims.ticket_id) {
            (Some(code), _) => self.tickets.get_mut(&code),
            (None, id) => self
                .tickets
                .values_mut()
                .find(|facts| Some(facts.ticket.id) == id),
        };
        // No two scans of a ticket have the same time.
        let last = facts.as_ref().and_then(|facts| facts.ledger.last_passage());
        let at = last.map_or(attempt.now, |last| last.at.plus_millis(1).max(attempt.now));
        let context = ScanContext {
            now: attempt.now,
            direction: attempt.direction,
            event: &self.event,
            gate,
            occupancy: Some(occupancy),
            dedup_window: RULES.dedup_window,
            day: ScanDay::new(self.event.day(at), Timestamp::MIN, Timestamp::MIN),
        };
        let is_bare = attempt.fingerprint.format == Some(Format::Bare);
        let first = if is_bare && !self.event.allow_unsigned {
            Reason::UnsignedNotAllowed
        } else if attempt.fingerprint.is_medium() && !self.event.allow_media {
            // The text of a camera has another hash as a payload.
            match attempt.fingerprint.other_sha256 {
                Some(_) => Reason::Malformed,
                None => Reason::UnsignedNotAllowed,
            }
        } else {
            decide(&context, claims, facts.as_deref())
        };
        let is_overridden = attempt.override_.is_some() && can_be_overridden(first, attempt.direction);
        let reason = if is_overridden { Reason::Overridden } else { first };
        if reason.result() == ScanResult::Valid {
            let facts = facts.expect("a valid scan has a ticket");
            let passage = Passage {
                scan_id: attempt.scan_id,
                at,
                gate_id: gate.id,
                gate_name: gate.name.to_string(),
                device_id: attempt.scanned_by.id(),
                device_name,
            };
            for (gate, entries, exits) in enact(facts, reason, passage, &context.allowance(facts)) {
                let counts = self.counts.entry(gate).or_default();
                *counts = (counts.0 + entries, counts.1 + exits);
            }
        }
        (reason, is_overridden.then_some(first))
    }

    fn occupancy(&self, gate: &Gate) -> Occupancy {
        let inside = |(entries, exits): &(i64, i64)| entries - exits;
        Occupancy {
            gate: Headcount {
                inside: self.counts.get(&gate.id).map_or(0, inside),
                capacity: gate.capacity,
            },
            event: Headcount {
                inside: self.counts.values().map(inside).sum(),
                capacity: self.event.capacity,
            },
        }
    }

    pub(crate) fn ticket(&self, code: TicketCode) -> Option<&TicketFacts> {
        self.tickets.get(&code)
    }

    pub(crate) fn counts(&self, gate: GateId) -> (i64, i64) {
        self.counts.get(&gate).copied().unwrap_or_default()
    }

    pub(crate) fn results(&self) -> ResultCounts {
        self.results
    }

    /// How many attempts were decided.
    pub(crate) fn decided(&self) -> i64 {
        self.decided
    }

    pub(crate) fn session_scans(&self, session: SessionId) -> u64 {
        self.sessions[&session].scan_count
    }

    /// Whether the scope of the attempt's device names events or gates.
    pub(crate) fn has_scope(&self, attempt: &Attempt) -> bool {
        self.sessions[&session_of(attempt)].has_scope
    }

    /// Whether the attempt's gate or event has a capacity.
    pub(crate) fn has_capacity(&self, attempt: &Attempt) -> bool {
        self.event.capacity.is_some() || self.gates[&attempt.gate_id].capacity.is_some()
    }
}

/// The session of an attempt. No attempt of these cases is a check-in by hand.
fn session_of(attempt: &Attempt) -> SessionId {
    attempt.scanned_by.session_id().expect("a device scans")
}

impl KnownId {
    fn outcome(&self, attempt: &Attempt) -> Outcome {
        let is_same = self.device == attempt.scanned_by.id()
            && self.payload_sha256 == attempt.fingerprint.sha256
            && self.direction == attempt.direction;
        if !is_same {
            Outcome::ScanIdReused
        } else if self.undone {
            Outcome::ScanUndone
        } else {
            Outcome::Replayed {
                result: self.reason.result(),
                reason: self.reason,
            }
        }
    }
}

/// Applies an admission or exit to the ticket and returns the entries and exits by gate.
fn enact(
    facts: &mut TicketFacts,
    reason: Reason,
    passage: Passage,
    allowance: &Allowance,
) -> Vec<(GateId, i64, i64)> {
    let since = allowance.day.counted_since;
    facts.ticket.updated_at = passage.at;
    facts.version += 1;
    let movements = match reason {
        Reason::Exited => facts.ledger.leave(passage, since).into_iter().collect(),
        Reason::Readmitted => {
            let adds_person = facts.ledger.readmission_adds_person(allowance);
            facts.ledger.enter(passage, adds_person, since)
        }
        _ => facts.ledger.enter(passage, true, since),
    };
    let admissions = facts.ledger.admissions();
    facts.ticket.scan_count = admissions;
    facts.ticket.status = facts.ticket.status.after_admissions(admissions);
    movements
        .iter()
        .map(|movement| (movement.gate_id, movement.entries, movement.exits))
        .collect()
}

fn count(results: &mut ResultCounts, result: ScanResult) {
    let count = match result {
        ScanResult::Valid => &mut results.valid,
        ScanResult::Duplicate => &mut results.duplicate,
        ScanResult::InvalidToken => &mut results.invalid_token,
        ScanResult::WrongEvent => &mut results.wrong_event,
        ScanResult::WrongGate => &mut results.wrong_gate,
        ScanResult::Refused => &mut results.refused,
    };
    *count += 1;
}

//! Decides a batch of scans: facts in, records and changes out. The functions are pure.
//!
//! Invariants: the scans are decided in order, each on the facts that the earlier ones left; each `scan_id` is decided
//! once; a ticket is written once however many of its scans the batch has. The store ensures that the facts do not
//! change between reading and writing.

mod decide;
mod facts;
mod record;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::model::{
    Attempt, DecidedBy, DeviceStatus, EventId, GateId, Movement, OrganizationId, Recorded, ResultCounts,
    RuleSettings, SessionId, TicketFacts, TicketId, Timestamp, Verification, Warning,
};
use crate::rules::event_state::event_of_dry_run;

#[cfg(feature = "node")]
pub(crate) use decide::apply_to_ticket;
pub(crate) use decide::{shows_previous_scan, shows_ticket};
pub use facts::{BatchFacts, DeskFacts, KnownScan, PeopleCount, SessionFacts};
pub use record::{NewScan, build_answer};

/// Changes of the counters of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountChange {
    /// The start of the period in which entries and exits are counted. Counters of an earlier period start from zero, and
    /// counters of a later one stay.
    pub since: Timestamp,
    /// Entries.
    pub entries: i64,
    /// Exits.
    pub exits: i64,
    /// Recorded scans by result.
    pub results: ResultCounts,
}

impl Default for CountChange {
    fn default() -> Self {
        Self {
            since: Timestamp::MIN,
            entries: 0,
            exits: 0,
            results: ResultCounts::default(),
        }
    }
}

impl CountChange {
    /// Adds a movement. Of movements in several periods only those of the last one count.
    pub fn add_movement(&mut self, movement: &Movement) {
        if movement.since < self.since {
            return;
        }
        if movement.since > self.since {
            (self.since, self.entries, self.exits) = (movement.since, 0, 0);
        }
        self.entries += movement.entries;
        self.exits += movement.exits;
    }
}

/// The changes to write for a batch.
#[derive(Debug, Default)]
pub struct BatchWrites {
    /// The new scans, in order.
    pub scans: Vec<NewScan>,
    /// The changed tickets after their last scan, each once.
    pub tickets: Vec<TicketFacts>,
    /// Changes of counters by gate.
    pub counts: HashMap<(OrganizationId, EventId, GateId), CountChange>,
    /// The number of recorded scans by session.
    pub sessions: HashMap<(OrganizationId, SessionId), i64>,
}

/// Decides a batch. Returns the result of each attempt, in order, and the changes to write.
#[must_use]
pub fn decide_batch(
    batch: &[Attempt],
    mut facts: BatchFacts,
    rules: &RuleSettings,
) -> (Vec<Recorded>, BatchWrites) {
    let mut writes = BatchWrites::default();
    let mut changed_tickets = Vec::new();
    let recorded = batch
        .iter()
        .map(|attempt| decide_attempt(attempt, &mut facts, rules, &mut writes, &mut changed_tickets))
        .collect();
    changed_tickets.sort_unstable();
    changed_tickets.dedup();
    writes.tickets = changed_tickets
        .iter()
        .filter_map(|key| facts.tickets.remove(key))
        .collect();
    (recorded, writes)
}

/// Decides one scan as a dry run, which is not written.
#[must_use]
pub fn decide_dry_run(attempt: &Attempt, mut facts: BatchFacts, rules: &RuleSettings) -> Recorded {
    let mut is_before_event = false;
    let session_id = attempt.scanned_by.session_id();
    if let Some(session) = session_id.and_then(|id| facts.sessions.get_mut(&(attempt.organization_id, id)))
        && let Some(event) = event_of_dry_run(&session.event)
    {
        session.event = event;
        is_before_event = true;
    }
    let mut changes = (BatchWrites::default(), Vec::new());
    let mut recorded = decide_attempt(attempt, &mut facts, rules, &mut changes.0, &mut changes.1);
    if let Recorded::Decided(decided) = &mut recorded
        && is_before_event
    {
        decided.answer.warnings.push(Warning::EventNotLive);
    }
    recorded
}

fn decide_attempt(
    attempt: &Attempt,
    facts: &mut BatchFacts,
    rules: &RuleSettings,
    writes: &mut BatchWrites,
    changed_tickets: &mut Vec<(OrganizationId, TicketId)>,
) -> Recorded {
    let organization = attempt.organization_id;
    if let Some(known) = facts.known_scans.get(&(organization, attempt.scan_id)) {
        return with_occupancy(
            known.answer_to(attempt.scanned_by.id(), &attempt.fingerprint, attempt.direction),
            facts,
            attempt,
        );
    }
    let decided_by_cache = match &attempt.verification {
        Verification::Denied(denial) => denial.decided_by != DecidedBy::Token,
        Verification::Verified(_) => false,
    };
    let Some(session) = facts.session_of(attempt) else {
        return Recorded::NoActiveSession;
    };
    if !decided_by_cache {
        if session.device_status != DeviceStatus::Active {
            return Recorded::DeviceInactive;
        }
        if !session
            .device_scope
            .admits_gate(session.event.id, session.gate.id)
        {
            return Recorded::OutOfScope;
        }
        if !session.session_active {
            return Recorded::NoActiveSession;
        }
    }
    let decision = match &attempt.verification {
        Verification::Verified(claims) => {
            let decision =
                decide::by_database(attempt, claims, &session, facts, rules, writes, changed_tickets);
            match decision {
                Some(decision) => decision,
                None => return Recorded::NotClaimed,
            }
        }
        Verification::Denied(denial) => decide::ScanDecision {
            reason: denial.reason,
            would_have_been: None,
            decided_by: denial.decided_by,
            claims: denial.claims,
            ticket: denial
                .claims
                .and_then(|claims| facts.ticket_of(organization, &claims).cloned()),
            answer_ticket: denial.ticket.clone(),
            previous_scan: denial.previous_scan.clone(),
            at: attempt.now,
            day: session.day(attempt.now),
        },
    };
    Recorded::Decided(Box::new(record::write(
        attempt, &session, decision, facts, writes,
    )))
}

/// Replaces the occupancy of a repeated answer by the current one, if the session is at the answer's gate.
fn with_occupancy(recorded: Recorded, facts: &BatchFacts, attempt: &Attempt) -> Recorded {
    match recorded {
        Recorded::Replayed(mut answer) => {
            let session = facts.session_of(attempt);
            let is_same_place = |session: &SessionFacts| {
                (session.event.id, session.gate.id) == (answer.event_id, answer.gate.id)
            };
            if let Some(session) = session.filter(is_same_place) {
                answer.occupancy = facts.occupancy(&session, session.day(attempt.now));
            }
            Recorded::Replayed(answer)
        }
        other => other,
    }
}

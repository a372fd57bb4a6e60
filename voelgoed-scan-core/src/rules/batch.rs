//! What becomes of many scans at once? The facts of all of them come in, what is to be written goes out; pure.
//!
//! Invariants: the scans are decided in their order, each on the facts that the ones before it left; a `scan_id` is
//! decided once; what is written for a ticket is one row however many of its scans the batch holds. The store sees to
//! it that the facts cannot change between reading and writing.

mod facts;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::model::{
    AnswerSnapshot, Attempt, Claims, Decided, DecidedBy, Denial, DeviceStatus, Direction, EventId,
    Fingerprint, Format, GateId, Movement, Occupancy, OrganizationId, Outcome, Passage, PreviousScan, Reason,
    Recorded, ResultCounts, RuleSettings, ScanAnswer, ScanRecord, ScanResult, ScannedTicket, SessionId,
    Source, TicketFacts, TicketId, Verification,
};
use crate::rules::{ScanContext, can_be_overridden, decide};

pub use facts::{BatchFacts, KnownScan, SessionFacts};

/// A scan to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewScan {
    /// The record.
    pub record: ScanRecord,
    /// What is kept of the payload.
    pub fingerprint: Fingerprint,
    /// What else a retry needs.
    pub shown: AnswerSnapshot,
}

impl NewScan {
    /// A denial that a tier answered, as it is written.
    #[must_use]
    pub fn denied(attempt: Attempt, denial: Denial) -> Self {
        let Outcome { result, reason } = Outcome::from(denial.reason);
        let code = denial.claims.and_then(|claims| claims.ticket_code);
        let record = ScanRecord {
            scan_id: attempt.scan_id,
            organization_id: attempt.organization_id,
            ticket_id: denial.ticket.as_ref().map(|ticket| ticket.id),
            ticket_code: code,
            event_id: attempt.event_id,
            gate_id: attempt.gate_id,
            device_id: attempt.device_id,
            scan_session_id: Some(attempt.session_id),
            result,
            reason,
            would_have_been: None,
            direction: attempt.direction,
            scanned_at: attempt.now,
            device_scanned_at: attempt.device_scanned_at,
            received_at: attempt.now,
            source: Source::Online,
            decided_by: denial.decided_by,
            override_: attempt.override_,
            undone: None,
            local_result: None,
            metadata: attempt.metadata,
        };
        let shown = AnswerSnapshot {
            gate_name: attempt.gate_name,
            ticket: denial.ticket,
            previous_scan: denial.previous_scan,
            warnings: attempt.warnings,
        };
        Self {
            record,
            fingerprint: attempt.fingerprint,
            shown,
        }
    }
}

/// Counters to be raised at a gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CountChange {
    /// Entries.
    pub entries: i64,
    /// Exits.
    pub exits: i64,
    /// Recorded scans.
    pub results: ResultCounts,
}

/// What is to be written for a batch.
#[derive(Debug, Default)]
pub struct BatchWrites {
    /// Scan records, in order.
    pub scans: Vec<NewScan>,
    /// Tickets after their last scan, each once.
    pub tickets: Vec<TicketFacts>,
    /// Counters by gate.
    pub counts: HashMap<(OrganizationId, EventId, GateId), CountChange>,
    /// Recorded scans by session.
    pub sessions: HashMap<(OrganizationId, SessionId), i64>,
}

/// Decides a batch.
#[must_use]
pub fn decide_batch(
    batch: &[Attempt],
    mut facts: BatchFacts,
    rules: &RuleSettings,
) -> (Vec<Recorded>, BatchWrites) {
    let mut writes = BatchWrites::default();
    let mut touched = Vec::new();
    let recorded = batch
        .iter()
        .map(|attempt| one(attempt, &mut facts, rules, &mut writes, &mut touched))
        .collect();
    touched.sort_unstable();
    touched.dedup();
    writes.tickets = touched
        .iter()
        .filter_map(|key| facts.tickets.remove(key))
        .collect();
    (recorded, writes)
}

fn one(
    attempt: &Attempt,
    facts: &mut BatchFacts,
    rules: &RuleSettings,
    writes: &mut BatchWrites,
    touched: &mut Vec<(OrganizationId, TicketId)>,
) -> Recorded {
    let organization = attempt.organization_id;
    if let Some(known) = facts.known_scans.get(&(organization, attempt.scan_id)) {
        return with_occupancy(
            known.answer_to(attempt.device_id, &attempt.fingerprint.sha256, attempt.direction),
            facts,
            attempt,
        );
    }
    let answered_before = matches!(&attempt.verification, Verification::Denied(denial) if denial.decided_by != DecidedBy::Token);
    let Some(post) = facts.sessions.get(&(organization, attempt.session_id)).cloned() else {
        return Recorded::NoActiveSession;
    };
    if !answered_before {
        if post.device_status != DeviceStatus::Active {
            return Recorded::DeviceInactive;
        }
        if !post.session_active {
            return Recorded::NoActiveSession;
        }
    }
    let decided = match &attempt.verification {
        Verification::Verified(claims) => by_database(attempt, claims, &post, facts, rules, writes, touched),
        Verification::Denied(denial) => Verdict {
            reason: denial.reason,
            would_have_been: None,
            decided_by: denial.decided_by,
            claims: denial.claims,
            ticket: None,
            shown_ticket: denial.ticket.clone(),
            previous_scan: denial.previous_scan.clone(),
            at: attempt.now,
        },
    };
    Recorded::Decided(Box::new(write(attempt, &post, decided, facts, writes)))
}

fn with_occupancy(recorded: Recorded, facts: &BatchFacts, attempt: &Attempt) -> Recorded {
    match recorded {
        Recorded::Replayed(mut answer) => {
            let post = facts.sessions.get(&(attempt.organization_id, attempt.session_id));
            if let Some(post) = post.filter(|post| post.gate.id == answer.gate.id) {
                answer.occupancy = facts.occupancy(&post.event, &post.gate);
            }
            Recorded::Replayed(answer)
        }
        other => other,
    }
}

struct Verdict {
    reason: Reason,
    would_have_been: Option<Reason>,
    decided_by: DecidedBy,
    claims: Option<Claims>,
    ticket: Option<TicketFacts>,
    shown_ticket: Option<ScannedTicket>,
    previous_scan: Option<PreviousScan>,
    at: crate::model::Timestamp,
}

fn by_database(
    attempt: &Attempt,
    claims: &Claims,
    post: &SessionFacts,
    facts: &mut BatchFacts,
    rules: &RuleSettings,
    writes: &mut BatchWrites,
    touched: &mut Vec<(OrganizationId, TicketId)>,
) -> Verdict {
    let organization = attempt.organization_id;
    let (event, gate) = (&post.event, &post.gate);
    let id = facts.ticket_id(organization, claims);
    let known = id.and_then(|id| facts.tickets.get(&(organization, id)));
    let context = ScanContext {
        now: attempt.now,
        direction: attempt.direction,
        event,
        gate,
        occupancy: Some(facts.occupancy(event, gate)),
        dedup_window: rules.dedup_window,
    };
    let first = if attempt.fingerprint.format == Some(Format::Bare) && !event.allow_unsigned {
        Reason::UnsignedNotAllowed
    } else {
        decide(&context, claims, known)
    };
    let overridden = attempt.override_.is_some() && can_be_overridden(first, attempt.direction);
    let reason = if overridden { Reason::Overridden } else { first };
    let previous_scan = known
        .filter(|_| shows_previous_scan(first) && !overridden)
        .and_then(|facts| {
            let seen = match attempt.direction {
                Direction::Entry => facts.ledger.last_admission(),
                Direction::Exit => facts.ledger.last_passage(),
            };
            seen.map(|seen| PreviousScan::of(seen, attempt.device_id, attempt.now))
        });
    // A ticket's history runs forwards, whichever node's clock is off: no two of its scans share a moment, so that
    // their order can be told from the records again.
    let last_seen = known
        .and_then(|facts| facts.ledger.last_passage())
        .map(|seen| seen.at);
    let at = match reason.result() {
        ScanResult::Valid => last_seen.map_or(attempt.now, |seen| seen.plus_millis(1).max(attempt.now)),
        _ => attempt.now,
    };
    let mut ticket = known.cloned();
    if let Some(ticket) = ticket.as_mut().filter(|_| reason.result() == ScanResult::Valid) {
        let seen = Passage {
            scan_id: attempt.scan_id,
            at,
            gate_id: gate.id,
            gate_name: gate.name.to_string(),
            device_id: attempt.device_id,
            device_name: post.device_name.clone(),
        };
        let movements = apply_to_ticket(reason, seen, ticket, &context);
        for movement in &movements {
            facts.move_people(organization, event.id, movement);
            let count = writes
                .counts
                .entry((organization, event.id, movement.gate_id))
                .or_default();
            count.entries += movement.entries;
            count.exits += movement.exits;
        }
        ticket.ticket.updated_at = at;
        facts
            .tickets
            .insert((organization, ticket.ticket.id), ticket.clone());
        touched.push((organization, ticket.ticket.id));
    }
    let shown_ticket = ticket
        .as_ref()
        .filter(|_| shows_ticket(first))
        .map(|facts| ScannedTicket::from(&facts.ticket));
    Verdict {
        reason,
        would_have_been: overridden.then_some(first),
        decided_by: DecidedBy::Database,
        claims: (reason != Reason::UnsignedNotAllowed).then_some(*claims),
        ticket: ticket.filter(|_| shows_ticket(first) || first == Reason::OtherEvent),
        shown_ticket,
        previous_scan,
        at,
    }
}

/// Writes an admission or an exit onto the ticket.
pub(crate) fn apply_to_ticket(
    reason: Reason,
    seen: Passage,
    ticket: &mut TicketFacts,
    context: &ScanContext<'_>,
) -> Vec<Movement> {
    let allowance = context.allowance(ticket);
    let movements = match reason {
        Reason::Exited => ticket.ledger.leave(seen).into_iter().collect(),
        Reason::Readmitted => {
            let person_added = ticket.ledger.readmission_adds_person(ticket.ticket.entry_limit);
            ticket.ledger.enter(seen, person_added, &allowance)
        }
        _ => ticket.ledger.enter(seen, true, &allowance),
    };
    ticket.version += 1;
    ticket.ticket.scan_count = ticket.ledger.admissions();
    ticket.ticket.status = ticket.ticket.status.after_admissions(ticket.ledger.admissions());
    movements
}

/// The reasons whose answer names the scan before.
pub(crate) fn shows_previous_scan(reason: Reason) -> bool {
    reason.result() == ScanResult::Duplicate || reason == Reason::NotInside
}

/// The reasons after which the steward sees the ticket: it is this organization's and this event's.
pub(crate) fn shows_ticket(reason: Reason) -> bool {
    match reason.result() {
        ScanResult::Valid | ScanResult::Duplicate | ScanResult::WrongGate | ScanResult::Refused => true,
        ScanResult::InvalidToken | ScanResult::WrongEvent => false,
    }
}

fn write(
    attempt: &Attempt,
    post: &SessionFacts,
    verdict: Verdict,
    facts: &mut BatchFacts,
    writes: &mut BatchWrites,
) -> Decided {
    let organization = attempt.organization_id;
    let Outcome { result, reason } = Outcome::from(verdict.reason);
    let record = ScanRecord {
        scan_id: attempt.scan_id,
        organization_id: organization,
        ticket_id: verdict
            .ticket
            .as_ref()
            .map(|facts| facts.ticket.id)
            .or(verdict.shown_ticket.as_ref().map(|ticket| ticket.id)),
        ticket_code: verdict
            .ticket
            .as_ref()
            .map(|facts| facts.ticket.code)
            .or(verdict.claims.and_then(|claims| claims.ticket_code)),
        event_id: post.event.id,
        gate_id: post.gate.id,
        device_id: attempt.device_id,
        scan_session_id: Some(attempt.session_id),
        result,
        reason,
        would_have_been: verdict.would_have_been.map(Outcome::from),
        direction: attempt.direction,
        scanned_at: verdict.at,
        device_scanned_at: attempt.device_scanned_at,
        received_at: attempt.now,
        source: Source::Online,
        decided_by: verdict.decided_by,
        override_: attempt.override_.clone(),
        undone: None,
        local_result: None,
        metadata: attempt.metadata.clone(),
    };
    let shown = AnswerSnapshot {
        gate_name: post.gate.name.to_string(),
        ticket: verdict.shown_ticket,
        previous_scan: verdict.previous_scan,
        warnings: attempt.warnings.clone(),
    };
    let answer = answer(&record, &shown, facts.occupancy(&post.event, &post.gate));
    let known = KnownScan {
        device_id: attempt.device_id,
        payload_sha256: attempt.fingerprint.sha256,
        direction: attempt.direction,
        undone: false,
        answer: answer.clone(),
    };
    facts.known_scans.insert((organization, attempt.scan_id), known);
    writes
        .counts
        .entry((organization, post.event.id, post.gate.id))
        .or_default()
        .results
        .count(result);
    *writes
        .sessions
        .entry((organization, attempt.session_id))
        .or_default() += 1;
    writes.scans.push(NewScan {
        record: record.clone(),
        fingerprint: attempt.fingerprint,
        shown,
    });
    Decided {
        answer,
        record,
        ticket: verdict.ticket,
    }
}

/// The answer that a record and what was shown with it make.
#[must_use]
pub fn answer(record: &ScanRecord, shown: &AnswerSnapshot, occupancy: Occupancy) -> ScanAnswer {
    ScanAnswer {
        scan_id: Some(record.scan_id),
        result: record.result,
        reason: record.reason,
        replayed: false,
        direction: record.direction,
        scanned_at: record.scanned_at,
        session_id: record.scan_session_id,
        event_id: record.event_id,
        gate: crate::model::NamedGate {
            id: record.gate_id,
            name: shown.gate_name.clone(),
        },
        ticket: shown.ticket.clone(),
        previous_scan: shown.previous_scan.clone(),
        occupancy,
        decided_by: record.decided_by,
        warnings: shown.warnings.clone(),
        message: record.reason.message().to_owned(),
    }
}

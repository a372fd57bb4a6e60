//! The decision about one scan of a batch.

use crate::model::{
    Attempt, Claims, DecidedBy, Direction, Format, Movement, OrganizationId, Passage, PreviousScan, Reason,
    RuleSettings, ScanResult, ScannedTicket, TicketFacts, TicketId, Timestamp,
};
use crate::rules::batch::{BatchFacts, BatchWrites, SessionFacts};
use crate::rules::{Allowance, ScanContext, ScanDay, can_be_overridden, decide};

/// The decision about one scan, before it is recorded.
pub(super) struct ScanDecision {
    pub(super) reason: Reason,
    /// For an override: the denial that it replaced.
    pub(super) would_have_been: Option<Reason>,
    pub(super) decided_by: DecidedBy,
    pub(super) claims: Option<Claims>,
    /// The ticket after the scan, if the record may name it.
    pub(super) ticket: Option<TicketFacts>,
    /// The ticket in the answer.
    pub(super) answer_ticket: Option<ScannedTicket>,
    pub(super) previous_scan: Option<PreviousScan>,
    /// The time of the record.
    pub(super) at: Timestamp,
    /// The day of the scan.
    pub(super) day: ScanDay,
}

/// Decides a scan with a valid signature on the facts of the database, and applies an admission or exit to them. `None` if it
/// would admit a ticket again and the scan is not claimed: a ticket with an admission may be in caches.
pub(super) fn by_database(
    attempt: &Attempt,
    claims: &Claims,
    session: &SessionFacts,
    facts: &mut BatchFacts,
    rules: &RuleSettings,
    writes: &mut BatchWrites,
    changed_tickets: &mut Vec<(OrganizationId, TicketId)>,
) -> Option<ScanDecision> {
    let organization = attempt.organization_id;
    let (event, gate) = (&session.event, &session.gate);
    let id = facts.ticket_id(organization, claims);
    let known = id.and_then(|id| facts.tickets.get(&(organization, id)));
    // The times of a ticket's valid scans ascend strictly, and none is before the change of the rules by which it was
    // decided, even if the clocks of nodes differ. So order, rules and day can be derived from the records.
    let last_passage_at = known
        .and_then(|facts| facts.ledger.last_passage())
        .map(|passage| passage.at);
    let valid_at = last_passage_at
        .map_or(attempt.now, |last| last.plus_millis(1).max(attempt.now))
        .max(session.rules_since);
    let day = session.day(valid_at);
    let context = ScanContext {
        now: attempt.now,
        direction: attempt.direction,
        event,
        gate,
        occupancy: Some(facts.occupancy(session, day)),
        dedup_window: rules.dedup_window,
        day,
    };
    let first = if attempt.fingerprint.format == Some(Format::Bare) && !event.allow_unsigned {
        Reason::UnsignedNotAllowed
    } else if attempt.fingerprint.is_medium() && !event.allow_media {
        attempt.fingerprint.medium_denial()
    } else {
        decide(&context, claims, known)
    };
    let overridden = attempt.override_.is_some() && can_be_overridden(first, attempt.direction);
    let reason = if overridden { Reason::Overridden } else { first };
    let admits_again = reason.result() == ScanResult::Valid
        && attempt.direction == Direction::Entry
        && known.is_some_and(|facts| facts.ledger.admissions() > 0);
    if admits_again && !attempt.claimed {
        return None;
    }
    let previous_scan = known
        .filter(|_| shows_previous_scan(first) && !overridden)
        .and_then(|facts| {
            let passage = match attempt.direction {
                Direction::Entry => facts.ledger.last_admission(),
                Direction::Exit => facts.ledger.last_passage(),
            };
            passage.map(|passage| PreviousScan::of(passage, attempt.scanned_by.id(), attempt.now))
        });
    let at = match reason.result() {
        ScanResult::Valid => valid_at,
        _ => attempt.now,
    };
    let mut ticket = known.cloned();
    if let Some(ticket) = ticket.as_mut().filter(|_| reason.result() == ScanResult::Valid) {
        let passage = Passage {
            scan_id: attempt.scan_id,
            at,
            gate_id: gate.id,
            gate_name: gate.name.to_string(),
            device_id: attempt.scanned_by.id(),
            device_name: session.device_name.clone(),
        };
        let allowance = context.allowance(ticket);
        let movements = apply_to_ticket(reason, passage, ticket, &allowance);
        for movement in &movements {
            facts.apply_movement(organization, event.id, movement);
            let count = writes
                .counts
                .entry((organization, event.id, movement.gate_id))
                .or_default();
            count.add_movement(movement);
        }
        ticket.ticket.updated_at = at;
        facts
            .tickets
            .insert((organization, ticket.ticket.id), ticket.clone());
        changed_tickets.push((organization, ticket.ticket.id));
    }
    let answer_ticket = ticket
        .as_ref()
        .filter(|_| shows_ticket(first))
        .map(|facts| ScannedTicket::from(&facts.ticket));
    Some(ScanDecision {
        reason,
        would_have_been: overridden.then_some(first),
        decided_by: DecidedBy::Database,
        claims: (!matches!(reason, Reason::UnsignedNotAllowed | Reason::Malformed)).then_some(*claims),
        ticket: ticket.filter(|_| shows_ticket(first) || first == Reason::OtherEvent),
        answer_ticket,
        previous_scan,
        at,
        day,
    })
}

/// Applies an admission or an exit to the ticket. Returns the changes of occupancy.
pub(crate) fn apply_to_ticket(
    reason: Reason,
    passage: Passage,
    ticket: &mut TicketFacts,
    allowance: &Allowance,
) -> Vec<Movement> {
    let (ledger, since) = (&mut ticket.ledger, allowance.day.counted_since);
    let movements = match reason {
        Reason::Exited => ledger.leave(passage, since).into_iter().collect(),
        Reason::Readmitted => {
            let person_added = ledger.readmission_adds_person(allowance);
            ledger.enter(passage, person_added, since)
        }
        _ => ledger.enter(passage, true, since),
    };
    ticket.version += 1;
    ticket.ticket.scan_count = ticket.ledger.admissions();
    ticket.ticket.status = ticket.ticket.status.after_admissions(ticket.ledger.admissions());
    movements
}

/// Whether the answer of this reason has the previous scan.
pub(crate) fn shows_previous_scan(reason: Reason) -> bool {
    reason.result() == ScanResult::Duplicate || reason == Reason::NotInside
}

/// Whether the answer of this reason has the ticket: the ticket belongs to this organization and event.
pub(crate) fn shows_ticket(reason: Reason) -> bool {
    match reason.result() {
        ScanResult::Valid | ScanResult::Duplicate | ScanResult::WrongGate | ScanResult::Refused => true,
        ScanResult::InvalidToken | ScanResult::WrongEvent => false,
    }
}

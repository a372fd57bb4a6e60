//! May this person pass? The rules, pure, in the order of the contract; the first that fails decides.
//!
//! Checks 1 to 3 belong to the payload ([`crate::token::verify`]); [`decide`] is checks 3 (the payload's own window)
//! to 12. It reads facts and a time, and touches nothing: the server, a phone and every cache tier call the same
//! function.

#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use crate::model::{
    Claims, Direction, Event, EventStatus, Gate, GateStatus, Occupancy, OrganizationId, Reason, TicketFacts,
    TicketStatus, Timestamp,
};
use crate::rules::Allowance;

/// Where and when the question is asked.
#[derive(Debug, Clone, Copy)]
pub struct ScanContext<'a> {
    /// Now.
    pub now: Timestamp,
    /// Which way the person goes.
    pub direction: Direction,
    /// The session's event.
    pub event: &'a Event,
    /// The session's gate.
    pub gate: &'a Gate,
    /// People inside; `None` where it cannot be known (a cache tier, a phone): then check 12 is left out.
    pub occupancy: Option<Occupancy>,
    /// The deduplication window.
    pub dedup_window: Duration,
}

impl ScanContext<'_> {
    /// How often a ticket may admit here.
    #[must_use]
    pub const fn allowance(&self, facts: &TicketFacts) -> Allowance {
        Allowance {
            reentry: self.event.reentry,
            entry_limit: facts.ticket.entry_limit,
            dedup_window: self.dedup_window,
        }
    }
}

/// Decides about the ticket that `claims` name; `facts` is what is known of it, `None` where there is none.
#[must_use]
pub fn decide(context: &ScanContext<'_>, claims: &Claims, facts: Option<&TicketFacts>) -> Reason {
    let verdict = match context.direction {
        Direction::Entry => claims
            .window
            .check(context.now)
            .and_then(|()| find(context, claims, facts))
            .and_then(|facts| enter(context, facts)),
        Direction::Exit => find(context, claims, facts).and_then(leave),
    };
    verdict.unwrap_or_else(|denial| denial)
}

/// What can be checked again of a scan that a device let through: 3 (the payload's own window), 4, 5 and 8.
pub(crate) fn recheck(
    context: &ScanContext<'_>,
    claims: &Claims,
    facts: Option<&TicketFacts>,
) -> Result<(), Reason> {
    if context.direction == Direction::Exit {
        return find(context, claims, facts).map(drop);
    }
    claims.window.check(context.now)?;
    let facts = find(context, claims, facts)?;
    if gate_lets_in(context.gate, facts) {
        Ok(())
    } else {
        Err(Reason::GateNotAllowed)
    }
}

/// Checks 4 and 5: the ticket is this organization's, the one that the claims name, and for the session's event.
fn find<'a>(
    context: &ScanContext<'_>,
    claims: &Claims,
    facts: Option<&'a TicketFacts>,
) -> Result<&'a TicketFacts, Reason> {
    let facts = facts.ok_or(Reason::TicketNotFound)?;
    if !claims_match(claims, facts, context.event.organization_id) {
        return Err(Reason::TicketNotFound);
    }
    let ticket = &facts.ticket;
    let claimed_here = claims.event_id.is_none_or(|event| event == ticket.event_id);
    if claimed_here && ticket.event_id == context.event.id {
        Ok(facts)
    } else {
        Err(Reason::OtherEvent)
    }
}

/// Whether the claims name this ticket and nothing else.
pub(crate) fn claims_match(claims: &Claims, facts: &TicketFacts, organization: OrganizationId) -> bool {
    let ticket = &facts.ticket;
    ticket.organization_id == organization
        && claims
            .organization_id
            .is_none_or(|claimed| claimed == organization)
        && claims.ticket_code.is_none_or(|claimed| claimed == ticket.code)
        && claims.ticket_id.is_none_or(|claimed| claimed == ticket.id)
}

/// Checks 6 to 12.
fn enter(context: &ScanContext<'_>, facts: &TicketFacts) -> Result<Reason, Reason> {
    let ScanContext { now, event, gate, .. } = *context;
    let ticket = &facts.ticket;
    if event.status != EventStatus::Live {
        return Err(Reason::EventNotLive);
    }
    if gate.status != GateStatus::Open {
        return Err(Reason::GateClosed);
    }
    if !gate_lets_in(gate, facts) {
        return Err(Reason::GateNotAllowed);
    }
    match ticket.status {
        TicketStatus::Active | TicketStatus::Scanned => {}
        TicketStatus::Used => return Err(Reason::TicketUsed),
        TicketStatus::Voided => return Err(Reason::TicketVoided),
        TicketStatus::Refunded => return Err(Reason::TicketRefunded),
    }
    if ticket.valid_from.is_some_and(|from| now < from) {
        return Err(Reason::TicketNotYetValid);
    }
    if ticket.valid_until.is_some_and(|until| now > until) {
        return Err(Reason::TicketExpired);
    }
    let allowance = context.allowance(facts);
    if !facts.ledger.allows_entry(&allowance, now) {
        return Err(allowance.denial());
    }
    let readmission = facts.ledger.admissions() >= u32::from(ticket.entry_limit);
    let adds_person = !readmission || facts.ledger.readmission_adds_person(ticket.entry_limit);
    if let Some(occupancy) = context.occupancy.filter(|_| adds_person) {
        if occupancy.gate.is_full() {
            return Err(Reason::GateFull);
        }
        if occupancy.event.is_full() {
            return Err(Reason::EventFull);
        }
    }
    Ok(if readmission {
        Reason::Readmitted
    } else {
        Reason::Admitted
    })
}

/// Check 8: by the ticket's own list of gates and by the gate's list of classes.
fn gate_lets_in(gate: &Gate, facts: &TicketFacts) -> bool {
    let ticket = &facts.ticket;
    let by_ticket = ticket
        .gate_ids
        .as_ref()
        .is_none_or(|gates| gates.contains(&gate.id));
    let by_class = gate.ticket_classes.as_ref().is_none_or(|classes| {
        ticket
            .ticket_class
            .as_ref()
            .is_some_and(|class| classes.contains(class))
    });
    by_ticket && by_class
}

/// An exit needs somebody inside; nothing else keeps a person in.
fn leave(facts: &TicketFacts) -> Result<Reason, Reason> {
    if facts.ledger.inside() > 0 {
        Ok(Reason::Exited)
    } else {
        Err(Reason::NotInside)
    }
}

/// Whether an override turns this denial into an admission.
#[must_use]
pub const fn can_be_overridden(reason: Reason, direction: Direction) -> bool {
    use crate::model::ScanResult::{Duplicate, InvalidToken, Refused, Valid, WrongEvent, WrongGate};
    matches!(direction, Direction::Entry)
        && match reason.result() {
            Duplicate | Refused => true,
            Valid | InvalidToken | WrongEvent | WrongGate => false,
        }
}

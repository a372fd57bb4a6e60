//! The decision about a scan: a pure function that makes the checks in their documented order (`docs/results.md`). The
//! first check that fails decides.
//!
//! [`crate::token::verify`] makes checks 1 to 3 on the payload. [`decide`] makes check 3 for the payload's validity window,
//! and checks 4 to 12. The server, a phone and every cache call the same function.

#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use crate::model::{
    Claims, Direction, Event, Gate, GateStatus, Occupancy, OrganizationId, Reason, TicketFacts, Timestamp,
};
use crate::rules::{Allowance, ScanDay, check_event};

/// The circumstances of a scan.
#[derive(Debug, Clone, Copy)]
pub struct ScanContext<'a> {
    /// The time.
    pub now: Timestamp,
    /// The direction.
    pub direction: Direction,
    /// The session's event.
    pub event: &'a Event,
    /// The session's gate.
    pub gate: &'a Gate,
    /// The occupancy. `None` in caches and on phones, which cannot know it: then check 12 is skipped.
    pub occupancy: Option<Occupancy>,
    /// The deduplication window.
    pub dedup_window: Duration,
    /// The day of the scan.
    pub day: ScanDay,
}

impl ScanContext<'_> {
    /// How often a ticket may admit at this event.
    #[must_use]
    pub const fn allowance(&self, facts: &TicketFacts) -> Allowance {
        Allowance {
            reentry: self.event.reentry,
            entry_limit: facts.ticket.entry_limit,
            dedup_window: self.dedup_window,
            day: self.day,
        }
    }
}

/// Decides a scan. `facts` belong to the ticket that `claims` name, `None` if it does not exist. Returns the reason, from
/// which [`Reason::result`] gives the result.
#[must_use]
pub fn decide(context: &ScanContext<'_>, claims: &Claims, facts: Option<&TicketFacts>) -> Reason {
    let decision = match context.direction {
        Direction::Entry => claims
            .window
            .check(context.now)
            .and_then(|()| find(context, claims, facts))
            .and_then(|facts| enter(context, facts)),
        Direction::Exit => find(context, claims, facts).and_then(|facts| leave(context, facts)),
    };
    decision.unwrap_or_else(|denial| denial)
}

/// Repeats the checks of a scan that a device admitted, as far as that is possible later: check 3 for the payload's validity
/// window, and checks 4, 5 and 8.
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
    if gate_admits(context.gate, facts) {
        Ok(())
    } else {
        Err(Reason::GateNotAllowed)
    }
}

/// Checks 4 and 5: the ticket belongs to this organization, matches the claims, and is for the session's event.
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
    let event_matches = claims.event_id.is_none_or(|event| event == ticket.event_id);
    if event_matches && ticket.event_id == context.event.id {
        Ok(facts)
    } else {
        Err(Reason::OtherEvent)
    }
}

/// Whether every claim about the ticket matches it.
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
    check_event(event, now)?;
    if gate.status != GateStatus::Open {
        return Err(Reason::GateClosed);
    }
    if !gate_admits(gate, facts) {
        return Err(Reason::GateNotAllowed);
    }
    if let Some(reason) = ticket.status.denial() {
        return Err(reason);
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
    let adds_person = !readmission || facts.ledger.readmission_adds_person(&allowance);
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

/// Check 8: the ticket's list of gates and the gate's list of classes.
fn gate_admits(gate: &Gate, facts: &TicketFacts) -> bool {
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

/// An exit needs a person inside. No other check applies.
fn leave(context: &ScanContext<'_>, facts: &TicketFacts) -> Result<Reason, Reason> {
    if facts.ledger.inside(context.day.counted_since) > 0 {
        Ok(Reason::Exited)
    } else {
        Err(Reason::NotInside)
    }
}

/// Whether an override may turn this denial into an admission: entries that are a duplicate or refused.
#[must_use]
pub const fn can_be_overridden(reason: Reason, direction: Direction) -> bool {
    use crate::model::ScanResult::{Duplicate, InvalidToken, Refused, Valid, WrongEvent, WrongGate};
    matches!(direction, Direction::Entry)
        && match reason.result() {
            Duplicate | Refused => true,
            Valid | InvalidToken | WrongEvent | WrongGate => false,
        }
}

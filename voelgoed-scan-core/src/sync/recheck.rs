//! Evaluates a scan that a device decided alone, without its ticket's history. The fold of the history
//! ([`crate::rules::fold`](crate::rules::fold())) follows.
//!
//! Invariants: an evaluation does not depend on other uploads or on the time of the upload; a denial never becomes an
//! admission; every person whom a device admitted is counted, if the ticket is known.

use crate::model::{
    Claims, DecidedBy, Direction, Event, EventId, Fingerprint, Format, Gate, Ledger, Reason, ScanResult,
    TicketCode, TicketFacts, Timestamp,
};
use crate::rules::decision::{claims_match, recheck};
use crate::rules::{ConflictKind, HistoryKind, ScanContext, ScanDay, can_be_overridden, decide};
use crate::sync::SyncScan;
use crate::token::{MediumClaim, take_reading};

/// A scan of a batch with a verified payload. Its ticket is not known yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Upload {
    /// The scan as the device sent it.
    pub scan: SyncScan,
    /// The traces of the reading as a payload.
    pub fingerprint: Fingerprint,
    /// The result of checks 1 to 3 of the reading as a payload, without the payload's validity window.
    pub claims: Result<Claims, Reason>,
    /// The medium that the reading may name.
    pub medium: Option<MediumClaim>,
    /// The tickets that have this medium, each with its event.
    pub media_tickets: Vec<(EventId, TicketCode)>,
}

impl Upload {
    /// The codes of the tickets that the reading may name.
    #[cfg(any(feature = "node", test))]
    pub(crate) fn ticket_codes(&self) -> impl Iterator<Item = TicketCode> {
        let claimed = self.claims.ok().and_then(|claims| claims.ticket_code);
        let media = self.media_tickets.iter().map(|(_, code)| *code);
        claimed.into_iter().chain(media)
    }

    /// The reading as its event takes it: its fingerprint, and its claims or the reason of the denial. `is_code` tells
    /// whether a ticket has a code.
    pub(crate) fn read_at(
        &self,
        event: &Event,
        is_code: impl FnOnce(TicketCode) -> bool,
    ) -> (Fingerprint, Result<Claims, Reason>) {
        let claims = match self.claims {
            Ok(_) if self.fingerprint.format == Some(Format::Bare) && !event.allow_unsigned => {
                Err(Reason::UnsignedNotAllowed)
            }
            claims => claims,
        };
        take_reading(
            event,
            self.medium.as_ref(),
            (self.fingerprint, claims),
            |claims| claims.ticket_code.is_some_and(is_code),
            || Claims::of_medium(event.id, self.media_tickets.iter().copied()),
        )
    }
}

/// The circumstances of an uploaded scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UploadContext<'a> {
    pub(crate) event: &'a Event,
    pub(crate) gate: &'a Gate,
    /// The time, corrected to the server's clock.
    pub(crate) at: Timestamp,
    /// Whether the device may override.
    pub(crate) can_override: bool,
    pub(crate) dedup_window: std::time::Duration,
}

/// The evaluation of a scan without its ticket's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evaluation {
    pub(crate) reason: Reason,
    pub(crate) would_have_been: Option<Reason>,
    pub(crate) history_kind: Option<HistoryKind>,
    pub(crate) conflict: Option<ConflictKind>,
    pub(crate) decided_by: DecidedBy,
    /// Whether the verified claims match the ticket that was found.
    pub(crate) names_ticket: bool,
    /// The code in the claims.
    pub(crate) code: Option<TicketCode>,
}

/// Evaluates a scan with the claims that its event reads ([`Upload::read_at`]). `ticket` is the one that they name, if it
/// exists.
pub(crate) fn evaluate(
    scan: &SyncScan,
    claims: Result<Claims, Reason>,
    context: &UploadContext<'_>,
    ticket: Option<&TicketFacts>,
) -> Evaluation {
    let ticket = ticket.filter(|facts| {
        claims.is_ok_and(|claims| claims_match(&claims, facts, context.event.organization_id))
    });
    let has_override = scan.override_.is_some() && context.can_override && scan.direction == Direction::Entry;
    let evaluation = match scan.local_result {
        Some(ScanResult::Valid) => evaluate_admitted(scan, context, claims, ticket, has_override),
        Some(denied) => evaluate_denied(scan, context, claims, ticket, denied),
        None => evaluate_undecided(scan, context, claims, ticket, has_override),
    };
    Evaluation {
        names_ticket: ticket.is_some(),
        code: claims.ok().and_then(|claims| claims.ticket_code),
        decided_by: match claims {
            Ok(_) => DecidedBy::Database,
            Err(_) => DecidedBy::Token,
        },
        ..evaluation
    }
}

const fn with_reason(reason: Reason) -> Evaluation {
    Evaluation {
        reason,
        would_have_been: None,
        history_kind: None,
        conflict: None,
        decided_by: DecidedBy::Database,
        names_ticket: false,
        code: None,
    }
}

impl UploadContext<'_> {
    fn scan_context(&self, direction: Direction) -> ScanContext<'_> {
        ScanContext {
            now: self.at,
            direction,
            event: self.event,
            gate: self.gate,
            // The occupancy at that time is unknown.
            occupancy: None,
            dedup_window: self.dedup_window,
            // The history of the ticket is not known here; the fold judges it by the day.
            day: ScanDay::ENDLESS,
        }
    }
}

/// The device admitted the person: checks 1 to 5 and 8 are repeated.
fn evaluate_admitted(
    scan: &SyncScan,
    context: &UploadContext<'_>,
    claims: Result<Claims, Reason>,
    ticket: Option<&TicketFacts>,
    has_override: bool,
) -> Evaluation {
    let checked = claims.and_then(|claims| recheck(&context.scan_context(scan.direction), &claims, ticket));
    match (checked, scan.direction) {
        (Err(reason), _) => Evaluation {
            history_kind: ticket.map(|_| HistoryKind::LetIn),
            conflict: Some(ConflictKind::NotAdmissible),
            ..with_reason(reason)
        },
        (Ok(()), Direction::Exit) => Evaluation {
            history_kind: Some(HistoryKind::Admitted),
            ..with_reason(Reason::Exited)
        },
        (Ok(()), Direction::Entry) if has_override && scan.local_reason == Some(Reason::Overridden) => {
            Evaluation {
                history_kind: Some(HistoryKind::Forced),
                ..with_reason(Reason::Overridden)
            }
        }
        (Ok(()), Direction::Entry) => Evaluation {
            history_kind: Some(if has_override {
                HistoryKind::Backed
            } else {
                HistoryKind::Admitted
            }),
            ..with_reason(Reason::Admitted)
        },
    }
}

/// The device denied the scan: it is recorded as reported.
fn evaluate_denied(
    scan: &SyncScan,
    context: &UploadContext<'_>,
    claims: Result<Claims, Reason>,
    ticket: Option<&TicketFacts>,
    denied: ScanResult,
) -> Evaluation {
    if let Some(reason) = scan.local_reason {
        return with_reason(reason);
    }
    // The device reported no reason. The rules give one if they deny with the same result.
    let present = evaluate_undecided(scan, context, claims, ticket, false).reason;
    with_reason(if present.result() == denied {
        present
    } else {
        most_common_reason(denied)
    })
}

const fn most_common_reason(result: ScanResult) -> Reason {
    match result {
        ScanResult::Valid => Reason::Admitted,
        ScanResult::Duplicate => Reason::AlreadyScanned,
        ScanResult::InvalidToken => Reason::Malformed,
        ScanResult::WrongEvent => Reason::OtherEvent,
        ScanResult::WrongGate => Reason::GateNotAllowed,
        ScanResult::Refused => Reason::GateClosed,
    }
}

/// The device did not decide: every rule applies that does not depend on other scans. The fold applies the others.
fn evaluate_undecided(
    scan: &SyncScan,
    context: &UploadContext<'_>,
    claims: Result<Claims, Reason>,
    ticket: Option<&TicketFacts>,
    has_override: bool,
) -> Evaluation {
    let context = context.scan_context(scan.direction);
    let history_kind = Some(if has_override {
        HistoryKind::AskedBacked
    } else {
        HistoryKind::Asked
    });
    let reason = match (claims, scan.direction) {
        (Err(reason), _) => reason,
        (Ok(claims), Direction::Exit) => match recheck(&context, &claims, ticket) {
            Ok(()) => Reason::Exited,
            Err(reason) => reason,
        },
        (Ok(claims), Direction::Entry) => {
            let unused = ticket.map(|facts| TicketFacts {
                ledger: Ledger::default(),
                ..facts.clone()
            });
            decide(&context, &claims, unused.as_ref())
        }
    };
    if reason.result() == ScanResult::Valid {
        return Evaluation {
            history_kind,
            ..with_reason(reason)
        };
    }
    if has_override && can_be_overridden(reason, scan.direction) {
        return Evaluation {
            history_kind: Some(HistoryKind::Forced),
            would_have_been: Some(reason),
            ..with_reason(Reason::Overridden)
        };
    }
    with_reason(reason)
}

//! What is a scan worth that a device decided alone? Judged again, by itself: what its ticket's history makes of it
//! comes after ([`crate::rules::fold`](crate::rules::fold())).
//!
//! Invariants: nothing here depends on what else was handed in, or when; a denial never becomes an admission; whoever
//! a device let through is counted, if it is known with which ticket.

use crate::model::{
    Claims, DecidedBy, Direction, Event, Fingerprint, Format, Gate, Ledger, Reason, ScanResult, TicketCode,
    TicketFacts, Timestamp,
};
use crate::rules::decision::{claims_match, recheck};
use crate::rules::{ConflictKind, HistoryKind, ScanContext, can_be_overridden, decide};
use crate::sync::SyncScan;

/// A scan of a batch, read and its signature checked; nothing of its ticket is known yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Upload {
    /// What the device says.
    pub scan: SyncScan,
    /// What is kept of the payload.
    pub fingerprint: Fingerprint,
    /// Checks 1 to 3, but for the payload's own window.
    pub claims: Result<Claims, Reason>,
}

/// Where a scan was made, when, and by whose leave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UploadContext<'a> {
    pub(crate) event: &'a Event,
    pub(crate) gate: &'a Gate,
    /// The corrected time.
    pub(crate) at: Timestamp,
    /// Whether the device may override.
    pub(crate) can_override: bool,
    pub(crate) dedup_window: std::time::Duration,
}

/// What a scan is worth by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evaluation {
    pub(crate) reason: Reason,
    pub(crate) would_have_been: Option<Reason>,
    pub(crate) part: Option<HistoryKind>,
    pub(crate) conflict: Option<ConflictKind>,
    pub(crate) decided_by: DecidedBy,
    /// Whether the claims, signed and all, name the ticket that was found.
    pub(crate) names_ticket: bool,
    /// The code that the claims name.
    pub(crate) code: Option<TicketCode>,
}

/// Judges a scan; `ticket` is the one that its claims name, where there is one.
pub(crate) fn evaluate(
    upload: &Upload,
    context: &UploadContext<'_>,
    ticket: Option<&TicketFacts>,
) -> Evaluation {
    let claims = match upload.claims {
        Ok(_) if upload.fingerprint.format == Some(Format::Bare) && !context.event.allow_unsigned => {
            Err(Reason::UnsignedNotAllowed)
        }
        claims => claims,
    };
    let ticket = ticket.filter(|facts| {
        claims.is_ok_and(|claims| claims_match(&claims, facts, context.event.organization_id))
    });
    let scan = &upload.scan;
    let backed = scan.override_.is_some() && context.can_override && scan.direction == Direction::Entry;
    let evaluation = match scan.local_result {
        Some(ScanResult::Valid) => let_through(scan, context, claims, ticket, backed),
        Some(denied) => denial(scan, context, claims, ticket, denied),
        None => undecided(scan, context, claims, ticket, backed),
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

const fn plain(reason: Reason) -> Evaluation {
    Evaluation {
        reason,
        would_have_been: None,
        part: None,
        conflict: None,
        decided_by: DecidedBy::Database,
        names_ticket: false,
        code: None,
    }
}

impl UploadContext<'_> {
    fn context(&self, direction: Direction) -> ScanContext<'_> {
        ScanContext {
            now: self.at,
            direction,
            event: self.event,
            gate: self.gate,
            // How full it was at that time, nobody can say any more.
            occupancy: None,
            dedup_window: self.dedup_window,
        }
    }
}

/// The device let the person through: checks 1 to 5 and 8.
fn let_through(
    scan: &SyncScan,
    context: &UploadContext<'_>,
    claims: Result<Claims, Reason>,
    ticket: Option<&TicketFacts>,
    backed: bool,
) -> Evaluation {
    let checked = claims.and_then(|claims| recheck(&context.context(scan.direction), &claims, ticket));
    match (checked, scan.direction) {
        (Err(reason), _) => Evaluation {
            part: ticket.map(|_| HistoryKind::LetIn),
            conflict: Some(ConflictKind::NotAdmissible),
            ..plain(reason)
        },
        (Ok(()), Direction::Exit) => Evaluation {
            part: Some(HistoryKind::Admitted),
            ..plain(Reason::Exited)
        },
        (Ok(()), Direction::Entry) if backed && scan.local_reason == Some(Reason::Overridden) => Evaluation {
            part: Some(HistoryKind::Forced),
            ..plain(Reason::Overridden)
        },
        (Ok(()), Direction::Entry) => Evaluation {
            part: Some(if backed {
                HistoryKind::Backed
            } else {
                HistoryKind::Admitted
            }),
            ..plain(Reason::Admitted)
        },
    }
}

/// The device sent the person away: on record as given.
fn denial(
    scan: &SyncScan,
    context: &UploadContext<'_>,
    claims: Result<Claims, Reason>,
    ticket: Option<&TicketFacts>,
    denied: ScanResult,
) -> Evaluation {
    if let Some(reason) = scan.local_reason {
        return plain(reason);
    }
    // The device does not say why. The rules do, where they deny alike.
    let now = undecided(scan, context, claims, ticket, false).reason;
    plain(if now.result() == denied {
        now
    } else {
        commonest(denied)
    })
}

const fn commonest(result: ScanResult) -> Reason {
    match result {
        ScanResult::Valid => Reason::Admitted,
        ScanResult::Duplicate => Reason::AlreadyScanned,
        ScanResult::InvalidToken => Reason::Malformed,
        ScanResult::WrongEvent => Reason::OtherEvent,
        ScanResult::WrongGate => Reason::GateNotAllowed,
        ScanResult::Refused => Reason::GateClosed,
    }
}

/// Nobody decided: every rule that does not hang on what else happened; the fold does the rest.
fn undecided(
    scan: &SyncScan,
    context: &UploadContext<'_>,
    claims: Result<Claims, Reason>,
    ticket: Option<&TicketFacts>,
    backed: bool,
) -> Evaluation {
    let context = context.context(scan.direction);
    let asked = Some(if backed {
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
            part: asked,
            ..plain(reason)
        };
    }
    if backed && can_be_overridden(reason, scan.direction) {
        return Evaluation {
            part: Some(HistoryKind::Forced),
            would_have_been: Some(reason),
            ..plain(Reason::Overridden)
        };
    }
    plain(reason)
}

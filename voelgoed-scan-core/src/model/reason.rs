//! The table of scan results and reasons.
//!
//! HTTP, the CLI, the bindings, logs and rows use this table. Code matches on [`Reason`] without a wildcard, so that a
//! new reason breaks the build wherever it must be handled.

use crate::model::Language;
use crate::model::text::string_enum;

string_enum! {
    /// The result of a scan: what the gate does.
    pub enum ScanResult {
        /// Green: the person may pass.
        Valid = "valid",
        /// Red: the ticket has used its admissions.
        Duplicate = "duplicate",
        /// Red: the payload is not a ticket of this organization.
        InvalidToken = "invalid_token",
        /// Red: the ticket is for another event.
        WrongEvent = "wrong_event",
        /// Red: this gate does not admit the ticket.
        WrongGate = "wrong_gate",
        /// Red: the ticket is not admitted now.
        Refused = "refused",
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $result:ident: $reason:ident = $string:literal;)+) => {
        string_enum! {
            /// The reason of a result.
            pub enum Reason {
                $($(#[$doc])* $reason = $string,)+
            }
        }

        impl Reason {
            /// The result that this reason belongs to.
            #[must_use]
            pub const fn result(self) -> ScanResult {
                match self {
                    $(Self::$reason => ScanResult::$result,)+
                }
            }
        }
    };
}

reasons! {
    /// An admission within the ticket's entry limit.
    Valid: Admitted = "admitted";
    /// An admission past the entry limit that the re-entry policy allows.
    Valid: Readmitted = "readmitted";
    /// An exit was recorded.
    Valid: Exited = "exited";
    /// A steward forced the admission.
    Valid: Overridden = "overridden";

    /// A ticket for one person has used its admission.
    Duplicate: AlreadyScanned = "already_scanned";
    /// A ticket for several people has used its admissions.
    Duplicate: EntryLimitReached = "entry_limit_reached";
    /// The policy `after_exit` needs an exit before the next entry.
    Duplicate: AlreadyInside = "already_inside";

    /// The payload has no known format.
    InvalidToken: Malformed = "malformed";
    /// The organization has no key of this id.
    InvalidToken: UnknownKey = "unknown_key";
    /// The key is revoked.
    InvalidToken: KeyRevoked = "key_revoked";
    /// The payload is a bare code, and the event accepts only signed payloads.
    InvalidToken: UnsignedNotAllowed = "unsigned_not_allowed";
    /// The signature is invalid: a forgery, or a ticket of another organization.
    InvalidToken: BadSignature = "bad_signature";
    /// The payload's validity window has ended.
    InvalidToken: TokenExpired = "token_expired";
    /// The payload's validity window has not begun.
    InvalidToken: TokenNotYetValid = "token_not_yet_valid";
    /// The organization has no such ticket.
    InvalidToken: TicketNotFound = "ticket_not_found";

    /// The ticket is for another event.
    WrongEvent: OtherEvent = "other_event";

    /// Only other gates admit the ticket.
    WrongGate: GateNotAllowed = "gate_not_allowed";

    /// The ticket is marked as used.
    Refused: TicketUsed = "ticket_used";
    /// The ticket is voided.
    Refused: TicketVoided = "ticket_voided";
    /// The ticket is refunded.
    Refused: TicketRefunded = "ticket_refunded";
    /// The ticket's validity window has not begun.
    Refused: TicketNotYetValid = "ticket_not_yet_valid";
    /// The ticket's validity window has ended.
    Refused: TicketExpired = "ticket_expired";
    /// The event is not live.
    Refused: EventNotLive = "event_not_live";
    /// The event is cancelled.
    Refused: EventCancelled = "event_cancelled";
    /// The event is postponed, and its new date has not come.
    Refused: EventPostponed = "event_postponed";
    /// The doors of the event are not open yet.
    Refused: DoorsNotOpen = "doors_not_open";
    /// The doors of the event have closed.
    Refused: DoorsClosed = "doors_closed";
    /// The gate is closed.
    Refused: GateClosed = "gate_closed";
    /// The gate has reached its capacity.
    Refused: GateFull = "gate_full";
    /// The event has reached its capacity.
    Refused: EventFull = "event_full";
    /// An exit of a ticket with no person inside.
    Refused: NotInside = "not_inside";
}

impl Reason {
    /// The message for the steward in English. [`Language::message`] has the other languages.
    #[must_use]
    pub const fn message(self) -> &'static str {
        Language::English.message(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_its_own_string() {
        let strings: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(strings.len(), Reason::ALL.len());
        for &reason in Reason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(reason));
        }
        assert!(
            "denied_at_gate".parse::<Reason>().is_err(),
            "the reason of an undo"
        );
    }

    /// The documentation is the published list: a reason that is moved to another result or renamed differs from it.
    #[test]
    fn the_documentation_lists_the_reasons_of_every_result() {
        let page = include_str!("../../../docs/results.md");
        for &result in ScanResult::ALL {
            let start = format!("| `{result}` |");
            let row = page
                .lines()
                .find(|line| line.starts_with(&start))
                .expect("a row for each result");
            let documented: HashSet<_> = row.split('`').skip(3).step_by(2).collect();
            let declared: HashSet<_> = Reason::ALL
                .iter()
                .filter(|reason| reason.result() == result)
                .map(|reason| reason.as_str())
                .collect();
            assert_eq!(declared, documented, "docs/results.md, {result}");
        }
    }

    #[test]
    fn json_is_the_string() {
        let json = serde_json::to_string(&Reason::TokenNotYetValid).expect("a string is JSON");
        assert_eq!(json, r#""token_not_yet_valid""#);
        assert_eq!(
            serde_json::from_str::<Reason>(&json).ok(),
            Some(Reason::TokenNotYetValid)
        );
    }
}

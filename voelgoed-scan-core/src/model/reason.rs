//! What does the gate say, and why? The one table of results and reasons.
//!
//! HTTP, the CLI, the bindings, logs and rows all read this table. Whoever matches on [`Reason`] does so without a
//! wildcard, so that a new reason breaks the build wherever it must be learnt.

use crate::model::text::string_enum;

string_enum! {
    /// What the gate does.
    pub enum ScanResult {
        /// Green: the person may pass.
        Valid = "valid",
        /// Red: the ticket let its people in already.
        Duplicate = "duplicate",
        /// Red: the payload is not a ticket of this organization.
        InvalidToken = "invalid_token",
        /// Red: a ticket of another event.
        WrongEvent = "wrong_event",
        /// Red: a ticket that another gate lets in.
        WrongGate = "wrong_gate",
        /// Red: a ticket that is not let in now.
        Refused = "refused",
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $result:ident: $reason:ident = $word:literal, $message:literal;)+) => {
        string_enum! {
            /// Why the gate does what it does.
            pub enum Reason {
                $($(#[$doc])* $reason = $word,)+
            }
        }

        impl Reason {
            /// What the gate does for this reason.
            #[must_use]
            pub const fn result(self) -> ScanResult {
                match self {
                    $(Self::$reason => ScanResult::$result,)+
                }
            }

            /// A short English sentence for the steward.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$reason => $message,)+
                }
            }
        }
    };
}

reasons! {
    /// One of the ticket's first admissions, as many as its entry limit.
    Valid: Admitted = "admitted", "Admitted";
    /// A later admission, allowed by the event's re-entry policy.
    Valid: Readmitted = "readmitted", "Admitted again";
    /// Somebody left.
    Valid: Exited = "exited", "Exit recorded";
    /// A steward forced the admission.
    Valid: Overridden = "overridden", "Admitted by override";

    /// A ticket for one, used up.
    Duplicate: AlreadyScanned = "already_scanned", "Already scanned";
    /// A ticket for several, all of them in.
    Duplicate: EntryLimitReached = "entry_limit_reached", "Everyone on this ticket is in";
    /// Coming in again needs an exit first.
    Duplicate: AlreadyInside = "already_inside", "Already inside";

    /// The payload has no shape that a ticket has.
    InvalidToken: Malformed = "malformed", "Not a ticket";
    /// No key of the organization has this name.
    InvalidToken: UnknownKey = "unknown_key", "Signed with an unknown key";
    /// The key was withdrawn for good.
    InvalidToken: KeyRevoked = "key_revoked", "Signed with a revoked key";
    /// A bare code, where the event wants signed payloads.
    InvalidToken: UnsignedNotAllowed = "unsigned_not_allowed", "Typed codes are not allowed here";
    /// The signature does not hold: a forgery, or another organization's ticket.
    InvalidToken: BadSignature = "bad_signature", "Not a genuine ticket";
    /// The payload's own window is over.
    InvalidToken: TokenExpired = "token_expired", "This QR code has expired";
    /// The payload's own window has not begun.
    InvalidToken: TokenNotYetValid = "token_not_yet_valid", "This QR code is not valid yet";
    /// No such ticket in this organization.
    InvalidToken: TicketNotFound = "ticket_not_found", "Ticket not found";

    /// The ticket is for another event.
    WrongEvent: OtherEvent = "other_event", "Ticket for another event";

    /// The ticket is let in at other gates.
    WrongGate: GateNotAllowed = "gate_not_allowed", "Wrong gate";

    /// The platform marked the ticket as used.
    Refused: TicketUsed = "ticket_used", "Ticket is used";
    /// The platform voided the ticket.
    Refused: TicketVoided = "ticket_voided", "Ticket is void";
    /// The ticket's price was paid back.
    Refused: TicketRefunded = "ticket_refunded", "Ticket was refunded";
    /// The ticket's window has not begun.
    Refused: TicketNotYetValid = "ticket_not_yet_valid", "Ticket is not valid yet";
    /// The ticket's window is over.
    Refused: TicketExpired = "ticket_expired", "Ticket has expired";
    /// The event is not live.
    Refused: EventNotLive = "event_not_live", "The event is not open for entry";
    /// The gate is closed.
    Refused: GateClosed = "gate_closed", "This gate is closed";
    /// The gate let in as many as it may.
    Refused: GateFull = "gate_full", "This gate is full";
    /// As many are inside as the event may hold.
    Refused: EventFull = "event_full", "The event is full";
    /// An exit without an entry.
    Refused: NotInside = "not_inside", "Nobody inside on this ticket";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_its_own_word_and_a_sentence() {
        let string_enum: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(string_enum.len(), 27);
        for &reason in Reason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(reason));
            assert!(!reason.message().is_empty());
        }
        assert!("denied_at_gate".parse::<Reason>().is_err(), "a reason of an undo");
    }

    #[test]
    fn reasons_stand_under_their_result() {
        let of = |result| {
            Reason::ALL
                .iter()
                .filter(|reason| reason.result() == result)
                .count()
        };
        let counts: Vec<_> = ScanResult::ALL.iter().map(|&result| of(result)).collect();
        assert_eq!(counts, [4, 3, 8, 1, 1, 10]);
        assert_eq!(Reason::AlreadyScanned.result(), ScanResult::Duplicate);
    }

    #[test]
    fn json_is_the_word() {
        let json = serde_json::to_string(&Reason::TokenNotYetValid).expect("a word is JSON");
        assert_eq!(json, r#""token_not_yet_valid""#);
        assert_eq!(
            serde_json::from_str::<Reason>(&json).ok(),
            Some(Reason::TokenNotYetValid)
        );
    }
}

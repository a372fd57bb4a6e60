//! The messages in English.

use crate::model::Reason;

pub(super) const fn message(reason: Reason) -> &'static str {
    match reason {
        Reason::Admitted => "Admitted",
        Reason::Readmitted => "Admitted again",
        Reason::Exited => "Exit recorded",
        Reason::Overridden => "Admitted by override",
        Reason::AlreadyScanned => "Already scanned",
        Reason::EntryLimitReached => "Everyone on this ticket is in",
        Reason::AlreadyInside => "Already inside",
        Reason::Malformed => "Not a ticket",
        Reason::UnknownKey => "Signed with an unknown key",
        Reason::KeyRevoked => "Signed with a revoked key",
        Reason::UnsignedNotAllowed => "Typed codes are not allowed here",
        Reason::BadSignature => "Not a genuine ticket",
        Reason::TokenExpired => "This QR code has expired",
        Reason::TokenNotYetValid => "This QR code is not valid yet",
        Reason::TicketNotFound => "Ticket not found",
        Reason::OtherEvent => "Ticket for another event",
        Reason::GateNotAllowed => "Wrong gate",
        Reason::TicketUsed => "Ticket is used",
        Reason::TicketVoided => "Ticket is void",
        Reason::TicketRefunded => "Ticket was refunded",
        Reason::TicketNotYetValid => "Ticket is not valid yet",
        Reason::TicketExpired => "Ticket has expired",
        Reason::EventNotLive => "The event is not open for entry",
        Reason::EventCancelled => "The event is cancelled",
        Reason::EventPostponed => "The event is postponed",
        Reason::DoorsNotOpen => "Doors are not open yet",
        Reason::DoorsClosed => "Doors are closed",
        Reason::GateClosed => "This gate is closed",
        Reason::GateFull => "This gate is full",
        Reason::EventFull => "The event is full",
        Reason::NotInside => "Nobody inside on this ticket",
    }
}

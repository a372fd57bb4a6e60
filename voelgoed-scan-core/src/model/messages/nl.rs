//! The messages in Dutch.

use crate::model::Reason;

pub(super) const fn message(reason: Reason) -> &'static str {
    match reason {
        Reason::Admitted => "Toegelaten",
        Reason::Readmitted => "Opnieuw toegelaten",
        Reason::Exited => "Vertrek geregistreerd",
        Reason::Overridden => "Handmatig toegelaten",
        Reason::AlreadyScanned => "Al gescand",
        Reason::EntryLimitReached => "Iedereen op dit ticket is al binnen",
        Reason::AlreadyInside => "Al binnen",
        Reason::Malformed => "Dit is geen ticket",
        Reason::UnknownKey => "Ondertekend met een onbekende sleutel",
        Reason::KeyRevoked => "Ondertekend met een ingetrokken sleutel",
        Reason::UnsignedNotAllowed => "Ingetypte codes zijn hier niet toegestaan",
        Reason::BadSignature => "Geen echt ticket",
        Reason::TokenExpired => "Deze QR-code is verlopen",
        Reason::TokenNotYetValid => "Deze QR-code is nog niet geldig",
        Reason::TicketNotFound => "Ticket niet gevonden",
        Reason::OtherEvent => "Ticket voor een ander evenement",
        Reason::GateNotAllowed => "Verkeerde ingang",
        Reason::TicketUsed => "Ticket is al gebruikt",
        Reason::TicketVoided => "Ticket is ongeldig gemaakt",
        Reason::TicketRefunded => "Ticket is terugbetaald",
        Reason::TicketNotYetValid => "Ticket is nog niet geldig",
        Reason::TicketExpired => "Ticket is verlopen",
        Reason::EventNotLive => "Het evenement is niet open voor bezoekers",
        Reason::EventCancelled => "Het evenement is afgelast",
        Reason::EventPostponed => "Het evenement is uitgesteld",
        Reason::DoorsNotOpen => "De deuren zijn nog niet open",
        Reason::DoorsClosed => "De deuren zijn gesloten",
        Reason::GateClosed => "Deze ingang is gesloten",
        Reason::GateFull => "Deze ingang is vol",
        Reason::EventFull => "Het evenement is vol",
        Reason::NotInside => "Er is niemand binnen met dit ticket",
    }
}

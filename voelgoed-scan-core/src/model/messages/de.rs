//! The messages in German.

use crate::model::Reason;

pub(super) const fn message(reason: Reason) -> &'static str {
    match reason {
        Reason::Admitted => "Einlass gewährt",
        Reason::Readmitted => "Erneuter Einlass gewährt",
        Reason::Exited => "Ausgang erfasst",
        Reason::Overridden => "Manuell eingelassen",
        Reason::AlreadyScanned => "Bereits gescannt",
        Reason::EntryLimitReached => "Alle Personen auf diesem Ticket sind schon drin",
        Reason::AlreadyInside => "Bereits drinnen",
        Reason::Malformed => "Kein Ticket",
        Reason::UnknownKey => "Mit unbekanntem Schlüssel signiert",
        Reason::KeyRevoked => "Mit widerrufenem Schlüssel signiert",
        Reason::UnsignedNotAllowed => "Eingetippte Codes sind hier nicht erlaubt",
        Reason::BadSignature => "Kein echtes Ticket",
        Reason::TokenExpired => "Dieser QR-Code ist abgelaufen",
        Reason::TokenNotYetValid => "Dieser QR-Code ist noch nicht gültig",
        Reason::TicketNotFound => "Ticket nicht gefunden",
        Reason::OtherEvent => "Ticket für eine andere Veranstaltung",
        Reason::GateNotAllowed => "Falscher Eingang",
        Reason::TicketUsed => "Ticket ist bereits benutzt",
        Reason::TicketVoided => "Ticket ist storniert",
        Reason::TicketRefunded => "Ticket wurde erstattet",
        Reason::TicketNotYetValid => "Ticket ist noch nicht gültig",
        Reason::TicketExpired => "Ticket ist abgelaufen",
        Reason::EventNotLive => "Kein Einlass zu dieser Veranstaltung",
        Reason::EventCancelled => "Die Veranstaltung ist abgesagt",
        Reason::EventPostponed => "Die Veranstaltung ist verschoben",
        Reason::DoorsNotOpen => "Der Einlass hat noch nicht begonnen",
        Reason::DoorsClosed => "Der Einlass ist beendet",
        Reason::GateClosed => "Dieser Eingang ist geschlossen",
        Reason::GateFull => "Dieser Eingang ist voll",
        Reason::EventFull => "Die Veranstaltung ist voll",
        Reason::NotInside => "Mit diesem Ticket ist niemand drinnen",
    }
}

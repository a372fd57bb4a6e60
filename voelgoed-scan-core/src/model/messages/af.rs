//! The messages in Afrikaans.

use crate::model::Reason;

pub(super) const fn message(reason: Reason) -> &'static str {
    match reason {
        Reason::Admitted => "Toegelaat",
        Reason::Readmitted => "Weer toegelaat",
        Reason::Exited => "Vertrek aangeteken",
        Reason::Overridden => "Handmatig toegelaat",
        Reason::AlreadyScanned => "Reeds geskandeer",
        Reason::EntryLimitReached => "Almal op hierdie kaartjie is reeds binne",
        Reason::AlreadyInside => "Reeds binne",
        Reason::Malformed => "Dit is nie ’n kaartjie nie",
        Reason::UnknownKey => "Onderteken met ’n onbekende sleutel",
        Reason::KeyRevoked => "Onderteken met ’n herroepe sleutel",
        Reason::UnsignedNotAllowed => "Ingetikte kodes word nie hier aanvaar nie",
        Reason::BadSignature => "Nie ’n egte kaartjie nie",
        Reason::TokenExpired => "Hierdie QR-kode het verval",
        Reason::TokenNotYetValid => "Hierdie QR-kode is nog nie geldig nie",
        Reason::TicketNotFound => "Kaartjie nie gevind nie",
        Reason::OtherEvent => "Kaartjie is vir ’n ander geleentheid",
        Reason::GateNotAllowed => "Verkeerde hek",
        Reason::TicketUsed => "Kaartjie is reeds gebruik",
        Reason::TicketVoided => "Kaartjie is gekanselleer",
        Reason::TicketRefunded => "Kaartjie is terugbetaal",
        Reason::TicketNotYetValid => "Kaartjie is nog nie geldig nie",
        Reason::TicketExpired => "Kaartjie het verval",
        Reason::EventNotLive => "Die geleentheid is nie oop vir toegang nie",
        Reason::EventCancelled => "Die geleentheid is gekanselleer",
        Reason::EventPostponed => "Die geleentheid is uitgestel",
        Reason::DoorsNotOpen => "Die deure is nog nie oop nie",
        Reason::DoorsClosed => "Die deure is toe",
        Reason::GateClosed => "Hierdie hek is toe",
        Reason::GateFull => "Hierdie hek is vol",
        Reason::EventFull => "Die geleentheid is vol",
        Reason::NotInside => "Niemand met hierdie kaartjie is binne nie",
    }
}

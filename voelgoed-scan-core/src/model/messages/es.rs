//! The messages in Spanish.

use crate::model::Reason;

pub(super) const fn message(reason: Reason) -> &'static str {
    match reason {
        Reason::Admitted => "Entrada autorizada",
        Reason::Readmitted => "Nueva entrada autorizada",
        Reason::Exited => "Salida registrada",
        Reason::Overridden => "Entrada autorizada manualmente",
        Reason::AlreadyScanned => "Ya escaneado",
        Reason::EntryLimitReached => "Ya han entrado todas las personas de este boleto",
        Reason::AlreadyInside => "Ya está dentro",
        Reason::Malformed => "No es un boleto",
        Reason::UnknownKey => "Firmado con una clave desconocida",
        Reason::KeyRevoked => "Firmado con una clave revocada",
        Reason::UnsignedNotAllowed => "Aquí no se aceptan códigos escritos a mano",
        Reason::BadSignature => "El boleto no es auténtico",
        Reason::TokenExpired => "Este código QR ha caducado",
        Reason::TokenNotYetValid => "Este código QR aún no es válido",
        Reason::TicketNotFound => "Boleto no encontrado",
        Reason::OtherEvent => "Boleto para otro evento",
        Reason::GateNotAllowed => "Puerta equivocada",
        Reason::TicketUsed => "Boleto ya utilizado",
        Reason::TicketVoided => "Boleto anulado",
        Reason::TicketRefunded => "Boleto reembolsado",
        Reason::TicketNotYetValid => "El boleto aún no es válido",
        Reason::TicketExpired => "El boleto ha caducado",
        Reason::EventNotLive => "El evento no está abierto al público",
        Reason::EventCancelled => "El evento está cancelado",
        Reason::EventPostponed => "El evento está aplazado",
        Reason::DoorsNotOpen => "Las puertas aún no están abiertas",
        Reason::DoorsClosed => "Las puertas están cerradas",
        Reason::GateClosed => "Esta puerta está cerrada",
        Reason::GateFull => "Aforo de esta puerta completo",
        Reason::EventFull => "Aforo del evento completo",
        Reason::NotInside => "No hay nadie dentro con este boleto",
    }
}

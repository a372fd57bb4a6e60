//! The messages in Spanish.

use crate::model::Reason;

pub(super) const fn message(reason: Reason) -> &'static str {
    match reason {
        Reason::Admitted => "Acceso autorizado",
        Reason::Readmitted => "Nuevo acceso autorizado",
        Reason::Exited => "Salida registrada",
        Reason::Overridden => "Acceso autorizado por excepción",
        Reason::AlreadyScanned => "Entrada ya escaneada",
        Reason::EntryLimitReached => "Ya están dentro todas las personas de esta entrada",
        Reason::AlreadyInside => "Ya está dentro",
        Reason::Malformed => "El código no es de una entrada",
        Reason::UnknownKey => "Firmado con una clave desconocida",
        Reason::KeyRevoked => "Firmado con una clave revocada",
        Reason::UnsignedNotAllowed => "Aquí no se aceptan códigos tecleados",
        Reason::BadSignature => "La entrada no es auténtica",
        Reason::TokenExpired => "Este código QR ha caducado",
        Reason::TokenNotYetValid => "Este código QR aún no es válido",
        Reason::TicketNotFound => "Entrada no encontrada",
        Reason::OtherEvent => "Entrada para otro evento",
        Reason::GateNotAllowed => "Puerta equivocada",
        Reason::TicketUsed => "Entrada ya utilizada",
        Reason::TicketVoided => "Entrada anulada",
        Reason::TicketRefunded => "Entrada reembolsada",
        Reason::TicketNotYetValid => "La entrada aún no es válida",
        Reason::TicketExpired => "La entrada ha caducado",
        Reason::EventNotLive => "El evento no está abierto al público",
        Reason::EventCancelled => "El evento está cancelado",
        Reason::EventPostponed => "El evento está aplazado",
        Reason::DoorsNotOpen => "Las puertas aún no están abiertas",
        Reason::DoorsClosed => "Las puertas están cerradas",
        Reason::GateClosed => "Esta puerta está cerrada",
        Reason::GateFull => "Aforo completo en esta puerta",
        Reason::EventFull => "Aforo del evento completo",
        Reason::NotInside => "No hay nadie dentro con esta entrada",
    }
}

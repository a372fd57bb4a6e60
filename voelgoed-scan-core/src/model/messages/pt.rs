//! The messages in Portuguese.

use crate::model::Reason;

pub(super) const fn message(reason: Reason) -> &'static str {
    match reason {
        Reason::Admitted => "Acesso autorizado",
        Reason::Readmitted => "Novo acesso autorizado",
        Reason::Exited => "Saída confirmada",
        Reason::Overridden => "Acesso autorizado manualmente",
        Reason::AlreadyScanned => "Bilhete já lido",
        Reason::EntryLimitReached => "Todas as pessoas deste bilhete já entraram",
        Reason::AlreadyInside => "Já está dentro",
        Reason::Malformed => "Não é um bilhete",
        Reason::UnknownKey => "Assinado com uma chave desconhecida",
        Reason::KeyRevoked => "Assinado com uma chave revogada",
        Reason::UnsignedNotAllowed => "Aqui não se aceitam códigos digitados",
        Reason::BadSignature => "O bilhete não é autêntico",
        Reason::TokenExpired => "Este código QR expirou",
        Reason::TokenNotYetValid => "Este código QR ainda não é válido",
        Reason::TicketNotFound => "Bilhete não encontrado",
        Reason::OtherEvent => "Bilhete para outro evento",
        Reason::GateNotAllowed => "Porta errada",
        Reason::TicketUsed => "Bilhete já utilizado",
        Reason::TicketVoided => "Bilhete anulado",
        Reason::TicketRefunded => "Bilhete reembolsado",
        Reason::TicketNotYetValid => "O bilhete ainda não é válido",
        Reason::TicketExpired => "O bilhete expirou",
        Reason::EventNotLive => "O evento não está aberto para entrada",
        Reason::EventCancelled => "O evento foi cancelado",
        Reason::EventPostponed => "O evento foi adiado",
        Reason::DoorsNotOpen => "As portas ainda não estão abertas",
        Reason::DoorsClosed => "As portas estão fechadas",
        Reason::GateClosed => "Esta porta está fechada",
        Reason::GateFull => "Lotação desta porta esgotada",
        Reason::EventFull => "Lotação do evento esgotada",
        Reason::NotInside => "Ninguém está dentro com este bilhete",
    }
}

//! The messages in French.

use crate::model::Reason;

pub(super) const fn message(reason: Reason) -> &'static str {
    match reason {
        Reason::Admitted => "Entrée autorisée",
        Reason::Readmitted => "Nouvelle entrée autorisée",
        Reason::Exited => "Sortie enregistrée",
        Reason::Overridden => "Entrée autorisée manuellement",
        Reason::AlreadyScanned => "Déjà scanné",
        Reason::EntryLimitReached => "Toutes les personnes de ce billet sont déjà entrées",
        Reason::AlreadyInside => "Déjà à l’intérieur",
        Reason::Malformed => "Ce n’est pas un billet",
        Reason::UnknownKey => "Signé avec une clé inconnue",
        Reason::KeyRevoked => "Signé avec une clé révoquée",
        Reason::UnsignedNotAllowed => "Les codes saisis à la main sont refusés ici",
        Reason::BadSignature => "Ce billet n’est pas authentique",
        Reason::TokenExpired => "Ce QR code a expiré",
        Reason::TokenNotYetValid => "Ce QR code n’est pas encore valable",
        Reason::TicketNotFound => "Billet introuvable",
        Reason::OtherEvent => "Billet pour un autre événement",
        Reason::GateNotAllowed => "Mauvaise porte",
        Reason::TicketUsed => "Billet déjà utilisé",
        Reason::TicketVoided => "Billet annulé",
        Reason::TicketRefunded => "Billet remboursé",
        Reason::TicketNotYetValid => "Billet pas encore valable",
        Reason::TicketExpired => "Billet expiré",
        Reason::EventNotLive => "L’événement n’est pas ouvert aux entrées",
        Reason::EventCancelled => "L’événement est annulé",
        Reason::EventPostponed => "L’événement est reporté",
        Reason::DoorsNotOpen => "Les portes ne sont pas encore ouvertes",
        Reason::DoorsClosed => "Les portes sont fermées",
        Reason::GateClosed => "Cette porte est fermée",
        Reason::GateFull => "La capacité de cette porte est atteinte",
        Reason::EventFull => "L’événement est complet",
        Reason::NotInside => "Personne n’est à l’intérieur avec ce billet",
    }
}

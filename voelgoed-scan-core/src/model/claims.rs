//! The claims of a ticket payload and its validity window.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{EventId, OrganizationId, Reason, TicketCode, TicketId, Timestamp};

string_enum! {
    /// The formats of payloads, and the kinds of media.
    pub enum Format {
        /// HMAC-SHA256 over a code.
        Vg1 = "vg1",
        /// Ed25519 over claims.
        Vg2 = "vg2",
        /// A Phoenix.Token of the ticketing platform.
        Phoenix = "phoenix",
        /// A code without a signature, which staff type.
        Bare = "bare",
        /// A barcode that another system issued.
        Barcode = "barcode",
        /// The id of a wristband or a card.
        Nfc = "nfc",
    }
}

/// The claims of a payload about its ticket. At least one of code and id is present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Claims {
    /// The ticket's code.
    pub ticket_code: Option<TicketCode>,
    /// The ticket's id (Phoenix only).
    pub ticket_id: Option<TicketId>,
    /// The organization of the ticket (Phoenix only; keys of the other formats belong to one organization).
    pub organization_id: Option<OrganizationId>,
    /// The event that the ticket is for.
    pub event_id: Option<EventId>,
    /// When the payload is valid.
    pub window: Window,
    /// The number of the ticket's class (`vg2` only).
    pub ticket_class: Option<u16>,
    /// The number of people that the ticket admits, at least one (`vg2` only).
    pub entry_limit: Option<u8>,
}

impl Claims {
    pub(crate) fn of_code(code: TicketCode) -> Self {
        Self {
            ticket_code: Some(code),
            ..Self::default()
        }
    }

    /// The claims of a medium that these tickets have, each with its event: those of the ticket of `event`, otherwise of
    /// another event's. They are empty if no ticket has it.
    pub(crate) fn of_medium(
        event: EventId,
        tickets: impl IntoIterator<Item = (EventId, TicketCode)>,
    ) -> Self {
        let named = tickets
            .into_iter()
            .min_by_key(|(owner, code)| (*owner != event, *owner, *code));
        Self {
            ticket_code: named.map(|(_, code)| code),
            ..Self::default()
        }
    }
}

/// The validity window of a payload. It includes both ends; an absent end is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    /// The first moment.
    pub not_before: Option<Timestamp>,
    /// The last moment. An end in seconds includes its whole second.
    pub not_after: Option<Timestamp>,
    /// Whether the ends are in seconds. Then only whole seconds are compared.
    in_seconds: bool,
}

impl Window {
    /// A window with ends in milliseconds.
    #[must_use]
    pub const fn new(not_before: Option<Timestamp>, not_after: Option<Timestamp>) -> Self {
        Self {
            not_before,
            not_after,
            in_seconds: false,
        }
    }

    /// A window in Unix seconds. 0 is an open end.
    #[must_use]
    pub fn from_seconds(not_before: u32, not_after: u32) -> Self {
        let end = |seconds: u32| (seconds != 0).then(|| Timestamp::from_seconds(seconds.into()));
        Self {
            not_before: end(not_before),
            not_after: end(not_after),
            in_seconds: true,
        }
    }

    /// Checks that the payload is valid at `now`; fails with [`Reason::TokenNotYetValid`] or [`Reason::TokenExpired`].
    pub fn check(&self, now: Timestamp) -> Result<(), Reason> {
        let now = if self.in_seconds {
            Timestamp::from_seconds(now.as_seconds())
        } else {
            now
        };
        if self.not_before.is_some_and(|first| now < first) {
            Err(Reason::TokenNotYetValid)
        } else if self.not_after.is_some_and(|last| now > last) {
            Err(Reason::TokenExpired)
        } else {
            Ok(())
        }
    }
}

//! What did the camera read? Codes and payloads, without a gate: for a search field, a preview, a kiosk.

use std::collections::HashMap;

use voelgoed_scan_core::model::{KeyFormat, KeyStatus, SigningKey, Window};
use voelgoed_scan_core::token::{Keyring, Payload, verify};

use crate::{EventId, Format, GateError, KeyId, OrganizationId, Reason, TicketCode, Timestamp};

/// Reads a ticket code as staff type it: hyphens and spaces may stand between groups.
#[uniffi::export]
pub fn parse_ticket_code(text: String) -> Result<TicketCode, GateError> {
    TicketCode::parse_typed(&text).map_err(|error| GateError::invalid("ticket code", error))
}

/// A ticket code as people read it: `3KQR-7F92-4M1X-aB0z`.
#[uniffi::export]
pub fn grouped_ticket_code(code: TicketCode) -> Result<String, GateError> {
    Ok(code.grouped())
}

/// The format of a payload by its shape alone: nothing in it may be believed yet.
#[uniffi::export]
pub fn payload_format(payload: String) -> Option<Format> {
    Payload::parse(&payload).ok().map(|payload| payload.format())
}

/// What a payload says of its ticket, once its signature holds.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct VerifiedTicket {
    /// The ticket's code.
    pub ticket_code: Option<TicketCode>,
    /// The event that the ticket is for.
    pub event_id: Option<EventId>,
    /// The first moment at which the payload holds.
    pub not_before: Option<Timestamp>,
    /// The last moment at which the payload holds.
    pub not_after: Option<Timestamp>,
    /// The number of the ticket's class.
    pub ticket_class: Option<u16>,
    /// How many people the ticket lets in.
    pub entry_limit: Option<u8>,
}

/// What came of a verification: the ticket, or the reason why it may not be believed.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Enum)]
pub enum Verification {
    /// Key, signature and time window hold. Whether the ticket is let in is for a gate to say.
    Genuine {
        /// What the payload says.
        ticket: VerifiedTicket,
    },
    /// It may not be believed.
    Refused {
        /// Why.
        reason: Reason,
    },
}

/// Checks payloads against public keys alone: `VG2` tickets, as a kiosk or a wallet does.
#[derive(Debug, uniffi::Object)]
pub struct TicketVerifier {
    keyring: Keyring,
}

#[uniffi::export]
impl TicketVerifier {
    /// A verifier with an organization's Ed25519 public keys, 32 bytes each, by key id.
    #[uniffi::constructor]
    pub fn new(
        organization_id: OrganizationId,
        public_keys: HashMap<KeyId, Vec<u8>>,
    ) -> Result<Self, GateError> {
        let keys = public_keys
            .into_iter()
            .map(|(kid, bytes)| {
                let bytes = bytes
                    .try_into()
                    .map_err(|_| GateError::invalid("public key", "has not 32 bytes"))?;
                Ok(SigningKey {
                    format: KeyFormat::Vg2,
                    kid,
                    status: KeyStatus::VerifyOnly,
                    public_key: Some(bytes),
                    inserted_at: Timestamp::from_millis(0),
                })
            })
            .collect::<Result<Vec<_>, GateError>>()?;
        let keyring = Keyring::public(organization_id, &keys)
            .map_err(|error| GateError::invalid("public key", error))?;
        Ok(Self { keyring })
    }

    /// Checks a payload's shape, key, signature and time window, in this order.
    pub fn verify(&self, payload: String, now: Timestamp) -> Verification {
        self.claims(&payload, now).map_or_else(
            |reason| Verification::Refused { reason },
            |ticket| Verification::Genuine { ticket },
        )
    }
}

impl TicketVerifier {
    fn claims(&self, payload: &str, now: Timestamp) -> Result<VerifiedTicket, Reason> {
        let payload = Payload::parse(payload)?;
        let claims = verify(&payload, &self.keyring, None, false)?;
        let window: Window = claims.window;
        window.check(now)?;
        Ok(VerifiedTicket {
            ticket_code: claims.ticket_code,
            event_id: claims.event_id,
            not_before: window.not_before,
            not_after: window.not_after,
            ticket_class: claims.ticket_class,
            entry_limit: claims.entry_limit,
        })
    }
}

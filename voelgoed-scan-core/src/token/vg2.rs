//! VG2 payloads: `VG2.<kid>.<claims>.<signature>`. The signature is Ed25519 over the text before it, so that a phone can
//! verify it offline without a secret.
//!
//! The claims are 40 bytes, big-endian: code 12, event 16, `not_before` 4, `not_after` 4 (Unix seconds, 0 is open), ticket
//! class 2, entry limit 1, flags 1 (0).

use std::num::NonZeroU8;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use uuid::Uuid;

use super::{Malformed, base64url};
use crate::model::{Claims, EventId, KeyId, Reason, TicketCode, Timestamp, Window};

pub(super) const PREFIX: &str = "VG2.";

const CLAIMS_LENGTH: usize = 40;

/// The claims of a VG2 payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vg2Claims {
    /// The ticket's code.
    pub ticket_code: TicketCode,
    /// The event that the ticket is for.
    pub event_id: EventId,
    /// The first second at which the payload is valid; rounded down and clamped to 1970 to 2106.
    pub not_before: Option<Timestamp>,
    /// The last second at which the payload is valid; rounded down and clamped to 1970 to 2106.
    pub not_after: Option<Timestamp>,
    /// The number of the ticket's class.
    pub ticket_class: u16,
    /// The number of people that the ticket admits.
    pub entry_limit: NonZeroU8,
}

impl Vg2Claims {
    fn to_bytes(self) -> [u8; CLAIMS_LENGTH] {
        let mut bytes = [0; CLAIMS_LENGTH];
        bytes[..12].copy_from_slice(&self.ticket_code.to_bytes());
        bytes[12..28].copy_from_slice(self.event_id.as_uuid().as_bytes());
        bytes[28..32].copy_from_slice(&seconds(self.not_before).to_be_bytes());
        bytes[32..36].copy_from_slice(&seconds(self.not_after).to_be_bytes());
        bytes[36..38].copy_from_slice(&self.ticket_class.to_be_bytes());
        bytes[38] = self.entry_limit.get();
        bytes
    }

    /// Signs the payload with `key` as the key `kid`.
    pub(crate) fn sign(self, kid: KeyId, key: &SigningKey) -> String {
        let signed = format!("{PREFIX}{kid}.{}", base64url::encode(&self.to_bytes()));
        let signature = key.sign(signed.as_bytes());
        format!("{signed}.{}", base64url::encode(&signature.to_bytes()))
    }
}

/// Encodes an end of the window. An end before 1970 becomes 1, because 0 is an open end.
fn seconds(end: Option<Timestamp>) -> u32 {
    end.map_or(0, |end| {
        u32::try_from(end.as_seconds().max(1)).unwrap_or(u32::MAX)
    })
}

/// A parsed payload.
#[derive(Clone)]
pub(super) struct Vg2Token<'a> {
    pub(super) kid: KeyId,
    signed: &'a str,
    claims: [u8; CLAIMS_LENGTH],
    signature: [u8; Signature::BYTE_SIZE],
}

impl<'a> Vg2Token<'a> {
    /// Parses a text that starts with [`PREFIX`].
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Malformed)?;
        let (kid, claims) = signed
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('.'))
            .ok_or(Malformed)?;
        Ok(Self {
            kid: kid.parse().map_err(|_| Malformed)?,
            signed,
            claims: base64url::decode_exactly(claims)?,
            signature: base64url::decode_exactly(signature)?,
        })
    }

    /// Decodes the claims. Fails for an invalid code, an entry limit of 0 and an unknown flag.
    pub(super) fn claims(&self) -> Result<Claims, Malformed> {
        let (code, rest) = self.claims.split_first_chunk::<12>().ok_or(Malformed)?;
        let (event, rest) = rest.split_first_chunk::<16>().ok_or(Malformed)?;
        let (not_before, rest) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
        let (not_after, rest) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
        let (class, rest) = rest.split_first_chunk::<2>().ok_or(Malformed)?;
        let &[entry_limit, flags] = rest else {
            return Err(Malformed);
        };
        // An unknown flag may restrict the ticket, so the payload is refused.
        if entry_limit == 0 || flags != 0 {
            return Err(Malformed);
        }
        Ok(Claims {
            ticket_code: Some(TicketCode::from_bytes(*code).map_err(|_| Malformed)?),
            event_id: Some(EventId::from_uuid(Uuid::from_bytes(*event))),
            window: Window::from_seconds(u32::from_be_bytes(*not_before), u32::from_be_bytes(*not_after)),
            ticket_class: Some(u16::from_be_bytes(*class)),
            entry_limit: Some(entry_limit),
            ..Claims::default()
        })
    }

    pub(super) fn verify(&self, key: &VerifyingKey) -> Result<Claims, Reason> {
        // Strict verification: a valid signature cannot be changed into a second one, and weak keys are refused.
        let signature = Signature::from_bytes(&self.signature);
        key.verify_strict(self.signed.as_bytes(), &signature)
            .map_err(|_| Reason::BadSignature)?;
        Ok(self.claims()?)
    }
}

//! What does the QR code say, and may it be believed?
//!
//! [`Payload::parse`] checks shape, alphabet and lengths; [`verify`] finds the key, checks the signature and only then
//! reads the claims; [`Window::check`] is left to the caller, because exits skip it. Together they are checks 1 to 3.
//!
//! Invariants: the prefix picks the format and nothing inside the payload picks an algorithm; parsing never panics and
//! never allocates by a length that it read; a claim is read only once the signature over it holds.

mod base64url;
mod keyring;
pub mod phoenix;
pub mod vectors;
mod vg1;
mod vg2;

use std::fmt;

use sha2::{Digest, Sha256};

use crate::model::{Claims, Format, KeyId, Reading, Reason, TicketCode};
pub use keyring::{InvalidMasterSecret, Keyring, KeyringError, MasterSecret, is_manifest_signature_valid};
pub use phoenix::{InvalidPhoenixKeys, KeyDerivation, KeyDigest, PhoenixKeys};
pub(crate) use vg1::Vg1Key;
pub use vg2::Vg2Claims;

/// The longest payload in bytes, white space around it not counted.
pub const MAX_PAYLOAD: usize = 2048;

/// A payload of none of the formats, or claims that make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a ticket payload")]
pub struct Malformed;

impl From<Malformed> for Reason {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// A payload of the right shape. Nothing in it may be believed yet.
#[derive(Clone)]
pub struct Payload<'a> {
    text: &'a str,
    shape: Shape<'a>,
}

#[derive(Clone)]
enum Shape<'a> {
    Vg1(vg1::Shape<'a>),
    Vg2(vg2::Shape<'a>),
    Phoenix(phoenix::Shape<'a>),
    Bare(TicketCode),
}

impl<'a> Payload<'a> {
    /// Reads the text of a QR code, or a code that somebody typed.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        // Scanners append CR and LF.
        let text = text.trim_ascii();
        if text.len() > MAX_PAYLOAD || !text.is_ascii() {
            return Err(Malformed);
        }
        let shape = if text.starts_with(vg1::PREFIX) {
            Shape::Vg1(vg1::Shape::parse(text)?)
        } else if text.starts_with(vg2::PREFIX) {
            Shape::Vg2(vg2::Shape::parse(text)?)
        } else if let Some(algorithm) = phoenix::Algorithm::of(text) {
            Shape::Phoenix(phoenix::Shape::parse(algorithm, text)?)
        } else {
            Shape::Bare(TicketCode::parse_typed(text).map_err(|_| Malformed)?)
        };
        Ok(Self { text, shape })
    }

    /// Reads what was read at a gate: what staff type is a bare code and nothing else.
    pub fn parse_reading(reading: &'a Reading) -> Result<Self, Malformed> {
        let payload = Self::parse(reading.text())?;
        match reading {
            Reading::TicketCode(_) if payload.format() != Format::Bare => Err(Malformed),
            Reading::TicketCode(_) | Reading::Qr(_) => Ok(payload),
        }
    }

    /// The payload's format.
    #[must_use]
    pub fn format(&self) -> Format {
        match self.shape {
            Shape::Vg1(_) => Format::Vg1,
            Shape::Vg2(_) => Format::Vg2,
            Shape::Phoenix(_) => Format::Phoenix,
            Shape::Bare(_) => Format::Bare,
        }
    }

    /// The key that the payload names; only `vg1` and `vg2` name one.
    #[must_use]
    pub fn kid(&self) -> Option<KeyId> {
        match &self.shape {
            Shape::Vg1(shape) => Some(shape.kid),
            Shape::Vg2(shape) => Some(shape.kid),
            Shape::Phoenix(_) | Shape::Bare(_) => None,
        }
    }

    /// The text that was read, without the white space around it. Whoever holds it holds the ticket: never log it.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The claims **without any check of the signature**: anybody can write them.
    ///
    /// Only for a device without HMAC keys, which looks the code up in its signed manifest and says so by a warning.
    pub fn unverified_claims(&self) -> Result<Claims, Malformed> {
        match &self.shape {
            Shape::Vg1(shape) => Ok(shape.claims()),
            Shape::Vg2(shape) => shape.claims(),
            Shape::Phoenix(shape) => shape.claims(),
            Shape::Bare(code) => Ok(Claims::of_code(*code)),
        }
    }
}

/// Shows format and key only: a payload admits whoever holds it.
impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("format", &self.format())
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

/// What the payload claims, once its key is known and its signature holds: checks 2 and 3 but for the time window.
///
/// The reasons are `unknown_key`, `key_revoked`, `unsigned_not_allowed`, `bad_signature`, and `malformed` for signed
/// claims that make no sense. The caller checks [`Claims::window`] where it applies: for entries, not for exits.
pub fn verify(
    payload: &Payload<'_>,
    keyring: &Keyring,
    phoenix: Option<&PhoenixKeys>,
    allow_unsigned: bool,
) -> Result<Claims, Reason> {
    match &payload.shape {
        Shape::Vg1(shape) => shape.verify(keyring.vg1(shape.kid)?),
        Shape::Vg2(shape) => shape.verify(keyring.vg2(shape.kid)?),
        Shape::Phoenix(shape) => shape.verify(phoenix.ok_or(Reason::UnknownKey)?),
        Shape::Bare(code) if allow_unsigned => Ok(Claims::of_code(*code)),
        Shape::Bare(_) => Err(Reason::UnsignedNotAllowed),
    }
}

/// The SHA-256 of a payload's text without the ASCII white space around it: what a record keeps of the payload.
#[must_use]
pub fn payload_sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.trim_ascii()).into()
}

#[cfg(test)]
mod tests;

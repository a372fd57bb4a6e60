//! Ticket payloads: parsing and signature verification.
//!
//! [`Payload::parse`] checks structure, alphabet and lengths. [`verify`] finds the key, checks the signature and then reads
//! the claims. The caller checks [`Claims::window`], because exits skip it. Together these are checks 1 to 3.
//!
//! Invariants: the prefix selects the format, and nothing inside a payload selects an algorithm; parsing never panics and
//! never allocates by a length that it read; claims are read only after their signature is verified.

mod base64url;
mod keyring;
mod media;
pub mod phoenix;
pub mod vectors;
mod vg1;
mod vg2;
#[cfg(feature = "node")]
mod webhook_secret;

use std::fmt;

use sha2::{Digest, Sha256};

pub use crate::model::trim_reading;
use crate::model::{Claims, Format, KeyId, Reading, Reason, TicketCode};
pub use keyring::{InvalidMasterSecret, Keyring, KeyringError, MasterSecret, is_manifest_signature_valid};
pub use media::{MediumClaim, MediumUse, fingerprint, medium_of, take_reading, verify_reading};
pub use phoenix::{InvalidPhoenixKeys, KeyDerivation, KeyDigest, PhoenixKeys};
pub(crate) use vg1::Vg1Key;
pub use vg2::Vg2Claims;
#[cfg(feature = "node")]
pub use webhook_secret::{SealedSecret, UnreadableSecret};

/// The maximum length of a payload in bytes, after [`trim_reading`].
pub const MAX_PAYLOAD: usize = 2048;

/// A payload that is shorter, in characters, is not signed.
const MIN_SIGNED_LENGTH: usize = 30;

/// The error of a payload of no known format or with invalid claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a ticket payload")]
pub struct Malformed;

impl From<Malformed> for Reason {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// A parsed payload. Its signature is not verified yet.
#[derive(Clone)]
pub struct Payload<'a> {
    text: &'a str,
    token: Token<'a>,
}

#[derive(Clone)]
enum Token<'a> {
    Vg1(vg1::Vg1Token<'a>),
    Vg2(vg2::Vg2Token<'a>),
    Phoenix(phoenix::PhoenixToken<'a>),
    Bare(TicketCode),
}

impl<'a> Payload<'a> {
    /// Parses the text of a QR code or a typed code.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        let text = trim_reading(text);
        if text.len() > MAX_PAYLOAD || !text.is_ascii() {
            return Err(Malformed);
        }
        let token = if text.starts_with(vg1::PREFIX) {
            Token::Vg1(vg1::Vg1Token::parse(text)?)
        } else if text.starts_with(vg2::PREFIX) {
            Token::Vg2(vg2::Vg2Token::parse(text)?)
        } else if let Some(algorithm) = phoenix::Algorithm::of(text) {
            Token::Phoenix(phoenix::PhoenixToken::parse(algorithm, text)?)
        } else {
            Token::Bare(TicketCode::parse_typed(text).map_err(|_| Malformed)?)
        };
        Ok(Self { text, token })
    }

    /// Parses a reading of a device. Text that staff type must be a bare code. A medium is no payload.
    pub fn parse_reading(reading: &'a Reading) -> Result<Self, Malformed> {
        match reading {
            Reading::Medium(_) => Err(Malformed),
            Reading::Qr(text) => Self::parse(text),
            Reading::TicketCode(text) => {
                let payload = Self::parse(text)?;
                (payload.format() == Format::Bare)
                    .then_some(payload)
                    .ok_or(Malformed)
            }
        }
    }

    /// The payload's format.
    #[must_use]
    pub fn format(&self) -> Format {
        match self.token {
            Token::Vg1(_) => Format::Vg1,
            Token::Vg2(_) => Format::Vg2,
            Token::Phoenix(_) => Format::Phoenix,
            Token::Bare(_) => Format::Bare,
        }
    }

    /// The key id in the payload (`vg1` and `vg2` only).
    #[must_use]
    pub fn kid(&self) -> Option<KeyId> {
        match &self.token {
            Token::Vg1(token) => Some(token.kid),
            Token::Vg2(token) => Some(token.kid),
            Token::Phoenix(_) | Token::Bare(_) => None,
        }
    }

    /// The text as [`trim_reading`] leaves it. It is a bearer secret: never log it.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The claims **without a check of the signature**.
    ///
    /// Only for a device without HMAC keys: it looks the code up in its signed manifest and warns that the signature was not
    /// checked.
    pub fn unverified_claims(&self) -> Result<Claims, Malformed> {
        match &self.token {
            Token::Vg1(token) => Ok(token.claims()),
            Token::Vg2(token) => token.claims(),
            Token::Phoenix(token) => token.claims(),
            Token::Bare(code) => Ok(Claims::of_code(*code)),
        }
    }
}

/// Whether the prefix of a trimmed text claims it for a format, whatever follows.
fn has_prefix(text: &str) -> bool {
    text.starts_with(vg1::PREFIX) || text.starts_with(vg2::PREFIX) || phoenix::Algorithm::of(text).is_some()
}

/// Shows only format and key id: a payload is a bearer secret.
impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("format", &self.format())
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

/// Verifies the signature and returns the claims: checks 2 and 3 without the validity window.
///
/// Fails with `unknown_key`, `key_revoked`, `unsigned_not_allowed`, `bad_signature`, or `malformed` for invalid signed
/// claims. The caller checks [`Claims::window`] for entries.
pub fn verify(
    payload: &Payload<'_>,
    keyring: &Keyring,
    phoenix: Option<&PhoenixKeys>,
    allow_unsigned: bool,
) -> Result<Claims, Reason> {
    match &payload.token {
        Token::Vg1(token) => token.verify(keyring.vg1(token.kid)?),
        Token::Vg2(token) => token.verify(keyring.vg2(token.kid)?),
        Token::Phoenix(token) => token.verify(phoenix.ok_or(Reason::UnknownKey)?),
        Token::Bare(code) if allow_unsigned => Ok(Claims::of_code(*code)),
        Token::Bare(_) => Err(Reason::UnsignedNotAllowed),
    }
}

/// The SHA-256 of a payload's text as [`trim_reading`] leaves it. Scan records store it.
#[must_use]
pub fn payload_sha256(text: &str) -> [u8; 32] {
    Sha256::digest(trim_reading(text)).into()
}

/// Whether a denied payload looks as if Caps Lock or another keyboard layout changed it: the scanner's settings are wrong.
#[must_use]
pub fn suggests_scanner_settings(text: &str, reason: Reason) -> bool {
    let text = trim_reading(text);
    matches!(reason, Reason::Malformed | Reason::BadSignature)
        && text.chars().count() >= MIN_SIGNED_LENGTH
        && !(text.chars().any(char::is_lowercase) && text.chars().any(char::is_uppercase))
}

#[cfg(test)]
mod tests;

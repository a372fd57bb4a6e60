//! What does the QR code say, and may it be believed?
//!
//! [`Payload::parse`] checks shape, alphabet and lengths; [`verify`] finds the key, checks the signature and only then
//! reads the claims; [`Window::check`] is left to the caller, because exits skip it. Together they are checks 1 to 3.
//!
//! Invariants: the prefix picks the format and nothing inside the payload picks an algorithm; parsing never panics and
//! never allocates by a length that it read; a claim is read only once the signature over it holds.

mod base64url;
pub mod phoenix;
pub mod vectors;
mod vg1;
mod vg2;

use std::fmt;

use sha2::{Digest, Sha256};

use crate::text::words;
use crate::{EventId, KeyId, Keyring, OrganizationId, Reading, Reason, TicketCode, TicketId, Timestamp};
use phoenix::PhoenixKeys;
pub(crate) use vg1::Vg1Key;
pub use vg2::Vg2Claims;

/// The longest payload in bytes, white space around it not counted.
pub const MAX_PAYLOAD: usize = 2048;

words! {
    /// The formats of payloads.
    pub enum Format {
        /// HMAC-SHA256 over a code.
        Vg1 = "vg1",
        /// Ed25519 over claims.
        Vg2 = "vg2",
        /// A Phoenix.Token of the ticketing platform.
        Phoenix = "phoenix",
        /// A code without a signature, typed by staff.
        Bare = "bare",
    }
}

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

/// What a payload says of its ticket. At least one of code and id is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claims {
    /// The ticket's code.
    pub ticket_code: Option<TicketCode>,
    /// The ticket's id (Phoenix only).
    pub ticket_id: Option<TicketId>,
    /// Whose ticket it is (Phoenix only; a key of the other formats belongs to one organization anyway).
    pub organization_id: Option<OrganizationId>,
    /// The event that the ticket is for.
    pub event_id: Option<EventId>,
    /// When the payload holds.
    pub window: Window,
    /// The number of the ticket's class (`vg2` only).
    pub ticket_class: Option<u16>,
    /// How many people the ticket lets in, at least one (`vg2` only).
    pub entry_limit: Option<u8>,
}

impl Claims {
    pub(crate) fn of_code(code: TicketCode) -> Self {
        Self {
            ticket_code: Some(code),
            ..Self::default()
        }
    }
}

/// When a payload holds: both ends belong to it, an absent end is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// The first moment.
    pub not_before: Option<Timestamp>,
    /// The last moment. An end that was written in seconds holds until its second is over.
    pub not_after: Option<Timestamp>,
    /// Whether the ends were written in seconds: then only whole seconds are compared.
    in_seconds: bool,
}

impl Window {
    /// A window whose ends are exact to the millisecond.
    #[must_use]
    pub const fn new(not_before: Option<Timestamp>, not_after: Option<Timestamp>) -> Self {
        Self {
            not_before,
            not_after,
            in_seconds: false,
        }
    }

    /// A window in Unix seconds, where 0 is an open end.
    #[must_use]
    pub fn from_seconds(not_before: u32, not_after: u32) -> Self {
        let end = |seconds: u32| (seconds != 0).then(|| Timestamp::from_seconds(seconds.into()));
        Self {
            not_before: end(not_before),
            not_after: end(not_after),
            in_seconds: true,
        }
    }

    /// Whether the payload holds at `now`: else [`Reason::TokenNotYetValid`] or [`Reason::TokenExpired`].
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

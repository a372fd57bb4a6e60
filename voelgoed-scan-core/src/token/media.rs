//! What a reading names if it is no payload of ours: a medium.
//!
//! Which of the two it is depends on the event, so a reading keeps both possible hashes until the event is known.

use serde::{Deserialize, Serialize};

use super::{Keyring, Payload, PhoenixKeys, has_prefix, payload_sha256, trim_reading, verify};
use crate::model::{Claims, Event, Fingerprint, Format, Medium, Reading, Reason};

/// The medium that a reading may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediumClaim {
    /// The SHA-256 of the medium's text.
    pub sha256: [u8; 32],
    /// The format of its record.
    pub format: Format,
    /// Whether the reading names the medium outright. Otherwise it is the text of a code that no format claims, or that has
    /// the shape of a ticket code.
    pub outright: bool,
}

/// How an event takes a reading that may name a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediumUse {
    /// As a payload.
    Payload,
    /// As the medium.
    Medium,
    /// As a ticket code if a ticket has it, otherwise as the medium.
    CodeOrMedium,
    /// Not at all.
    Refused(Reason),
}

/// The medium that a reading may name: its text, and what records keep of it.
#[must_use]
pub fn medium_of(reading: &Reading) -> Option<(Medium, MediumClaim)> {
    let (medium, outright) = match reading {
        Reading::Medium(medium) => (medium.clone(), true),
        Reading::Qr(text) if !has_prefix(trim_reading(text)) => (Medium::barcode(text).ok()?, false),
        Reading::Qr(_) | Reading::TicketCode(_) => return None,
    };
    let claim = MediumClaim {
        sha256: medium.sha256(),
        format: medium.format(),
        outright,
    };
    Some((medium, claim))
}

/// What a record keeps of a reading before its event is known. `payload` and `medium` are what the reading may be.
#[must_use]
pub fn fingerprint(
    reading: &Reading,
    payload: Option<&Payload<'_>>,
    medium: Option<&MediumClaim>,
) -> Fingerprint {
    let (named, possible) = match medium {
        Some(claim) if claim.outright => (Some(claim.format), None),
        Some(claim) => (None, Some(claim.sha256)),
        None => (None, None),
    };
    Fingerprint {
        sha256: payload_sha256(reading.text()),
        other_sha256: possible,
        format: payload.map(Payload::format).or(named),
        kid: payload.and_then(Payload::kid),
    }
}

/// Parses and verifies a reading as a payload. `medium` is what it may be otherwise. Returns its fingerprint, and its claims or
/// the reason of the denial.
pub fn verify_reading(
    reading: &Reading,
    medium: Option<&MediumClaim>,
    keyring: &Keyring,
    phoenix: Option<&PhoenixKeys>,
    allow_unsigned: bool,
) -> (Fingerprint, Result<Claims, Reason>) {
    let payload = Payload::parse_reading(reading).ok();
    let claims = match &payload {
        Some(payload) => verify(payload, keyring, phoenix, allow_unsigned),
        None => Err(Reason::Malformed),
    };
    (fingerprint(reading, payload.as_ref(), medium), claims)
}

impl MediumClaim {
    /// How an event takes the reading. `read` is what it says as a payload.
    #[must_use]
    pub const fn used_at(&self, event: &Event, read: Option<Format>) -> MediumUse {
        match (self.outright, event.allow_media) {
            (true, false) => MediumUse::Refused(Reason::UnsignedNotAllowed),
            (false, false) => MediumUse::Payload,
            (false, true) if event.allow_unsigned && matches!(read, Some(Format::Bare)) => {
                MediumUse::CodeOrMedium
            }
            (true | false, true) => MediumUse::Medium,
        }
    }

    /// The fingerprint of the reading as this medium. `read` is its fingerprint as a payload.
    #[must_use]
    pub fn fingerprint(&self, read: &Fingerprint) -> Fingerprint {
        Fingerprint {
            sha256: self.sha256,
            other_sha256: (read.sha256 != self.sha256).then_some(read.sha256),
            format: Some(self.format),
            kid: None,
        }
    }
}

/// Takes a reading as an event takes it: its fingerprint, and its claims or the reason of the denial.
///
/// `read` is what the reading says as a payload. `is_code` tells whether a ticket has the code in its claims. `named` gives
/// the claims of the medium, which are empty if no ticket has it.
pub fn take_reading(
    event: &Event,
    medium: Option<&MediumClaim>,
    read: (Fingerprint, Result<Claims, Reason>),
    is_code: impl FnOnce(&Claims) -> bool,
    named: impl FnOnce() -> Claims,
) -> (Fingerprint, Result<Claims, Reason>) {
    let Some(claim) = medium else { return read };
    let (fingerprint, claims) = &read;
    match claim.used_at(event, fingerprint.format) {
        MediumUse::Payload => read,
        MediumUse::Refused(reason) => (claim.fingerprint(fingerprint), Err(reason)),
        MediumUse::CodeOrMedium if claims.as_ref().is_ok_and(is_code) => read,
        MediumUse::Medium | MediumUse::CodeOrMedium => (claim.fingerprint(fingerprint), Ok(named())),
    }
}

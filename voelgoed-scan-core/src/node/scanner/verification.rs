//! Parses and verifies what a device read: checks 1 to 3, without the validity window that the payload claims.

use crate::model::{Claims, Fingerprint, Reading, Reason};
use crate::token::{Keyring, Malformed, Payload, PhoenixKeys, payload_sha256, verify};

/// Parses and verifies a reading. Returns its fingerprint, and its claims or the reason of the denial.
pub(super) fn verify_reading(
    reading: &Reading,
    keyring: &Keyring,
    phoenix: Option<&PhoenixKeys>,
    allow_unsigned: bool,
) -> (Fingerprint, Result<Claims, Reason>) {
    let mut fingerprint = Fingerprint {
        sha256: payload_sha256(reading.text()),
        format: None,
        kid: None,
    };
    let payload = match Payload::parse_reading(reading) {
        Ok(payload) => payload,
        Err(Malformed) => return (fingerprint, Err(Reason::Malformed)),
    };
    fingerprint.format = Some(payload.format());
    fingerprint.kid = payload.kid();
    (fingerprint, verify(&payload, keyring, phoenix, allow_unsigned))
}

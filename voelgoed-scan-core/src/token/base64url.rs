//! Canonical base64url without padding (RFC 4648, section 5), as payloads use it.
//!
//! Canonical means that every value has exactly one text. Otherwise trailing bits or padding would allow a second payload of
//! a genuine ticket.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Malformed;

/// Encodes `bytes`.
pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes a text of exactly `N` bytes.
pub(super) fn decode_exactly<const N: usize>(text: &str) -> Result<[u8; N], Malformed> {
    // The decoder needs an output buffer for whole groups, so the length is checked first.
    if text.len() != (N * 4).div_ceil(3) {
        return Err(Malformed);
    }
    let mut bytes = [0; N];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(length) if length == N => Ok(bytes),
        _ => Err(Malformed),
    }
}

/// Decodes a text of any length. The caller limits the length.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Malformed)
}

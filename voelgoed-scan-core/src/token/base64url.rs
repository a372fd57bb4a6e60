//! How do bytes stand in a payload? In base64url (RFC 4648, section 5) without padding, canonical.
//!
//! Canonical means that every value has one text: a set trailing bit or a padding would let anybody make a second
//! payload of a genuine one.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Malformed;

/// The text of `bytes`.
pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a text that must spell exactly `N`.
pub(super) fn decode_exactly<const N: usize>(text: &str) -> Result<[u8; N], Malformed> {
    // The decoder wants room for whole groups; the length is checked first, so that none is too long.
    if text.len() != (N * 4).div_ceil(3) {
        return Err(Malformed);
    }
    let mut bytes = [0; N];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(length) if length == N => Ok(bytes),
        _ => Err(Malformed),
    }
}

/// The bytes of a text of any length; the caller has bounded the text.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Malformed)
}

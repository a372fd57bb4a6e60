//! VG1 payloads: `VG1.<kid>.<code>.<tag>`, the smallest QR code. The tag is HMAC-SHA256, truncated to 128 bits, over the
//! text before it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Claims, Malformed, base64url};
use crate::model::{KeyId, Reason, TicketCode};

pub(super) const PREFIX: &str = "VG1.";

/// The length of the tag in bytes: half of the HMAC, the minimum that RFC 2104, section 5, recommends.
const TAG_LENGTH: usize = 16;

/// An HMAC that is initialised with a key. Cloning it saves half of the hashing of every scan.
#[derive(Clone)]
pub(crate) struct Vg1Key(Hmac<Sha256>);

impl Vg1Key {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes keys of every length"))
    }

    /// Signs the payload of `code` as the key `kid`.
    pub(crate) fn sign(&self, kid: KeyId, code: TicketCode) -> String {
        let signed = format!("{PREFIX}{kid}.{code}");
        let tag = self.0.clone().chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", base64url::encode(&tag[..TAG_LENGTH]))
    }
}

/// A parsed payload.
#[derive(Clone)]
pub(super) struct Vg1Token<'a> {
    pub(super) kid: KeyId,
    signed: &'a str,
    code: TicketCode,
    tag: [u8; TAG_LENGTH],
}

impl<'a> Vg1Token<'a> {
    /// Parses a text that starts with [`PREFIX`].
    pub(super) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let (signed, tag) = text.rsplit_once('.').ok_or(Malformed)?;
        let (kid, code) = signed
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('.'))
            .ok_or(Malformed)?;
        Ok(Self {
            kid: kid.parse().map_err(|_| Malformed)?,
            signed,
            code: code.parse().map_err(|_| Malformed)?,
            tag: base64url::decode_exactly(tag)?,
        })
    }

    pub(super) fn claims(&self) -> Claims {
        Claims::of_code(self.code)
    }

    pub(super) fn verify(&self, key: &Vg1Key) -> Result<Claims, Reason> {
        // The comparison takes constant time.
        let mac = key.0.clone().chain_update(self.signed);
        mac.verify_truncated_left(&self.tag)
            .map_err(|_| Reason::BadSignature)?;
        Ok(self.claims())
    }
}

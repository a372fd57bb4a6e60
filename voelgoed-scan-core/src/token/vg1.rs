//! What is a VG1 payload? `VG1.<kid>.<code>.<tag>`: the smallest QR, an HMAC-SHA256 cut to 128 bits over what is before
//! it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Claims, Malformed, base64url};
use crate::model::{KeyId, Reason, TicketCode};

pub(super) const PREFIX: &str = "VG1.";

/// The bytes of the tag: the first half of the HMAC, as RFC 2104 section 5 allows at the least.
const TAG_LENGTH: usize = 16;

/// A key's HMAC with the key already taken in: cloning it saves half of the hashing of every scan.
#[derive(Clone)]
pub(crate) struct Vg1Key(Hmac<Sha256>);

impl Vg1Key {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes keys of every length"))
    }

    /// The payload that this key, named `kid`, signs for `code`.
    pub(crate) fn sign(&self, kid: KeyId, code: TicketCode) -> String {
        let signed = format!("{PREFIX}{kid}.{code}");
        let tag = self.0.clone().chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", base64url::encode(&tag[..TAG_LENGTH]))
    }
}

/// A payload of the right shape.
#[derive(Clone)]
pub(super) struct Shape<'a> {
    pub(super) kid: KeyId,
    signed: &'a str,
    code: TicketCode,
    tag: [u8; TAG_LENGTH],
}

impl<'a> Shape<'a> {
    /// Reads a text that starts with [`PREFIX`].
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
        // Compares in constant time.
        let mac = key.0.clone().chain_update(self.signed);
        mac.verify_truncated_left(&self.tag)
            .map_err(|_| Reason::BadSignature)?;
        Ok(self.claims())
    }
}

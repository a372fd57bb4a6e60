//! Phoenix payloads: Phoenix.Token as `plug_crypto` signs it, `<header>.<payload>.<signature>`.
//!
//! The payload is an Erlang external term `{data, signed_at_ms, max_age_s}`. Base64url must be canonical: Elixir's decoder
//! accepts trailing bits and padding, but its encoder never writes them. So no genuine token is refused, and no second
//! text of a token can be made.

mod claims;
mod keys;
mod term;

use hmac::Mac;

use super::{Claims, Malformed, base64url};
use crate::model::Reason;
pub use keys::{InvalidPhoenixKeys, KeyDerivation, KeyDigest, PhoenixKeys};

/// The HMACs of the headers. A header is compared as text and never decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Hs256, Self::Hs384, Self::Hs512];

    /// The algorithm of the header at the start of `text`.
    pub(super) fn of(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| text.starts_with(algorithm.prefix()))
    }

    /// The base64url of `HS256`, `HS384`, `HS512`, and a dot.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Hs256 => "SFMyNTY.",
            Self::Hs384 => "SFMzODQ.",
            Self::Hs512 => "SFM1MTI.",
        }
    }

    const fn signature_length(self) -> usize {
        match self {
            Self::Hs256 => 32,
            Self::Hs384 => 48,
            Self::Hs512 => 64,
        }
    }
}

/// A parsed payload.
#[derive(Clone)]
pub(super) struct PhoenixToken<'a> {
    algorithm: Algorithm,
    signed: &'a str,
    term: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> PhoenixToken<'a> {
    /// Parses a text that starts with the algorithm's header.
    pub(super) fn parse(algorithm: Algorithm, text: &'a str) -> Result<Self, Malformed> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Malformed)?;
        let payload = signed.strip_prefix(algorithm.prefix()).ok_or(Malformed)?;
        let signature = base64url::decode(signature)?;
        if signature.len() != algorithm.signature_length() {
            return Err(Malformed);
        }
        Ok(Self {
            algorithm,
            signed,
            term: base64url::decode(payload)?,
            signature,
        })
    }

    pub(super) fn claims(&self) -> Result<Claims, Malformed> {
        claims::read(&self.term)
    }

    pub(super) fn verify(&self, keys: &PhoenixKeys) -> Result<Claims, Reason> {
        let is_valid = match self.algorithm {
            Algorithm::Hs256 => self.is_signed_by(keys.sha256.clone()),
            Algorithm::Hs384 => self.is_signed_by(keys.sha384.clone()),
            Algorithm::Hs512 => self.is_signed_by(keys.sha512.clone()),
        };
        if is_valid {
            Ok(self.claims()?)
        } else {
            Err(Reason::BadSignature)
        }
    }

    fn is_signed_by(&self, mac: impl Mac) -> bool {
        // The comparison takes constant time.
        mac.chain_update(self.signed)
            .verify_slice(&self.signature)
            .is_ok()
    }
}

#[cfg(test)]
impl PhoenixKeys {
    /// A signed token of any bytes.
    pub(super) fn sign(&self, term: &[u8]) -> String {
        let signed = format!("{}{}", Algorithm::Hs256.prefix(), base64url::encode(term));
        let signature = self.sha256.clone().chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", base64url::encode(&signature))
    }
}

#[cfg(test)]
mod tests;

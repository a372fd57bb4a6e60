//! The keys of Phoenix.Token, derived from the platform's `secret_key_base`.

use std::fmt;

use hmac::{Hmac, KeyInit};
use pbkdf2::pbkdf2_hmac;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::model::text::string_enum;

string_enum! {
    /// The hash function of PBKDF2.
    pub enum KeyDigest {
        /// SHA-256, the default of `plug_crypto`.
        Sha256 = "sha256",
        /// SHA-384.
        Sha384 = "sha384",
        /// SHA-512.
        Sha512 = "sha512",
    }
}

/// The parameters of the key derivation. The default is that of `plug_crypto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDerivation {
    /// The number of iterations (`key_iterations`).
    pub iterations: u32,
    /// The length of the key in bytes (`key_length`).
    pub length: usize,
    /// The hash function (`key_digest`).
    pub digest: KeyDigest,
}

impl Default for KeyDerivation {
    fn default() -> Self {
        Self {
            iterations: 1000,
            length: 32,
            digest: KeyDigest::Sha256,
        }
    }
}

/// The error of settings that give no secure key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhoenixKeys {
    /// The secret is shorter than Phoenix accepts.
    #[error("the secret key base must have at least {} bytes", PhoenixKeys::MIN_SECRET)]
    ShortSecret,
    /// The salt is empty.
    #[error("the salt must not be empty")]
    EmptySalt,
    /// The number of iterations is 0.
    #[error("the number of key iterations must be at least 1")]
    NoIterations,
    /// The key length is 0 or too large.
    #[error("the key length must be 1 to {} bytes", PhoenixKeys::MAX_LENGTH)]
    KeyLength,
}

/// The keys that verify Phoenix.Tokens. They are derived once.
#[derive(Clone)]
pub struct PhoenixKeys {
    // The HMACs are initialised with the key.
    pub(super) sha256: Hmac<Sha256>,
    pub(super) sha384: Hmac<Sha384>,
    pub(super) sha512: Hmac<Sha512>,
}

impl PhoenixKeys {
    /// The minimum length of `secret_key_base` in bytes, as in `Phoenix.Token`.
    pub const MIN_SECRET: usize = 20;
    /// The maximum length of the key in bytes, far above what an HMAC uses.
    pub const MAX_LENGTH: usize = 1024;

    /// Derives the keys. The salt is the second argument of `Phoenix.Token.sign`, which has no default.
    pub fn derive(
        secret_key_base: &str,
        salt: &str,
        derivation: KeyDerivation,
    ) -> Result<Self, InvalidPhoenixKeys> {
        let KeyDerivation {
            iterations,
            length,
            digest,
        } = derivation;
        if secret_key_base.len() < Self::MIN_SECRET {
            return Err(InvalidPhoenixKeys::ShortSecret);
        }
        if salt.is_empty() {
            return Err(InvalidPhoenixKeys::EmptySalt);
        }
        if iterations == 0 {
            return Err(InvalidPhoenixKeys::NoIterations);
        }
        if !(1..=Self::MAX_LENGTH).contains(&length) {
            return Err(InvalidPhoenixKeys::KeyLength);
        }
        let mut key = Zeroizing::new(vec![0; length]);
        let (secret, salt) = (secret_key_base.as_bytes(), salt.as_bytes());
        match digest {
            KeyDigest::Sha256 => pbkdf2_hmac::<Sha256>(secret, salt, iterations, &mut key),
            KeyDigest::Sha384 => pbkdf2_hmac::<Sha384>(secret, salt, iterations, &mut key),
            KeyDigest::Sha512 => pbkdf2_hmac::<Sha512>(secret, salt, iterations, &mut key),
        }
        Ok(Self {
            sha256: keyed(&key),
            sha384: keyed(&key),
            sha512: keyed(&key),
        })
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of every length")
}

/// Hides the keys.
impl fmt::Debug for PhoenixKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhoenixKeys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OrganizationId, Reason};
    use crate::token::{Keyring, Payload, verify};

    const SECRET: &str = "a secret of the platform";
    const SALT: &str = "ticket qr";

    #[test]
    fn settings_that_give_no_secure_key_are_refused() {
        let derive = PhoenixKeys::derive;
        let defaults = KeyDerivation::default();
        let error = |keys: Result<PhoenixKeys, _>| keys.err();
        assert_eq!(
            error(derive("short", SALT, defaults)),
            Some(InvalidPhoenixKeys::ShortSecret)
        );
        assert_eq!(
            error(derive(SECRET, "", defaults)),
            Some(InvalidPhoenixKeys::EmptySalt)
        );
        let without = KeyDerivation {
            iterations: 0,
            ..defaults
        };
        assert_eq!(
            error(derive(SECRET, SALT, without)),
            Some(InvalidPhoenixKeys::NoIterations)
        );
        for length in [0, PhoenixKeys::MAX_LENGTH + 1] {
            let derivation = KeyDerivation { length, ..defaults };
            assert_eq!(
                error(derive(SECRET, SALT, derivation)),
                Some(InvalidPhoenixKeys::KeyLength)
            );
        }
        let keys = derive(SECRET, SALT, defaults).expect("usable settings");
        assert_eq!(format!("{keys:?}"), "PhoenixKeys { .. }");
    }

    #[test]
    fn every_derivation_parameter_changes_the_keys() {
        let defaults = KeyDerivation::default();
        let ours = PhoenixKeys::derive(SECRET, SALT, defaults).expect("usable settings");
        let genuine = ours.sign(b"anything");
        let payload = Payload::parse(&genuine).expect("the right shape");
        let keyring =
            Keyring::public(OrganizationId::from_uuid(uuid::Uuid::nil()), &[]).expect("an empty keyring");
        for derivation in [
            KeyDerivation {
                digest: KeyDigest::Sha384,
                ..defaults
            },
            KeyDerivation {
                digest: KeyDigest::Sha512,
                ..defaults
            },
            KeyDerivation {
                length: 64,
                ..defaults
            },
            KeyDerivation {
                iterations: 999,
                ..defaults
            },
        ] {
            let keys = PhoenixKeys::derive(SECRET, SALT, derivation).expect("usable");
            assert_eq!(
                verify(&payload, &keyring, Some(&keys), false),
                Err(Reason::BadSignature)
            );
        }
        assert_eq!(
            verify(&payload, &keyring, Some(&ours), false),
            Err(Reason::Malformed)
        );
    }
}

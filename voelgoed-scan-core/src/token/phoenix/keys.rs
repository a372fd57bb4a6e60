//! What verifies a Phoenix.Token? A key that both sides derive from the platform's `secret_key_base`.

use std::fmt;

use hmac::{Hmac, KeyInit};
use pbkdf2::pbkdf2_hmac;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::model::text::string_enum;

string_enum! {
    /// The hash that PBKDF2 stretches the secret with.
    pub enum KeyDigest {
        /// SHA-256, the default of `plug_crypto`.
        Sha256 = "sha256",
        /// SHA-384.
        Sha384 = "sha384",
        /// SHA-512.
        Sha512 = "sha512",
    }
}

/// How the key is derived from the secret; the default is that of `plug_crypto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyDerivation {
    /// Rounds of PBKDF2 (`key_iterations`).
    pub iterations: u32,
    /// The key's length in bytes (`key_length`).
    pub length: usize,
    /// The hash (`key_digest`).
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

/// Settings that give no key worth the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhoenixKeys {
    /// The secret is shorter than Phoenix itself would take.
    #[error("the secret key base must have at least {} bytes", PhoenixKeys::MIN_SECRET)]
    ShortSecret,
    /// No salt.
    #[error("the salt must not be empty")]
    EmptySalt,
    /// No round at all.
    #[error("the number of key iterations must be at least 1")]
    NoIterations,
    /// A key of no or of very many bytes.
    #[error("the key length must be 1 to {} bytes", PhoenixKeys::MAX_LENGTH)]
    KeyLength,
}

/// The keys that Phoenix.Tokens are verified with, derived once.
#[derive(Clone)]
pub struct PhoenixKeys {
    // The HMACs with the key already taken in.
    pub(super) sha256: Hmac<Sha256>,
    pub(super) sha384: Hmac<Sha384>,
    pub(super) sha512: Hmac<Sha512>,
}

impl PhoenixKeys {
    /// The fewest bytes that `Phoenix.Token` takes for a `secret_key_base`.
    pub const MIN_SECRET: usize = 20;
    /// The longest key, far above what any of the HMACs makes use of.
    pub const MAX_LENGTH: usize = 1024;

    /// Derives the keys. The salt is the second argument of `Phoenix.Token.sign`; Phoenix has no default for it, and
    /// neither has this.
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

/// Shows nothing of the keys.
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
    fn settings_without_a_key_worth_the_name_are_refused() {
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
    fn each_digest_and_length_gives_other_keys() {
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

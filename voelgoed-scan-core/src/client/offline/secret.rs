//! The device key: the Ed25519 key (RFC 8032) with which a device signs its uploads.
//!
//! Invariant: the secret half never leaves the device. The app stores its seed in the platform's secret storage.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use crate::model::DeviceKey;
use crate::sync::BatchSignature;

/// The secret half of a device key.
#[derive(Clone)]
pub struct DeviceSecret(SigningKey);

impl DeviceSecret {
    /// Generates a key with the operating system's random number generator.
    #[must_use]
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        crate::model::random::fill(seed.as_mut_slice());
        Self::from_seed(&seed)
    }

    /// Creates the key from its seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Returns the seed. Pass it only to the secret store.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// Returns the public half.
    #[must_use]
    pub fn public(&self) -> DeviceKey {
        DeviceKey::new(self.0.verifying_key().to_bytes())
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> BatchSignature {
        BatchSignature::new(self.0.sign(bytes).to_bytes())
    }
}

/// Shows nothing.
impl fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceSecret(…)")
    }
}

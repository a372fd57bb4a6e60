//! The master secret of the server. The secrets of all organizations are derived from it by HKDF-SHA256 (RFC 5869).

use std::fmt;

#[cfg(feature = "node")]
use ed25519_dalek::Signer as _;
use ed25519_dalek::SigningKey as Ed25519Key;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{KeyFormat, KeyId};
use crate::model::{OrganizationId, hex};

/// The error of a text or bytes that are no master secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMasterSecret {
    /// It is not an even number of hexadecimal digits.
    #[error("the master secret is not hexadecimal")]
    NotHex,
    /// It has fewer than [`MasterSecret::MIN_LENGTH`] bytes.
    #[error("the master secret must have at least {} bytes", MasterSecret::MIN_LENGTH)]
    TooShort,
}

/// The master secret. It allows signing for every organization.
#[derive(Clone)]
pub struct MasterSecret(Zeroizing<Vec<u8>>);

impl MasterSecret {
    /// The minimum length in bytes.
    pub const MIN_LENGTH: usize = 32;

    /// A new secret of [`Self::MIN_LENGTH`] bytes from the operating system's random numbers.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new(vec![0; Self::MIN_LENGTH]);
        crate::model::random::fill(&mut bytes);
        Self(bytes)
    }

    /// Copies the bytes of a secret.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidMasterSecret> {
        if bytes.len() < Self::MIN_LENGTH {
            return Err(InvalidMasterSecret::TooShort);
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// Parses a secret in hexadecimal. Surrounding white space, such as a file's last line break, is ignored.
    pub fn from_hex(text: &str) -> Result<Self, InvalidMasterSecret> {
        let text = text.trim_ascii();
        let mut bytes = Zeroizing::new(vec![0; text.len() / 2]);
        hex::decode_into(text, &mut bytes).map_err(|_| InvalidMasterSecret::NotHex)?;
        if bytes.len() < Self::MIN_LENGTH {
            return Err(InvalidMasterSecret::TooShort);
        }
        Ok(Self(bytes))
    }

    /// The secret in hexadecimal, for the secret's file.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(&self.0))
    }

    /// The Ed25519 public key of an organization's VG2 key, for its row.
    #[must_use]
    pub fn vg2_public_key(&self, organization_id: OrganizationId, kid: KeyId) -> [u8; 32] {
        self.vg2_key(organization_id, kid).verifying_key().to_bytes()
    }

    /// The signature of the hash of an entry of an organization's audit log, by its manifest key. A manifest is longer than a
    /// hash, so neither signature serves for the other.
    #[cfg(feature = "node")]
    pub(crate) fn sign_audit_hash(&self, organization_id: OrganizationId, hash: &[u8; 32]) -> [u8; 64] {
        self.manifest_key(organization_id).sign(hash).to_bytes()
    }

    /// The HMAC key of an organization's VG1 key.
    pub(crate) fn vg1_secret(&self, organization_id: OrganizationId, kid: KeyId) -> Zeroizing<[u8; 32]> {
        self.derive(organization_id, &[info(KeyFormat::Vg1), kid.as_str().as_bytes()])
    }

    pub(super) fn vg2_key(&self, organization_id: OrganizationId, kid: KeyId) -> Ed25519Key {
        Ed25519Key::from_bytes(
            &self.derive(organization_id, &[info(KeyFormat::Vg2), kid.as_str().as_bytes()]),
        )
    }

    pub(super) fn manifest_key(&self, organization_id: OrganizationId) -> Ed25519Key {
        Ed25519Key::from_bytes(&self.derive(organization_id, &[b"voelgoed-scan/manifest"]))
    }

    /// The key that encrypts the secrets of an organization's webhooks.
    #[cfg(feature = "node")]
    pub(crate) fn webhook_key(&self, organization_id: OrganizationId) -> Zeroizing<[u8; 32]> {
        self.derive(organization_id, &[b"voelgoed-scan/webhook"])
    }

    #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8,160 bytes")]
    fn derive(&self, organization_id: OrganizationId, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut secret = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(organization_id.as_uuid().as_bytes()), &self.0)
            .expand_multi_info(info, secret.as_mut_slice())
            .expect("HKDF-SHA256 gives up to 8,160 bytes");
        secret
    }
}

/// The HKDF info prefix, which separates the keys of the formats.
fn info(format: KeyFormat) -> &'static [u8] {
    match format {
        KeyFormat::Vg1 => b"voelgoed-scan/VG1/",
        KeyFormat::Vg2 => b"voelgoed-scan/VG2/",
    }
}

/// Hides the secret and its length.
impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterSecret").finish_non_exhaustive()
    }
}

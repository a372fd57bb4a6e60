//! The signing and verification keys of an organization.
//!
//! A [`Keyring`] belongs to one organization.
//!
//! Invariants: secrets are derived when the keyring is built, never during a scan; the rows that it is built from have no
//! secret, so that a copied database cannot sign.

mod master;

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey as Ed25519Key, VerifyingKey};

use crate::model::{KeyFormat, KeyId, KeyStatus, OrganizationId, Reason, SigningKey, TicketCode};
use crate::token::{Vg1Key, Vg2Claims};
pub use master::{InvalidMasterSecret, MasterSecret};

/// The error of rows that give no keyring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// The stored public key differs from the one that the master secret gives.
    #[error("the public key of key {kid} is not the one that this master secret gives: wrong master secret")]
    WrongMasterSecret {
        /// The key.
        kid: KeyId,
    },
    /// The stored public key is no point of the curve.
    #[error("the public key of key {kid} is not an Ed25519 public key")]
    InvalidPublicKey {
        /// The key.
        kid: KeyId,
    },
    /// A VG2 key has no public key, and there is no master secret to derive it from.
    #[error("key {kid} has no public key")]
    MissingPublicKey {
        /// The key.
        kid: KeyId,
    },
}

/// The keys of one organization.
#[derive(Clone)]
pub struct Keyring {
    organization_id: OrganizationId,
    // A revoked key has no secret here: `None`.
    vg1: BTreeMap<KeyId, Option<Vg1Key>>,
    vg2: BTreeMap<KeyId, Option<VerifyingKey>>,
    signers: Option<Signers>,
}

/// The private keys. Only a server has them.
#[derive(Clone)]
struct Signers {
    vg1: Option<(KeyId, Vg1Key)>,
    vg2: Option<(KeyId, Ed25519Key)>,
    manifest: Ed25519Key,
}

impl Keyring {
    /// The keyring of a server. It derives the secret of every key that is not revoked.
    ///
    /// Fails if a stored public key differs from the derived one. Phones would refuse the tickets that such a key signs.
    pub fn derive(
        master: &MasterSecret,
        organization_id: OrganizationId,
        keys: &[SigningKey],
    ) -> Result<Self, KeyringError> {
        let vg1_key = |kid| Vg1Key::new(&master.vg1_secret(organization_id, kid));
        let vg1_signer = newest_active(keys, KeyFormat::Vg1).map(|kid| (kid, vg1_key(kid)));
        let vg2_signer =
            newest_active(keys, KeyFormat::Vg2).map(|kid| (kid, master.vg2_key(organization_id, kid)));
        let mut keyring = Self {
            organization_id,
            vg1: BTreeMap::new(),
            vg2: BTreeMap::new(),
            signers: Some(Signers {
                vg1: vg1_signer,
                vg2: vg2_signer,
                manifest: master.manifest_key(organization_id),
            }),
        };
        for &SigningKey {
            format,
            kid,
            status,
            public_key,
            ..
        } in keys
        {
            let verifies = status != KeyStatus::Revoked;
            match format {
                KeyFormat::Vg1 => {
                    keyring.vg1.insert(kid, verifies.then(|| vg1_key(kid)));
                }
                KeyFormat::Vg2 => {
                    let derived = master.vg2_key(organization_id, kid).verifying_key();
                    if public_key.is_some_and(|stored| stored != derived.to_bytes()) {
                        return Err(KeyringError::WrongMasterSecret { kid });
                    }
                    keyring.vg2.insert(kid, verifies.then_some(derived));
                }
            }
        }
        Ok(keyring)
    }

    /// The keyring of a device. It verifies only VG2 and signs nothing. VG1 keys that are not revoked are unknown to it.
    pub fn public(organization_id: OrganizationId, keys: &[SigningKey]) -> Result<Self, KeyringError> {
        let mut keyring = Self {
            organization_id,
            vg1: BTreeMap::new(),
            vg2: BTreeMap::new(),
            signers: None,
        };
        for &SigningKey {
            format,
            kid,
            status,
            public_key,
            ..
        } in keys
        {
            match (format, status) {
                (KeyFormat::Vg1, KeyStatus::Revoked) => {
                    keyring.vg1.insert(kid, None);
                }
                (KeyFormat::Vg1, KeyStatus::Active | KeyStatus::VerifyOnly) => {}
                (KeyFormat::Vg2, KeyStatus::Revoked) => {
                    keyring.vg2.insert(kid, None);
                }
                (KeyFormat::Vg2, KeyStatus::Active | KeyStatus::VerifyOnly) => {
                    let bytes = public_key.ok_or(KeyringError::MissingPublicKey { kid })?;
                    let key = VerifyingKey::from_bytes(&bytes)
                        .map_err(|_| KeyringError::InvalidPublicKey { kid })?;
                    keyring.vg2.insert(kid, Some(key));
                }
            }
        }
        Ok(keyring)
    }

    /// The organization of the keys.
    #[must_use]
    pub const fn organization_id(&self) -> OrganizationId {
        self.organization_id
    }

    /// The VG1 key `kid`. Fails with [`Reason::UnknownKey`] or [`Reason::KeyRevoked`].
    pub(crate) fn vg1(&self, kid: KeyId) -> Result<&Vg1Key, Reason> {
        usable(&self.vg1, kid)
    }

    /// The VG2 key `kid`. Fails with [`Reason::UnknownKey`] or [`Reason::KeyRevoked`].
    pub(crate) fn vg2(&self, kid: KeyId) -> Result<&VerifyingKey, Reason> {
        usable(&self.vg2, kid)
    }

    /// A VG1 payload of a code, signed by the newest active key; `None` if there is none.
    #[must_use]
    pub fn sign_vg1(&self, code: TicketCode) -> Option<String> {
        let (kid, key) = self.signers.as_ref()?.vg1.as_ref()?;
        Some(key.sign(*kid, code))
    }

    /// A VG2 payload, signed by the newest active key; `None` if there is none.
    #[must_use]
    pub fn sign_vg2(&self, claims: &Vg2Claims) -> Option<String> {
        let (kid, key) = self.signers.as_ref()?.vg2.as_ref()?;
        Some(claims.sign(*kid, key))
    }

    /// The Ed25519 signature of a manifest's bytes; `None` on a device.
    #[must_use]
    pub fn sign_manifest(&self, bytes: &[u8]) -> Option<[u8; 64]> {
        Some(self.signers.as_ref()?.manifest.sign(bytes).to_bytes())
    }

    /// The public key for manifests; `None` on a device, which pinned it at enrolment.
    #[must_use]
    pub fn manifest_key(&self) -> Option<[u8; 32]> {
        Some(self.signers.as_ref()?.manifest.verifying_key().to_bytes())
    }
}

/// Whether a manifest's signature is valid for the key that the device pinned.
#[must_use]
pub fn is_manifest_signature_valid(manifest_key: &[u8; 32], bytes: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(manifest_key).is_ok_and(|key| {
        key.verify_strict(bytes, &Signature::from_bytes(signature))
            .is_ok()
    })
}

/// The key that signs. Of two keys with one creation time it is the one with the larger id, so that all nodes agree.
fn newest_active(keys: &[SigningKey], format: KeyFormat) -> Option<KeyId> {
    keys.iter()
        .filter(|key| key.format == format && key.status == KeyStatus::Active)
        .max_by_key(|key| (key.inserted_at, key.kid))
        .map(|key| key.kid)
}

fn usable<K>(keys: &BTreeMap<KeyId, Option<K>>, kid: KeyId) -> Result<&K, Reason> {
    keys.get(&kid)
        .ok_or(Reason::UnknownKey)?
        .as_ref()
        .ok_or(Reason::KeyRevoked)
}

/// Shows the organization and hides the keys.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("organization_id", &self.organization_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

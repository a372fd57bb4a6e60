//! Where are the secrets? In what the platform has for them, and nowhere else: Keychain, Keystore.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::client::{ClientError, DeviceSecret};
use crate::model::{Device, DeviceToken, IssuedToken, ManifestKey, hex};

/// The secret store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret store failed: {reason}")]
pub struct SecretStoreError {
    /// What it says, for logs.
    pub reason: String,
}

/// Keeps small secrets under names. Implemented by the app.
pub trait SecretStore: Send + Sync {
    /// The secret of that name.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, SecretStoreError>;
    /// Keeps a secret, instead of the one of that name.
    fn set(&self, name: &str, secret: Vec<u8>) -> Result<(), SecretStoreError>;
    /// Forgets the secret of that name, where there is one.
    fn delete(&self, name: &str) -> Result<(), SecretStoreError>;
}

/// Under which name all that an enrolment gave is kept: one secret, so that it is there whole or not at all.
const NAME: &str = "voelgoed-scan.enrollment";

/// What an enrolment gave.
#[derive(Debug, Clone)]
pub(super) struct Enrolled {
    pub(super) server: String,
    pub(super) device: Device,
    pub(super) token: DeviceToken,
    pub(super) device_secret: DeviceSecret,
    pub(super) manifest_key: ManifestKey,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    server: String,
    device: Device,
    token: IssuedToken,
    device_seed: Seed,
    manifest_key: ManifestKey,
}

/// A seed as it is kept: hexadecimal.
struct Seed(Zeroizing<[u8; 32]>);

impl Serialize for Seed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(hex::encode(self.0.as_slice())))
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let mut seed = Zeroizing::new([0; 32]);
        hex::decode_into(&text, seed.as_mut_slice()).map_err(serde::de::Error::custom)?;
        Ok(Self(seed))
    }
}

impl Enrolled {
    pub(super) fn load(secrets: &dyn SecretStore) -> Result<Option<Self>, ClientError> {
        let Some(kept) = secrets.get(NAME)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let broken = || SecretStoreError {
            reason: "the enrolment is not what this version keeps".to_owned(),
        };
        let kept: Kept = serde_json::from_slice(&kept).map_err(|_| broken())?;
        Ok(Some(Self {
            server: kept.server,
            device: kept.device,
            token: kept.token.0,
            device_secret: DeviceSecret::from_seed(&kept.device_seed.0),
            manifest_key: kept.manifest_key,
        }))
    }

    pub(super) fn keep(&self, secrets: &dyn SecretStore) -> Result<(), ClientError> {
        let kept = Kept {
            server: self.server.clone(),
            device: self.device.clone(),
            token: IssuedToken(self.token.clone()),
            device_seed: Seed(self.device_secret.seed()),
            manifest_key: self.manifest_key,
        };
        let kept = serde_json::to_vec(&kept).map_err(|error| SecretStoreError {
            reason: error.to_string(),
        })?;
        Ok(secrets.set(NAME, kept)?)
    }

    pub(super) fn forget(secrets: &dyn SecretStore) -> Result<(), ClientError> {
        Ok(secrets.delete(NAME)?)
    }
}

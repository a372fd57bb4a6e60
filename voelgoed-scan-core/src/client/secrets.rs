//! The device's credentials and the interface to the platform's secret storage, such as Keychain or Keystore.
//!
//! Invariant: the credentials are stored in the app's [`SecretStore`] and nowhere else.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::client::{ClientError, DeviceSecret};
use crate::model::{Device, DeviceToken, IssuedToken, ManifestKey, hex};

/// The secret store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret store failed: {reason}")]
pub struct SecretStoreError {
    /// The store's own message, for logs.
    pub reason: String,
}

/// Stores small named secrets. The app implements it.
pub trait SecretStore: Send + Sync {
    /// Returns the secret with this name.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, SecretStoreError>;
    /// Stores a secret and replaces the previous one with this name.
    fn set(&self, name: &str, secret: Vec<u8>) -> Result<(), SecretStoreError>;
    /// Deletes the secret with this name, if there is one.
    fn delete(&self, name: &str) -> Result<(), SecretStoreError>;
}

/// The name of the one secret that holds all credentials of the present enrolment. One secret is stored completely or not at all.
const NAME: &str = "voelgoed-scan.enrollment";

/// What the device received at enrolment.
#[derive(Debug, Clone)]
pub(super) struct DeviceCredentials {
    pub(super) server: String,
    pub(super) device: Device,
    pub(super) token: DeviceToken,
    pub(super) device_secret: DeviceSecret,
    pub(super) manifest_key: ManifestKey,
}

/// The JSON form of [`DeviceCredentials`] in the secret store.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StoredCredentials {
    server: String,
    pub(super) device: Device,
    token: IssuedToken,
    device_seed: Seed,
    manifest_key: ManifestKey,
}

impl StoredCredentials {
    pub(super) fn of(credentials: &DeviceCredentials) -> Self {
        Self {
            server: credentials.server.clone(),
            device: credentials.device.clone(),
            token: IssuedToken(credentials.token.clone()),
            device_seed: Seed(credentials.device_secret.seed()),
            manifest_key: credentials.manifest_key,
        }
    }

    pub(super) fn into_credentials(self) -> DeviceCredentials {
        DeviceCredentials {
            server: self.server,
            device: self.device,
            token: self.token.0,
            device_secret: DeviceSecret::from_seed(&self.device_seed.0),
            manifest_key: self.manifest_key,
        }
    }
}

/// The seed of the device key, hexadecimal in JSON.
#[derive(Clone)]
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

impl DeviceCredentials {
    pub(super) fn load(secrets: &dyn SecretStore) -> Result<Option<Self>, ClientError> {
        let Some(json) = secrets.get(NAME)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        let stored: StoredCredentials = serde_json::from_slice(&json).map_err(|_| SecretStoreError {
            reason: "the stored enrolment is not in this version's format".to_owned(),
        })?;
        Ok(Some(stored.into_credentials()))
    }

    pub(super) fn save(&self, secrets: &dyn SecretStore) -> Result<(), ClientError> {
        let json = serde_json::to_vec(&StoredCredentials::of(self)).map_err(|error| SecretStoreError {
            reason: error.to_string(),
        })?;
        Ok(secrets.set(NAME, json)?)
    }

    pub(super) fn delete(secrets: &dyn SecretStore) -> Result<(), ClientError> {
        Ok(secrets.delete(NAME)?)
    }
}

//! Enrolments of this phone as other devices, of which scans still wait for upload.
//!
//! Invariants: the credentials of an enrolment are kept before others replace or delete them, and as long as a scan of it waits.
//! They serve uploads alone. An enrolment that cannot be used keeps neither the others nor the present device from going on.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::MutexGuard;
use zeroize::Zeroizing;

use crate::client::api::ApiClient;
use crate::client::secrets::{DeviceCredentials, StoredCredentials};
use crate::client::{
    ClientError, ClientSetup, OfflineError, OfflineScanner, ScannerClient, SecretStore, SecretStoreError,
};
use crate::model::DeviceId;

/// The name of the secret with the credentials of all of them.
const NAME: &str = "voelgoed-scan.earlier-enrollments";

/// The earlier enrolments of a phone.
pub(super) struct EarlierEnrollments(Mutex<Vec<Kept>>);

/// An enrolment, and how many of its scans waited when it was last looked at.
#[derive(Serialize, Deserialize)]
struct Kept {
    credentials: StoredCredentials,
    waiting: u64,
}

impl Kept {
    fn device(&self) -> DeviceId {
        self.credentials.device.id
    }
}

impl EarlierEnrollments {
    /// The enrolments that are kept in the secret store. That of the present device is none: the app may have ended between the
    /// two steps of an enrolment.
    pub(super) fn load(secrets: &dyn SecretStore, present: DeviceId) -> Result<Self, SecretStoreError> {
        let mut kept = read(secrets)?;
        kept.retain(|one| one.device() != present);
        Ok(Self(Mutex::new(kept)))
    }

    /// The number of their scans that wait for upload.
    pub(super) fn waiting(&self) -> u64 {
        self.0.lock().iter().map(|kept| kept.waiting).sum()
    }

    /// The credentials of those that have scans to upload.
    fn credentials(&self) -> Vec<DeviceCredentials> {
        let kept = self.0.lock();
        kept.iter()
            .map(|kept| kept.credentials.clone().into_credentials())
            .collect()
    }

    /// Notes how many scans of a device wait, and no longer keeps the enrolment if there are none.
    fn note(
        &self,
        secrets: &dyn SecretStore,
        device: DeviceId,
        waiting: u64,
    ) -> Result<(), SecretStoreError> {
        let update = |kept: &mut Vec<Kept>| {
            for one in kept.iter_mut().filter(|one| one.device() == device) {
                one.waiting = waiting;
            }
            kept.retain(|one| one.device() != device || waiting > 0);
        };
        update(&mut self.0.lock());
        // Another client of the app may have kept an enrolment meanwhile.
        let mut stored = read(secrets)?;
        update(&mut stored);
        write(secrets, &stored)
    }
}

/// What is kept. What is not in this version's format keeps no phone from being enrolled and opened.
fn read(secrets: &dyn SecretStore) -> Result<Vec<Kept>, SecretStoreError> {
    let Some(json) = secrets.get(NAME)?.map(Zeroizing::new) else {
        return Ok(Vec::new());
    };
    Ok(serde_json::from_slice(&json).unwrap_or_else(|_| {
        tracing::error!("the earlier enrolments of this phone are not in this version's format");
        Vec::new()
    }))
}

fn write(secrets: &dyn SecretStore, kept: &[Kept]) -> Result<(), SecretStoreError> {
    if kept.is_empty() {
        return secrets.delete(NAME);
    }
    let json = serde_json::to_vec(kept).map_err(|error| SecretStoreError {
        reason: error.to_string(),
    })?;
    secrets.set(NAME, json)
}

/// Keeps the credentials of the enrolment that ends, if scans of it wait. `next` is the device that the phone becomes.
pub(super) async fn keep_present(setup: &ClientSetup, next: DeviceId) -> Result<(), ClientError> {
    let secrets = &*setup.secrets;
    let mut kept = read(secrets)?;
    let was_kept = kept.len();
    // Its database is the present one again, and the server has replaced its token.
    kept.retain(|one| one.device() != next);
    let present = DeviceCredentials::load(secrets).unwrap_or_default();
    let ended = present.filter(|present| present.device.id != next);
    if let Some(ended) = ended {
        let waiting = match count_waiting(setup, &ended).await {
            Ok(waiting) => waiting,
            // The next upload finds out.
            Err(error) => {
                tracing::warn!(
                    code = error.code(),
                    "the scans of the earlier enrolment were not counted"
                );
                1
            }
        };
        kept.retain(|one| one.device() != ended.device.id);
        if waiting > 0 {
            let credentials = StoredCredentials::of(&ended);
            kept.push(Kept { credentials, waiting });
        }
    } else if kept.len() == was_kept {
        return Ok(());
    }
    Ok(write(secrets, &kept)?)
}

async fn count_waiting(setup: &ClientSetup, credentials: &DeviceCredentials) -> Result<u64, OfflineError> {
    if !setup.database(credentials.device.id).exists() {
        return Ok(0);
    }
    let (database, options) = ScannerClient::offline_setup(setup, credentials);
    let log = OfflineScanner::open_with(database, options).await?;
    let waiting = log.state().await?.waiting;
    log.close().await?;
    Ok(waiting)
}

impl ScannerClient {
    /// Keeps the credentials for the upload of the scans that wait, and deletes those of the enrolment.
    pub(super) async fn end_enrollment(&self) -> Result<(), ClientError> {
        let secrets = &*self.setup.secrets;
        let waiting = self.offline.state().await?.waiting;
        if waiting > 0 {
            let mut kept = read(secrets)?;
            let credentials = StoredCredentials::of(&self.credentials);
            kept.retain(|one| one.device() != credentials.device.id);
            kept.push(Kept { credentials, waiting });
            write(secrets, &kept)?;
        }
        DeviceCredentials::delete(secrets)
    }

    /// Uploads the scans of earlier enrolments. What fails is tried again in the next round.
    pub(super) async fn upload_earlier_enrollments(&self, _guard: &MutexGuard<'_, ()>) {
        for credentials in self.earlier_enrollments.credentials() {
            let device = credentials.device.id;
            let uploaded = async {
                let waiting = Box::pin(self.upload_of(&credentials)).await?;
                let secrets = &*self.setup.secrets;
                self.earlier_enrollments.note(secrets, device, waiting)?;
                Ok::<_, ClientError>(())
            };
            if let Err(error) = uploaded.await {
                let code = error.code();
                tracing::warn!(code, %device, "the scans of an earlier enrolment still wait for upload");
            }
            self.bump_revision();
        }
    }

    /// Uploads the scans of an enrolment. Returns how many still wait.
    async fn upload_of(&self, credentials: &DeviceCredentials) -> Result<u64, ClientError> {
        let (database, options) = Self::offline_setup(&self.setup, credentials);
        let log = OfflineScanner::open_with(database, options).await?;
        let api = ApiClient {
            transport: &*self.setup.transport,
            server: &credentials.server,
            token: Some(&credentials.token),
            // A refusal of that device is none of the present one.
            client: None,
        };
        let uploaded = self.upload(&log, api).await;
        let waiting = log.state().await;
        log.close().await?;
        uploaded?;
        Ok(waiting?.waiting)
    }
}

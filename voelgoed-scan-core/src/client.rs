//! The client that a scanner app embeds: it enrols the phone, scans, decides without a network and uploads later.
//!
//! Where a step lives: [`ScannerClient::scan`] in `scanning.rs`, sessions in `session.rs`, upload and manifest refresh
//! in `maintenance.rs`, the decision without a server in `offline/`.
//!
//! Invariants:
//! - A scan has one `scan_id`, whether the server or the phone decides it.
//! - The server decides only after the phone has uploaded all of its own scans. Until then the phone has facts that the
//!   server lacks.
//! - A scan, and the start and the end of a session, run to their end even if the caller stops waiting. Nothing else runs
//!   in the background unless the app drives it with [`ScannerClient::run`].
//! - Only a problem document of the server counts as its refusal, and only an answer to the question as its answer.
//! - The device token, the device key and the manifest key are stored only in the app's [`SecretStore`].

mod answer;
mod api;
mod attempts;
mod connectivity;
mod earlier_enrollments;
mod error;
mod events;
mod http;
mod listing;
mod lost_scans;
mod maintenance;
mod manifest_download;
mod occupancy;
pub(crate) mod offline;
mod own_scans;
mod problem;
mod refusal;
mod scanning;
mod search;
mod secrets;
mod self_test;
mod session;
mod setup;
mod state;
mod storage;
mod tasks;
#[cfg(test)]
mod tests;
mod transport;
mod undo;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::model::{Device, DeviceSettings, EnrollAnswer, EnrollRequest, EnrollmentUri, Language, ScanId};
use crate::sync::Conflict;
use api::{ApiClient, ApiRequest, to_json};
use attempts::Attempts;
use connectivity::Connectivity;
use earlier_enrollments::EarlierEnrollments;
pub use error::ClientError;
pub use events::{ListedEvent, ListedGate};
pub use http::HttpTransport;
pub use maintenance::{ManifestRefresh, SyncReport};
pub use manifest_download::TransferProgress;
use manifest_download::{ManifestDownloads, ManifestTag};
pub use offline::{
    Attempt, AttemptOutcome, ClockState, DeviceRefusal, DeviceSecret, ManifestState, OfflineError,
    OfflineScan, OfflineScanner, OfflineScannerOptions, OfflineScannerSetup, OfflineState, PhoneSession,
    RejectedScan, RescueReport, StorageReplacement, Verdict, VerdictPreviousScan, VerdictSource,
    VerdictTicket, WaitingBatch,
};
pub use own_scans::{ListedScan, OwnScans};
use problem::Problems;
pub use problem::{ClientProblem, ProblemCode};
pub use scanning::ScanInput;
pub use search::{FoundTicket, TicketSearch};
use secrets::DeviceCredentials;
pub use secrets::{SecretStore, SecretStoreError};
pub use self_test::{SelfTestCheck, SelfTestSubject};
pub use setup::{ClientSettings, ClientSetup, Clock};
pub use state::ClientState;
use tasks::Tasks;
pub use transport::{HttpHeader, HttpMethod, HttpRequest, HttpResponse, Transport, TransportError};
pub use undo::UndoneScan;

/// A scanner. All methods may be called at any time and concurrently. Clones share everything.
#[derive(Clone)]
pub struct ScannerClient {
    setup: ClientSetup,
    credentials: Arc<DeviceCredentials>,
    offline: Arc<OfflineScanner>,
    connectivity: Arc<Connectivity>,
    attempts: Arc<Attempts>,
    problems: Arc<Problems>,
    /// Held during [`ScannerClient::resync`]: only one task uploads at a time.
    resync_lock: Arc<tokio::sync::Mutex<()>>,
    /// Held while the session is started or ended: the phone and the server see the steps in one order.
    session_lock: Arc<tokio::sync::Mutex<()>>,
    /// Wakes [`ScannerClient::run`] before its interval ends.
    wake: Arc<Notify>,
    /// Incremented with each [`ScannerClient::stop`].
    stops: watch::Sender<u64>,
    /// Incremented with each change of the state.
    revision: watch::Sender<u64>,
    battery: Arc<Mutex<Option<f64>>>,
    earlier_enrollments: Arc<EarlierEnrollments>,
    /// The device's settings as the server last sent them.
    device_settings: Arc<Mutex<DeviceSettings>>,
    /// The `ETag` of the manifest that was installed last.
    manifest_etag: Arc<Mutex<Option<ManifestTag>>>,
    manifest_downloads: Arc<ManifestDownloads>,
    /// `None` in the clones that work on a task holds, so that the tasks end with the app's last clone.
    tasks: Option<Arc<Tasks>>,
}

impl ScannerClient {
    /// Enrols the phone as the device of the enrolment code, stores the credentials and opens the database.
    ///
    /// A code works once. The device's previous token becomes invalid. Scans that an earlier enrolment as another
    /// device did not upload are uploaded with its credentials, by [`Self::run`] and [`Self::sync`].
    pub async fn enroll(setup: ClientSetup, uri: &EnrollmentUri) -> Result<Self, ClientError> {
        let server = uri.server.trim_end_matches('/').to_owned();
        if !server.starts_with("https://") && !setup.settings.allow_plain_http {
            return Err(ClientError::InsecureServer);
        }
        let device_secret = DeviceSecret::generate();
        let enrollment = EnrollRequest {
            code: uri.code.clone(),
            app: setup.app.clone(),
            device_key: Some(device_secret.public()),
        };
        let api = ApiClient {
            transport: &*setup.transport,
            server: &server,
            token: None,
            client: None,
        };
        let body = to_json(&enrollment)?;
        let sent_at = setup.clock.now();
        let request = ApiRequest::post("/api/v1/scanning/enroll", body, setup.settings.call_timeout);
        let answer: EnrollAnswer = api.call(request).await?;
        let received_at = setup.clock.now();
        let credentials = DeviceCredentials {
            server,
            device: answer.device,
            token: answer.token.0,
            device_secret,
            manifest_key: answer.manifest_key,
        };
        // It opens a database, as the rest does, and both would make the future large.
        Box::pin(earlier_enrollments::keep_present(&setup, credentials.device.id)).await?;
        credentials.save(&*setup.secrets)?;
        let can_override = credentials.device.settings.can_override;
        let client = Self::with_credentials(setup, credentials).await?;
        client
            .offline
            .update_clock_offset(sent_at, received_at, answer.server_time)
            .await?;
        client.offline.set_can_override(can_override).await?;
        client.offline.set_scope(&client.device().scope).await?;
        client.came_online();
        Ok(client)
    }

    /// Opens the client with the stored credentials. Returns `None` if the phone is not enrolled. Needs no network.
    pub async fn open(setup: ClientSetup) -> Result<Option<Self>, ClientError> {
        match DeviceCredentials::load(&*setup.secrets)? {
            Some(credentials) => Self::with_credentials(setup, credentials).await.map(Some),
            None => Ok(None),
        }
    }

    async fn with_credentials(
        setup: ClientSetup,
        credentials: DeviceCredentials,
    ) -> Result<Self, ClientError> {
        let device = credentials.device.id;
        let partial_manifest = setup.directory.join(format!("{device}.manifest-part"));
        let (offline_setup, options) = Self::offline_setup(&setup, &credentials);
        let offline = OfflineScanner::open_with(offline_setup, options).await?;
        let attempts = Attempts::default();
        attempts.resume(offline.unfinished_attempts().await?, &*setup.clock);
        let problems = Problems::default();
        if offline.session().await.is_none() {
            problems.raise(ProblemCode::NoActiveSession, setup.clock.now());
        }
        Ok(Self {
            connectivity: Arc::new(Connectivity::new(&setup.settings)),
            device_settings: Arc::new(Mutex::new(credentials.device.settings.clone())),
            earlier_enrollments: Arc::new(EarlierEnrollments::load(&*setup.secrets, device)?),
            setup,
            credentials: Arc::new(credentials),
            offline: Arc::new(offline),
            attempts: Arc::new(attempts),
            problems: Arc::new(problems),
            resync_lock: Arc::default(),
            session_lock: Arc::default(),
            wake: Arc::default(),
            stops: watch::Sender::new(0),
            revision: watch::Sender::new(0),
            battery: Arc::default(),
            manifest_etag: Arc::default(),
            manifest_downloads: Arc::new(ManifestDownloads::new(partial_manifest)),
            tasks: Some(Arc::default()),
        })
    }

    /// The database of an enrolment, and how it is used.
    fn offline_setup(
        setup: &ClientSetup,
        credentials: &DeviceCredentials,
    ) -> (OfflineScannerSetup, OfflineScannerOptions) {
        let device = &credentials.device;
        let options = OfflineScannerOptions {
            clock: Some(Arc::clone(&setup.clock)),
            manifests_held: setup.settings.manifests_held,
            token_sha256: credentials.token.hash(),
            language: setup.language,
        };
        let offline_setup = OfflineScannerSetup {
            file: setup.database(device.id),
            organization_id: device.organization_id,
            device_id: device.id,
            device_name: device.name.to_string(),
            can_override: device.settings.can_override,
            manifest_key: *credentials.manifest_key.as_bytes(),
            device_secret: Some(credentials.device_secret.clone()),
        };
        (offline_setup, options)
    }

    /// Deletes the stored credentials, so that the next start needs an enrolment code. Keeps the database.
    ///
    /// While scans wait for upload, their credentials are kept for that alone: the next enrolment uploads them.
    pub async fn forget(&self) -> Result<(), ClientError> {
        self.end_enrollment().await
    }

    /// Returns the device that the phone is enrolled as.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.credentials.device
    }

    /// Returns the device's settings, such as `can_override` and `can_search`: as the server last sent them since the
    /// client was opened, and before that as they were at enrolment.
    #[must_use]
    pub fn device_settings(&self) -> DeviceSettings {
        self.device_settings.lock().clone()
    }

    /// Notes the device's settings that the server sent.
    fn note_device_settings(&self, settings: &DeviceSettings) {
        let mut noted = self.device_settings.lock();
        if *noted != *settings {
            noted.clone_from(settings);
            drop(noted);
            self.bump_revision();
        }
    }

    /// Returns the conflicts that the server reported for scans of this device.
    pub async fn conflicts(&self) -> Result<Vec<Conflict>, ClientError> {
        Ok(self.offline.conflicts().await?)
    }

    /// Returns the scans that the server rejected, oldest first. They stay until a person has dealt with them.
    pub async fn rejected(&self) -> Result<Vec<RejectedScan>, ClientError> {
        Ok(self.offline.rejected().await?)
    }

    /// Marks rejected scans as seen, so that the state no longer counts them.
    pub async fn mark_rejected_seen(&self, scans: &[ScanId]) -> Result<(), ClientError> {
        self.offline.mark_rejected_seen(scans).await?;
        self.bump_revision();
        Ok(())
    }

    /// Returns the offline scanner of this client.
    #[must_use]
    pub fn offline(&self) -> &OfflineScanner {
        &self.offline
    }

    /// Sets the battery level, from 0 to 1. The next health report carries it. Any other number means that the level is not
    /// known, as systems say by -1.
    pub fn set_battery(&self, battery: Option<f64>) {
        *self.battery.lock() = battery.filter(|level| (0.0..=1.0).contains(level));
    }

    /// Sets the language of the steward's messages, online and offline. It counts for the next scan.
    pub fn set_language(&self, language: Language) {
        self.offline.set_language(language);
    }

    /// Returns the language of the steward's messages.
    #[must_use]
    pub fn language(&self) -> Language {
        self.offline.language()
    }

    fn api(&self) -> ApiClient<'_> {
        ApiClient {
            transport: &*self.setup.transport,
            server: &self.credentials.server,
            token: Some(&self.credentials.token),
            client: Some(self),
        }
    }

    /// Returns the client for work that may run on a task. Such work does not keep the tasks alive.
    fn without_tasks(&self) -> Self {
        Self {
            tasks: None,
            ..self.clone()
        }
    }

    /// Runs `work` to its end, even if the caller stops waiting for it. Must be called in a tokio runtime.
    async fn run_to_end<T, F>(&self, work: impl FnOnce(Self) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.keep_running(work(self.without_tasks())).await
    }

    async fn keep_running<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match &self.tasks {
            Some(tasks) => tasks.keep_running(work).await,
            // This is a task already.
            None => work.await,
        }
    }

    /// Learns of a refusal of the server, whatever was requested.
    async fn note_refusal(&self, error: &ClientError) {
        self.problems.refused(error, self.setup.clock.now());
        self.heed_refusal(error).await;
    }

    /// Records that the server answered and may decide.
    fn came_online(&self) {
        self.problems.server_answered();
        if self.connectivity.mark_online() {
            self.bump_revision();
        }
    }

    fn bump_revision(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// Records that the server is unavailable, and wakes the maintenance so that it schedules the next attempt.
    fn went_offline(&self, error: &ClientError) {
        let retry_after = match error {
            ClientError::Refused { retry_after_s, .. } => *retry_after_s,
            _ => None,
        };
        let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds.into()));
        let clock = &self.setup.clock;
        self.connectivity
            .mark_offline(clock.steady(), error.code(), retry_after);
        self.problems.server_unavailable(error, clock.now());
        self.bump_revision();
        self.wake.notify_one();
    }
}

/// Shows only the device id.
impl std::fmt::Debug for ScannerClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScannerClient")
            .field("device", &self.credentials.device.id)
            .finish_non_exhaustive()
    }
}

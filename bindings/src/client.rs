//! The client that a scanner app uses: enrolment, sessions, scans, upload and manifest refresh.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use voelgoed_scan_core as core;
use voelgoed_scan_core::client::{ClientError, HttpTransport};

pub use voelgoed_scan_core::client::{PhoneSession, SyncReport, TransferProgress};
pub use voelgoed_scan_core::model::{App, ScanSession, SessionStatus};

use crate::callbacks::{AppSecrets, AppTransport};
use crate::clock::now;
use crate::runtime;
use crate::{
    Conflict, DeviceId, Direction, EventId, GateId, ManifestState, Name, NamedGate, OrganizationId,
    ReasonText, ScannerError, SecretStore, SessionId, TicketReading, Timestamp, Transport, Verdict,
};

/// The app that embeds the library.
#[uniffi::remote(Record)]
pub struct App {
    /// The name.
    pub name: Name,
    /// The version.
    pub version: Name,
    /// The platform, such as `android` or `ios`.
    pub platform: Name,
}

/// Timeouts, retry intervals and batch size. `default_client_settings` returns the defaults.
#[derive(Debug, Clone, uniffi::Record)]
pub struct ClientSettings {
    /// How long a scan waits for the server before the phone decides it.
    pub scan_timeout: Duration,
    /// Timeout of a small request.
    pub call_timeout: Duration,
    /// Timeout of an upload batch or of a part of a manifest. The download of a manifest has no timeout as long as parts
    /// arrive.
    pub transfer_timeout: Duration,
    /// Wait after the first failed request. The wait doubles with each further failure.
    pub initial_backoff: Duration,
    /// Upper bound of the wait between attempts.
    pub max_backoff: Duration,
    /// How often `run` refreshes the manifest and reports the device's health.
    pub refresh_interval: Duration,
    /// The maximum number of scans in one upload batch.
    pub batch_size: u32,
    /// Whether `http://` addresses are allowed. For tests, and for a server on the same machine.
    pub allow_plain_http: bool,
}

/// Returns the defaults, such as 800 ms for a scan.
#[uniffi::export]
pub fn default_client_settings() -> ClientSettings {
    let core::client::ClientSettings {
        scan_timeout,
        call_timeout,
        transfer_timeout,
        initial_backoff,
        max_backoff,
        refresh_interval,
        batch_size,
        allow_plain_http,
        ..
    } = core::client::ClientSettings::default();
    ClientSettings {
        scan_timeout,
        call_timeout,
        transfer_timeout,
        initial_backoff,
        max_backoff,
        refresh_interval,
        batch_size: u32::try_from(batch_size).unwrap_or(u32::MAX),
        allow_plain_http,
    }
}

/// What the app provides to a client.
#[derive(uniffi::Record)]
pub struct ClientSetup {
    /// A directory of the app for the databases. It must not be backed up to another device.
    pub directory: String,
    /// The name and version of the app.
    pub app: App,
    /// Stores the credentials.
    pub secrets: Arc<dyn SecretStore>,
    /// Sends HTTP requests. The default uses hyper and rustls with Mozilla's root certificates.
    #[uniffi(default = None)]
    pub transport: Option<Arc<dyn Transport>>,
    /// Timeouts and intervals. The default is `default_client_settings`.
    #[uniffi(default = None)]
    pub settings: Option<ClientSettings>,
}

impl ClientSetup {
    fn into_core(self) -> Result<core::client::ClientSetup, ScannerError> {
        let transport: Arc<dyn core::client::Transport> = match self.transport {
            Some(transport) => Arc::new(AppTransport(transport)),
            None => Arc::new(HttpTransport::new().map_err(ClientError::from)?),
        };
        let settings = self.settings.unwrap_or_else(default_client_settings);
        Ok(core::client::ClientSetup {
            directory: PathBuf::from(self.directory),
            app: self.app,
            transport,
            secrets: Arc::new(AppSecrets(self.secrets)),
            clock: Arc::new(now),
            settings: core::client::ClientSettings {
                scan_timeout: settings.scan_timeout,
                call_timeout: settings.call_timeout,
                transfer_timeout: settings.transfer_timeout,
                initial_backoff: settings.initial_backoff,
                max_backoff: settings.max_backoff,
                refresh_interval: settings.refresh_interval,
                batch_size: usize::try_from(settings.batch_size).unwrap_or(usize::MAX),
                allow_plain_http: settings.allow_plain_http,
                ..core::client::ClientSettings::default()
            },
        })
    }
}

/// The device that the phone is enrolled as.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct EnrolledDevice {
    /// The device's id, which other objects refer to.
    pub id: DeviceId,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The operator's own identifier of the device.
    pub device_id: String,
    /// The display name.
    pub name: String,
}

/// The phone's session at a gate. The server may not have started it yet.
#[uniffi::remote(Record)]
pub struct PhoneSession {
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// The session's id on the server. Absent until the server has started it.
    pub session_id: Option<SessionId>,
}

/// The status of a session.
#[uniffi::remote(Enum)]
pub enum SessionStatus {
    /// The session is active.
    Active,
    /// The session has ended.
    Ended,
}

/// A session: a device scans at a gate.
#[uniffi::remote(Record)]
pub struct ScanSession {
    /// The session's id.
    pub id: SessionId,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The device.
    pub device_id: DeviceId,
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// The status.
    pub status: SessionStatus,
    /// When the session started.
    pub started_at: Timestamp,
    /// When the session ended.
    pub ended_at: Option<Timestamp>,
    /// The number of scans in the session, admissions and denials.
    pub scan_count: u64,
}

/// The result of an upload: what the server did with the scans.
#[uniffi::remote(Record)]
pub struct SyncReport {
    /// The number of scans that the server recorded now.
    pub recorded: u64,
    /// The number of scans that the server had recorded before.
    pub replayed: u64,
    /// The number of scans that the server rejected. They stay on the phone.
    pub rejected: u64,
    /// The number of scans that the server quarantined.
    pub quarantined: u64,
    /// The number of scans that are part of a conflict.
    pub conflicts: u64,
}

/// How far a transfer has come.
#[uniffi::remote(Record)]
pub struct TransferProgress {
    /// The number of bytes that have arrived.
    pub received: u64,
    /// The number of bytes in all, as soon as the phone knows it.
    pub total: Option<u64>,
}

/// The state of a client, for a status line.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ClientState {
    /// Whether the server decides scans. Otherwise the phone does.
    pub online: bool,
    /// The session, with the event and the gate.
    pub session: Option<PhoneSession>,
    /// The manifest in use.
    pub manifest: Option<ManifestState>,
    /// The manifest's age in seconds, by the server's clock.
    pub manifest_age_s: Option<u64>,
    /// How far the download of a manifest has come. Absent if there is none, or nothing has arrived yet.
    pub manifest_progress: Option<TransferProgress>,
    /// The number of scans that wait for upload.
    pub waiting: u64,
    /// The number of conflicts that the server reported for scans of this device.
    pub conflicts: u64,
    /// The server's clock minus the device's clock, in milliseconds. 0 if they differ by at most 2 s.
    pub clock_offset_ms: i64,
    /// The code of the last failed exchange with the server. Absent after a successful one.
    pub last_error: Option<String>,
}

impl From<core::client::ClientState> for ClientState {
    fn from(state: core::client::ClientState) -> Self {
        let core::client::ClientState {
            online,
            session,
            manifest,
            manifest_age_s,
            manifest_progress,
            waiting,
            conflicts,
            clock_offset_ms,
            last_error,
            ..
        } = state;
        Self {
            online,
            session,
            manifest: manifest.map(Into::into),
            manifest_age_s,
            manifest_progress,
            waiting,
            conflicts,
            clock_offset_ms,
            last_error,
        }
    }
}

/// A scanner. Create one for the app. All functions may be called at any time, from any thread, and concurrently.
#[derive(Debug, uniffi::Object)]
pub struct ScannerClient {
    client: core::client::ScannerClient,
}

impl ScannerClient {
    const fn new(client: core::client::ScannerClient) -> Self {
        Self { client }
    }
}

#[uniffi::export(async_runtime = "tokio")]
impl ScannerClient {
    /// Enrols the phone as the device of the enrolment code, stores the credentials and opens the database. `uri` is the
    /// text of the QR code that `device enroll` shows. It works once. The device's previous token becomes invalid.
    #[uniffi::constructor]
    pub async fn enroll(setup: ClientSetup, uri: String) -> Result<Self, ScannerError> {
        let uri = uri
            .trim()
            .parse()
            .map_err(|error| ScannerError::invalid("enrolment code", error))?;
        Ok(Self::new(runtime::enroll(setup.into_core()?, uri).await?))
    }

    /// Opens the client with the stored credentials. Fails with `not_enrolled` if there are none. Needs no network.
    #[uniffi::constructor]
    pub async fn open(setup: ClientSetup) -> Result<Self, ScannerError> {
        let client = runtime::open(setup.into_core()?).await?;
        client.map(Self::new).ok_or_else(|| ScannerError::NotEnrolled {
            reason: "the phone is not enrolled".to_owned(),
        })
    }

    /// The device that the phone is enrolled as.
    pub fn device(&self) -> EnrolledDevice {
        let device = self.client.device();
        EnrolledDevice {
            id: device.id,
            organization_id: device.organization_id,
            device_id: device.device_id.as_str().to_owned(),
            name: device.name.to_string(),
        }
    }

    /// Starts a session at a gate. `replace` ends the session that the device may have at another gate.
    ///
    /// Returns nothing if the server is unavailable and the manifest in use contains the gate: the phone then scans at
    /// that gate alone, and the next upload starts the session on the server.
    #[uniffi::method(default(replace = false))]
    pub async fn start_session(
        &self,
        event_id: EventId,
        gate_id: GateId,
        replace: bool,
    ) -> Result<Option<ScanSession>, ScannerError> {
        Ok(self.client.start_session(event_id, gate_id, replace).await?)
    }

    /// Ends the session. Fails if the server is unavailable. The session then continues.
    pub async fn end_session(&self) -> Result<Option<ScanSession>, ScannerError> {
        Ok(self.client.end_session().await?)
    }

    /// Scans a ticket. The server decides, or the phone after the scan timeout. The phone's verdict is on disk before
    /// this returns, so show it only then. Await the call to its end.
    ///
    /// The same payload within 2.5 s is one scan and returns the same verdict. `override_reason` forces an entry, if the
    /// device may override.
    #[uniffi::method(default(direction = None, override_reason = None))]
    pub async fn scan(
        &self,
        reading: TicketReading,
        direction: Option<Direction>,
        override_reason: Option<ReasonText>,
    ) -> Result<Verdict, ScannerError> {
        let input = core::client::ScanInput {
            reading: reading.into(),
            direction: direction.unwrap_or(Direction::Entry),
            override_reason,
            metadata: None,
            scan_id: None,
        };
        Ok(self.client.scan(input).await?)
    }

    /// Runs the maintenance: uploads waiting scans, reconnects to the server, refreshes the manifest and reports the
    /// device's health. Call it when the app starts to scan. It returns after the next `stop`.
    pub async fn run(&self) {
        self.client.run().await;
    }

    /// Ends every `run` that is under way. Does nothing if none is: a later `run` is not affected.
    pub fn stop(&self) {
        self.client.stop();
    }

    /// Uploads all waiting scans now.
    pub async fn sync(&self) -> Result<SyncReport, ScannerError> {
        Ok(self.client.sync().await?)
    }

    /// Requests a newer manifest now. Returns nothing if the manifest in use is the newest.
    pub async fn refresh_manifest(&self) -> Result<Option<ManifestState>, ScannerError> {
        match self.client.refresh_manifest().await? {
            core::client::ManifestRefresh::Updated(state) => Ok(Some(state.into())),
            core::client::ManifestRefresh::Unchanged => Ok(None),
        }
    }

    /// Returns the state of the client.
    pub async fn state(&self) -> Result<ClientState, ScannerError> {
        Ok(self.client.state().await?.into())
    }

    /// Waits until the state differs from `revision` and returns the new revision. Pass 0 at first, then the returned
    /// value.
    pub async fn changed_since(&self, revision: u64) -> u64 {
        self.client.changed_since(revision).await
    }

    /// Returns the gates of the manifest in use.
    pub async fn gates(&self) -> Vec<NamedGate> {
        crate::offline::gates(self.client.offline().manifest_head().await)
    }

    /// Returns the conflicts that the server reported for scans of this device.
    pub async fn conflicts(&self) -> Result<Vec<Conflict>, ScannerError> {
        Ok(self.client.conflicts().await?)
    }

    /// Sets the battery level, from 0 to 1. The next health report carries it.
    pub fn set_battery(&self, level: Option<f64>) {
        self.client.set_battery(level);
    }

    /// Deletes the stored credentials, so that the next start needs an enrolment code. Waiting scans stay on disk.
    pub fn forget(&self) -> Result<(), ScannerError> {
        Ok(self.client.forget()?)
    }
}

//! What does a scanner app hold? The core's client, driven by the app: it enrols, scans, goes on alone, makes good.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use voelgoed_scan_core as core;
use voelgoed_scan_core::client::{ClientError, HttpTransport};

pub use voelgoed_scan_core::client::{PhoneSession, SyncReport};
pub use voelgoed_scan_core::model::{App, ScanSession, SessionStatus};

use crate::app::{AppSecrets, AppTransport};
use crate::clock::now;
use crate::opening;
use crate::{
    Conflict, DeviceId, Direction, EventId, GateError, GateId, ManifestState, Name, NamedGate,
    OrganizationId, ReasonText, SecretStore, SessionId, TicketReading, Timestamp, Transport, Verdict,
};

/// The app that scans.
#[uniffi::remote(Record)]
pub struct App {
    /// Its name.
    pub name: Name,
    /// Its version.
    pub version: Name,
    /// What it runs on, such as `android` or `ios`.
    pub platform: Name,
}

/// How patient a client is. `default_client_settings` has what suits a gate.
#[derive(Debug, Clone, uniffi::Record)]
pub struct ClientSettings {
    /// How long a scan waits for the server before the phone decides.
    pub scan_deadline: Duration,
    /// How long a small call waits.
    pub call_timeout: Duration,
    /// How long a batch or a manifest waits.
    pub transfer_timeout: Duration,
    /// How long it waits before it tries again, the first time; each time twice as long.
    pub first_retry: Duration,
    /// The longest that it waits before it tries again.
    pub longest_retry: Duration,
    /// How often it asks for a newer manifest and reports its health.
    pub refresh_every: Duration,
    /// The most scans in one batch.
    pub batch: u32,
    /// Whether a server may be called without TLS: for tests and for a server on the same machine.
    pub allow_plain_http: bool,
}

/// What suits a gate: 800 ms for a scan.
#[uniffi::export]
pub fn default_client_settings() -> ClientSettings {
    let core::client::ClientSettings {
        scan_deadline,
        call_timeout,
        transfer_timeout,
        first_retry,
        longest_retry,
        refresh_every,
        batch,
        allow_plain_http,
    } = core::client::ClientSettings::default();
    ClientSettings {
        scan_deadline,
        call_timeout,
        transfer_timeout,
        first_retry,
        longest_retry,
        refresh_every,
        batch: u32::try_from(batch).unwrap_or(u32::MAX),
        allow_plain_http,
    }
}

/// What a client is made of.
#[derive(uniffi::Record)]
pub struct ClientSetup {
    /// Where the databases are: a directory of the app's own, not backed up to other devices.
    pub directory: String,
    /// The app.
    pub app: App,
    /// Where secrets are.
    pub secrets: Arc<dyn SecretStore>,
    /// How calls reach the server; without one by the client's own (hyper, rustls, the roots that browsers trust).
    #[uniffi(default = None)]
    pub transport: Option<Arc<dyn Transport>>,
    /// How patient the client is; without them what suits a gate.
    #[uniffi(default = None)]
    pub settings: Option<ClientSettings>,
}

impl ClientSetup {
    fn into_core(self) -> Result<core::client::ClientSetup, GateError> {
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
                scan_deadline: settings.scan_deadline,
                call_timeout: settings.call_timeout,
                transfer_timeout: settings.transfer_timeout,
                first_retry: settings.first_retry,
                longest_retry: settings.longest_retry,
                refresh_every: settings.refresh_every,
                batch: usize::try_from(settings.batch).unwrap_or(usize::MAX),
                allow_plain_http: settings.allow_plain_http,
            },
        })
    }
}

/// The device that the phone was enrolled as.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct EnrolledDevice {
    /// The device, as every other object names it.
    pub id: DeviceId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// The operator's textual name for it.
    pub device_id: String,
    /// What it is called.
    pub name: String,
}

/// Where a device stands.
#[uniffi::remote(Record)]
pub struct PhoneSession {
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// The session; nothing while the server does not know that the device stands here.
    pub session_id: Option<SessionId>,
}

/// Whether a session goes on.
#[uniffi::remote(Enum)]
pub enum SessionStatus {
    /// It does.
    Active,
    /// It was ended.
    Ended,
}

/// A device's stay at one gate.
#[uniffi::remote(Record)]
pub struct ScanSession {
    /// The session.
    pub id: SessionId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// The device that scans.
    pub device_id: DeviceId,
    /// The event it scans for.
    pub event_id: EventId,
    /// The gate it stands at.
    pub gate_id: GateId,
    /// Whether it goes on.
    pub status: SessionStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
    /// How many scans it recorded, admissions and denials.
    pub scan_count: u64,
}

/// What handing in came to.
#[uniffi::remote(Record)]
pub struct SyncReport {
    /// How many scans are new on the server's record.
    pub recorded: u64,
    /// How many were on record before.
    pub replayed: u64,
    /// How many the server cannot take; they stay on the phone.
    pub rejected: u64,
    /// How many the server keeps apart.
    pub quarantined: u64,
    /// How many take part in a conflict.
    pub conflicts: u64,
}

/// How a client stands.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ClientState {
    /// Whether the server decides; else the phone does.
    pub online: bool,
    /// Where the device stands.
    pub station: Option<PhoneSession>,
    /// The manifest in use.
    pub manifest: Option<ManifestState>,
    /// How old the manifest is, in seconds by the server's clock.
    pub manifest_age_s: Option<u64>,
    /// How many scans wait to be handed in.
    pub waiting: u64,
    /// How many of its scans the server found at odds.
    pub conflicts: u64,
    /// How far the server's clock is ahead of the device's; 0 within 2 s.
    pub clock_offset_ms: i64,
    /// The code of the last thing that went wrong with the server, until something goes well.
    pub last_error: Option<String>,
}

impl From<core::client::ClientState> for ClientState {
    fn from(state: core::client::ClientState) -> Self {
        let core::client::ClientState {
            online,
            station,
            manifest,
            manifest_age_s,
            waiting,
            conflicts,
            clock_offset_ms,
            last_error,
        } = state;
        Self {
            online,
            station,
            manifest: manifest.map(Into::into),
            manifest_age_s,
            waiting,
            conflicts,
            clock_offset_ms,
            last_error,
        }
    }
}

/// A scanner. One an app; every function may be called at any time from any thread, also side by side.
#[derive(Debug, uniffi::Object)]
pub struct ScannerClient {
    client: core::client::ScannerClient,
    stop: Notify,
}

impl ScannerClient {
    fn new(client: core::client::ScannerClient) -> Self {
        Self {
            client,
            stop: Notify::new(),
        }
    }
}

#[uniffi::export(async_runtime = "tokio")]
impl ScannerClient {
    /// Enrols the phone as the device that the code is for, and opens it. `uri` is what the QR code of
    /// `device enroll` says; it works once, and the device's old token dies.
    #[uniffi::constructor]
    pub async fn enroll(setup: ClientSetup, uri: String) -> Result<Self, GateError> {
        let uri = uri
            .trim()
            .parse()
            .map_err(|error| GateError::invalid("enrolment code", error))?;
        Ok(Self::new(opening::enroll(setup.into_core()?, uri).await?))
    }

    /// Opens the phone as it was enrolled; `not_enrolled` where it was not. Needs no network.
    #[uniffi::constructor]
    pub async fn open(setup: ClientSetup) -> Result<Self, GateError> {
        let client = opening::open(setup.into_core()?).await?;
        client.map(Self::new).ok_or_else(|| GateError::NotEnrolled {
            reason: "the phone was not enrolled".to_owned(),
        })
    }

    /// The device that the phone was enrolled as.
    pub fn device(&self) -> EnrolledDevice {
        let device = self.client.device();
        EnrolledDevice {
            id: device.id,
            organization_id: device.organization_id,
            device_id: device.device_id.as_str().to_owned(),
            name: device.name.to_string(),
        }
    }

    /// Stands the device at a gate. `replace` ends the session that it may have elsewhere.
    ///
    /// Where the server cannot be reached and the manifest in use knows the gate, the phone stands there alone, and
    /// starts the session when it is back; then nothing is returned.
    #[uniffi::method(default(replace = false))]
    pub async fn start_session(
        &self,
        event_id: EventId,
        gate_id: GateId,
        replace: bool,
    ) -> Result<Option<ScanSession>, GateError> {
        Ok(self.client.start_session(event_id, gate_id, replace).await?)
    }

    /// Ends the session. Without a network an error: the device stands where it stood.
    pub async fn end_session(&self) -> Result<Option<ScanSession>, GateError> {
        Ok(self.client.end_session().await?)
    }

    /// Scans: the server decides, and after the deadline the phone. What the phone decides is on the disk before this
    /// returns: only then show it. To be waited for to its end.
    ///
    /// The same payload within 2.5 s is one reading and gets its verdict again. With an `override_reason` an entry is
    /// forced, where the device may do so.
    #[uniffi::method(default(direction = None, override_reason = None))]
    pub async fn scan(
        &self,
        reading: TicketReading,
        direction: Option<Direction>,
        override_reason: Option<ReasonText>,
    ) -> Result<Verdict, GateError> {
        let input = core::client::ScanInput {
            reading: reading.into(),
            direction: direction.unwrap_or(Direction::Entry),
            override_reason,
            metadata: None,
        };
        Ok(self.client.scan(input).await?)
    }

    /// Keeps the phone fit: hands in what waits, finds back to the server, renews the manifest, reports its health.
    /// Call it when the app begins to scan; it returns once `stop` is called.
    pub async fn run(&self) {
        tokio::select! {
            () = self.client.run() => {}
            () = self.stop.notified() => {}
        }
    }

    /// Ends `run`.
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    /// Hands in everything that waits, now.
    pub async fn sync(&self) -> Result<SyncReport, GateError> {
        Ok(self.client.sync().await?)
    }

    /// Asks for a newer manifest, now; nothing where the one in use is the newest.
    pub async fn refresh_manifest(&self) -> Result<Option<ManifestState>, GateError> {
        match self.client.refresh_manifest().await? {
            core::client::ManifestRefresh::Taken(state) => Ok(Some(state.into())),
            core::client::ManifestRefresh::Unchanged => Ok(None),
        }
    }

    /// How the client stands.
    pub async fn state(&self) -> Result<ClientState, GateError> {
        Ok(self.client.state().await?.into())
    }

    /// Waits until the state has changed since the revision that was returned before; starts with 0.
    pub async fn changed_since(&self, revision: u64) -> u64 {
        self.client.changed_since(revision).await
    }

    /// The gates of the event whose manifest is in use.
    pub async fn gates(&self) -> Vec<NamedGate> {
        crate::offline::gates(self.client.gate().manifest_head().await)
    }

    /// What the server found at odds with scans of this device.
    pub async fn conflicts(&self) -> Result<Vec<Conflict>, GateError> {
        Ok(self.client.conflicts().await?)
    }

    /// Tells how full the battery is, from 0 to 1: reported with the next exchange.
    pub fn set_battery(&self, level: Option<f64>) {
        self.client.set_battery(level);
    }

    /// Forgets the enrolment's secrets: the next start asks for a code. What waits to be handed in stays on the disk.
    pub fn forget(&self) -> Result<(), GateError> {
        Ok(self.client.forget()?)
    }
}

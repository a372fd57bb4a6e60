//! What does a scanner app hold? A client that enrols, scans, goes on alone without a network, and makes good later.
//!
//! Invariants: a scan has one `scan_id`, whoever decides it; while scans of this phone wait to be handed in, the phone
//! decides, for it knows what the server does not; nothing runs that the app does not drive ([`ScannerClient::run`]);
//! token, device key and manifest key are in the app's [`SecretStore`] alone.

mod connectivity;
mod error;
mod http;
mod maintenance;
pub(crate) mod offline;
mod request;
mod scanning;
mod secrets;
#[cfg(test)]
mod tests;
mod transport;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::manifest::ManifestHead;
use crate::model::{
    App, Device, DeviceToken, EnrollAnswer, EnrollRequest, EnrollmentUri, EventId, GateId, ScanSession,
    SessionStart, Timestamp,
};
use crate::sync::Conflict;
use connectivity::Connectivity;
pub use error::ClientError;
pub use http::HttpTransport;
pub use maintenance::{ManifestRefresh, SyncReport};
pub use offline::{
    DeviceSecret, ManifestState, OfflineError, OfflineGate, OfflineGateSetup, OfflineScan, OfflineState,
    PhoneSession, SeenBefore, SeenTicket, Verdict, VerdictBy, WaitingBatch,
};
use request::{Call, Caller, json};
pub use scanning::ScanInput;
use secrets::Enrolled;
pub use secrets::{SecretStore, SecretStoreError};
pub use transport::{HttpHeader, HttpMethod, HttpRequest, HttpResponse, Transport, TransportError};

/// Tells the time: the device's own clock.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// How patient a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub batch: usize,
    /// Whether a server may be called without TLS: for tests and for a server on the same machine.
    pub allow_plain_http: bool,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            scan_deadline: Duration::from_millis(800),
            call_timeout: Duration::from_secs(10),
            transfer_timeout: Duration::from_mins(1),
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_mins(1),
            refresh_every: Duration::from_mins(1),
            batch: 500,
            allow_plain_http: false,
        }
    }
}

/// What a client is made of.
#[derive(Clone)]
pub struct ClientSetup {
    /// Where the databases are: a directory of the app's own, not backed up to other devices.
    pub directory: PathBuf,
    /// The app.
    pub app: App,
    /// How calls reach the server.
    pub transport: Arc<dyn Transport>,
    /// Where secrets are.
    pub secrets: Arc<dyn SecretStore>,
    /// The device's clock.
    pub clock: Arc<dyn Clock>,
    /// How patient the client is.
    pub settings: ClientSettings,
}

/// How a client stands.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// A scanner. To be shared by an `Arc`; every call may be made at any time, also side by side.
pub struct ScannerClient {
    setup: ClientSetup,
    enrolled: Enrolled,
    gate: OfflineGate,
    link: Connectivity,
    /// One at a time makes good with the server.
    turn: tokio::sync::Mutex<()>,
    /// Something is to be done at once.
    wake: Notify,
    /// Counts changes of the state.
    revision: tokio::sync::watch::Sender<u64>,
    battery: Mutex<Option<f64>>,
    etag: Mutex<Option<String>>,
}

impl ScannerClient {
    /// Enrols the phone as the device that the code is for, and opens it. A code works once; the device's old token
    /// dies. What an earlier enrolment left to be handed in stays in that device's own database.
    pub async fn enroll(setup: ClientSetup, uri: &EnrollmentUri) -> Result<Self, ClientError> {
        let server = uri.server.trim_end_matches('/').to_owned();
        if !server.starts_with("https://") && !setup.settings.allow_plain_http {
            return Err(ClientError::InsecureServer);
        }
        let device_secret = DeviceSecret::generate();
        let request = EnrollRequest {
            code: uri.code.clone(),
            app: setup.app.clone(),
            device_key: Some(device_secret.public()),
        };
        let caller = Caller {
            transport: &*setup.transport,
            server: &server,
            token: None,
        };
        let body = json(&request)?;
        let sent_at = setup.clock.now();
        let call = Call::post("/api/v1/scanning/enroll", body, setup.settings.call_timeout);
        let answer: EnrollAnswer = caller.ask(call).await?;
        let received_at = setup.clock.now();
        let enrolled = Enrolled {
            server,
            device: answer.device,
            token: answer.token.0,
            device_secret,
            manifest_key: answer.manifest_key,
        };
        enrolled.keep(&*setup.secrets)?;
        let can_override = enrolled.device.settings.can_override;
        let client = Self::with(setup, enrolled).await?;
        client
            .gate
            .learn_clock(sent_at, received_at, answer.server_time)
            .await?;
        client.gate.set_can_override(can_override).await?;
        client.link.up();
        Ok(client)
    }

    /// Opens the phone as it was enrolled; `None` where it was not. Needs no network.
    pub async fn open(setup: ClientSetup) -> Result<Option<Self>, ClientError> {
        match Enrolled::load(&*setup.secrets)? {
            Some(enrolled) => Self::with(setup, enrolled).await.map(Some),
            None => Ok(None),
        }
    }

    async fn with(setup: ClientSetup, enrolled: Enrolled) -> Result<Self, ClientError> {
        let device = &enrolled.device;
        let gate = OfflineGate::open(OfflineGateSetup {
            file: setup.directory.join(format!("{}.db", device.id)),
            organization_id: device.organization_id,
            device_id: device.id,
            device_name: device.name.to_string(),
            can_override: device.settings.can_override,
            manifest_key: *enrolled.manifest_key.as_bytes(),
            device_secret: Some(enrolled.device_secret.clone()),
        })
        .await?;
        Ok(Self {
            link: Connectivity::new(&setup.settings),
            setup,
            enrolled,
            gate,
            turn: tokio::sync::Mutex::new(()),
            wake: Notify::new(),
            revision: tokio::sync::watch::Sender::new(0),
            battery: Mutex::new(None),
            etag: Mutex::new(None),
        })
    }

    /// Forgets the enrolment's secrets: the next start asks for a code. The database stays.
    pub fn forget(&self) -> Result<(), ClientError> {
        Enrolled::forget(&*self.setup.secrets)
    }

    /// The device that the phone was enrolled as.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.enrolled.device
    }

    /// Stands the device at a gate. `replace` ends the session that it may have elsewhere.
    ///
    /// Where the server cannot be reached and the manifest in use knows the gate, the phone stands there alone, and
    /// starts the session when it is back; then `None`.
    pub async fn start_session(
        &self,
        event_id: EventId,
        gate_id: GateId,
        replace: bool,
    ) -> Result<Option<ScanSession>, ClientError> {
        let start = SessionStart {
            event_id,
            gate_id,
            replace,
        };
        let session = match self.ask_for_session(&start).await {
            Ok(session) => Some(session),
            Err(error) if error.passes() && self.knows(event_id, gate_id).await => {
                self.fell_out(&error);
                None
            }
            Err(error) => return Err(error),
        };
        let station = PhoneSession {
            event_id,
            gate_id,
            session_id: session.as_ref().map(|session| session.id),
        };
        self.gate.set_station(Some(station)).await?;
        // It was there just now, and knows all that this phone knows: it may decide.
        if session.is_some() && self.gate.state().await?.waiting == 0 {
            self.link.up();
        }
        self.changed();
        self.wake.notify_one();
        Ok(session)
    }

    async fn ask_for_session(&self, start: &SessionStart) -> Result<ScanSession, ClientError> {
        let body = json(start)?;
        let call = Call::post(
            "/api/v1/scanning/sessions",
            body,
            self.setup.settings.call_timeout,
        );
        self.caller().ask(call).await
    }

    async fn knows(&self, event: EventId, gate: GateId) -> bool {
        let head: Option<ManifestHead> = self.gate.manifest_head().await;
        head.is_some_and(|head| head.event.id == event && head.gate(gate).is_some())
    }

    /// Ends the session; `None` where there was none that the server knew. Without a network an error: the device
    /// stands where it stood.
    pub async fn end_session(&self) -> Result<Option<ScanSession>, ClientError> {
        let station = self.gate.station().await.ok_or(ClientError::NoActiveSession)?;
        let ended = match station.session_id {
            Some(session) => {
                let path = format!("/api/v1/scanning/sessions/{session}/end");
                let call = Call::put(path, Vec::new(), self.setup.settings.call_timeout);
                Some(self.caller().ask(call).await?)
            }
            None => None,
        };
        self.gate.set_station(None).await?;
        self.changed();
        Ok(ended)
    }

    /// How the client stands.
    pub async fn state(&self) -> Result<ClientState, ClientError> {
        let state = self.gate.state().await?;
        let now = self.setup.clock.now().plus_millis(state.clock_offset_ms);
        let age =
            |manifest: &ManifestState| u64::try_from(now.millis_since(manifest.made_at) / 1000).unwrap_or(0);
        let (online, last_error) = self.link.report();
        Ok(ClientState {
            online,
            station: self.gate.station().await,
            manifest_age_s: state.manifest.as_ref().map(age),
            manifest: state.manifest,
            waiting: state.waiting,
            conflicts: state.conflicts,
            clock_offset_ms: state.clock_offset_ms,
            last_error,
        })
    }

    /// Waits until the state has changed since the revision that was returned before; starts with 0.
    pub async fn changed_since(&self, revision: u64) -> u64 {
        let mut changes = self.revision.subscribe();
        match changes.wait_for(|now| *now != revision).await {
            Ok(now) => *now,
            // The sender lives as long as this client.
            Err(_) => revision,
        }
    }

    /// What the server found at odds with scans of this device.
    pub async fn conflicts(&self) -> Result<Vec<Conflict>, ClientError> {
        Ok(self.gate.conflicts().await?)
    }

    /// The offline gate itself.
    #[must_use]
    pub const fn gate(&self) -> &OfflineGate {
        &self.gate
    }

    /// Tells how full the battery is, from 0 to 1: reported with the next exchange.
    pub fn set_battery(&self, battery: Option<f64>) {
        *self.battery.lock().unwrap_or_else(PoisonError::into_inner) = battery;
    }

    fn caller(&self) -> Caller<'_> {
        let token: &DeviceToken = &self.enrolled.token;
        Caller {
            transport: &*self.setup.transport,
            server: &self.enrolled.server,
            token: Some(token),
        }
    }

    fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// Notes that the server was not there.
    fn fell_out(&self, error: &ClientError) {
        let wait = match error {
            ClientError::Refused { retry_after_s, .. } => *retry_after_s,
            _ => None,
        };
        let wait = wait.map(|seconds| Duration::from_secs(seconds.into()));
        self.link.down(self.setup.clock.now(), error.code(), wait);
        self.changed();
        self.wake.notify_one();
    }
}

/// Shows the device.
impl std::fmt::Debug for ScannerClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScannerClient")
            .field("device", &self.enrolled.device.id)
            .finish_non_exhaustive()
    }
}

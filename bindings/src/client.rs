//! The client that a scanner app uses: enrolment, sessions, scans, upload and manifest refresh.

mod device;
mod setup;
mod state;

use std::fmt;
use std::sync::Arc;

use voelgoed_scan_core as core;

pub use device::{DeviceScope, DeviceSettings, EnrolledDevice};
pub use setup::{App, ClientSettings, ClientSetup, default_client_settings};
pub use state::{ClientState, PhoneSession, ScanSession, SessionStatus, SyncReport, TransferProgress};

use crate::listener::{self, ClientSlot};
use crate::runtime;
use crate::text::{language_of, shown_as_debug};
use crate::{
    Conflict, Direction, EventId, EventOccupancy, GateId, ListedEvent, ListedGate, ManifestState, Metadata,
    NamedGate, OwnScans, ReasonText, RejectedScan, ReplacedDatabase, RescueReport, ScanId, ScannerError,
    SelfTestCheck, StateListener, StateSubscription, TicketReading, TicketSearch, UndoneScan, Verdict,
};

/// A scanner. Create one for the app. All functions may be called at any time, from any thread, and concurrently.
#[derive(uniffi::Object)]
#[uniffi::export(Debug, Display)]
pub struct ScannerClient {
    client: Arc<core::client::ScannerClient>,
    /// The client as the listeners see it.
    slot: Arc<ClientSlot>,
}

impl ScannerClient {
    fn new(client: core::client::ScannerClient) -> Self {
        let client = Arc::new(client);
        Self {
            slot: Arc::new(ClientSlot::new(Arc::clone(&client))),
            client,
        }
    }
}

/// The listeners stop, so that the database is closed when this is gone.
impl Drop for ScannerClient {
    fn drop(&mut self) {
        self.slot.clear();
    }
}

/// Shows the operator's identifier of the device.
impl fmt::Debug for ScannerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScannerClient({})", self.client.device().device_id)
    }
}

shown_as_debug!(ScannerClient);

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
    /// this returns, so show it only then.
    ///
    /// The same payload within 2.5 s, and while the first call is still being decided, is one scan and returns the same
    /// verdict: call it for each frame. All callers but one get it with `repeated`. A call that the app abandons goes on, and
    /// the next call with the same payload gets its verdict.
    ///
    /// `override_reason` forces an entry, if the device may override. `metadata` is stored with the scan, at most 4 KiB of
    /// JSON. A call with the `scan_id` of an earlier one gets the verdict of that one.
    #[uniffi::method(default(direction = None, override_reason = None, metadata = None, scan_id = None))]
    pub async fn scan(
        &self,
        reading: TicketReading,
        direction: Option<Direction>,
        override_reason: Option<ReasonText>,
        metadata: Option<Metadata>,
        scan_id: Option<ScanId>,
    ) -> Result<Verdict, ScannerError> {
        let input = core::client::ScanInput {
            reading: reading.into(),
            direction: direction.unwrap_or(Direction::Entry),
            override_reason,
            metadata,
            scan_id,
        };
        Ok(self.client.scan(input).await?.into())
    }

    /// Undoes an admission of this device, within 15 minutes. The ticket is then as it was before the scan, on the server
    /// and on this phone. A repetition gives the same answer.
    ///
    /// Needs the server. Scans that wait for upload are uploaded first, because the scan may be one of them. Fails with
    /// `conflict` if somebody has left or entered with the ticket since, and with `forbidden` for another device's scan.
    pub async fn undo(&self, scan_id: ScanId, reason: ReasonText) -> Result<UndoneScan, ScannerError> {
        Ok(self.client.undo(scan_id, reason).await?)
    }

    /// Searches the tickets of the session's event by the start of a code, of any word of the holder's name, or of the
    /// order's reference. `cursor` is that of the page before.
    ///
    /// Needs the server. Fails with `forbidden` unless the device's settings carry `can_search`.
    #[uniffi::method(default(cursor = None))]
    pub async fn search(&self, text: String, cursor: Option<String>) -> Result<TicketSearch, ScannerError> {
        Ok(self.client.search(&text, cursor.as_deref()).await?.into())
    }

    /// Returns the scans of this device, newest first, at most 50. `cursor` is that of the page before.
    ///
    /// If the server is unavailable, and while scans wait for upload, returns what this phone has recorded itself: the scans
    /// that it decided, and the admissions and exits that the server decided here. A list that the server began fails with
    /// `offline` where the server is unavailable: begin again without a cursor.
    #[uniffi::method(default(cursor = None))]
    pub async fn own_scans(&self, cursor: Option<String>) -> Result<OwnScans, ScannerError> {
        Ok(self.client.own_scans(cursor.as_deref()).await?.into())
    }

    /// Returns the counters of the session's event and of its gates. Needs the server.
    pub async fn occupancy(&self) -> Result<EventOccupancy, ScannerError> {
        Ok(self.client.occupancy().await?.into())
    }

    /// Returns the events to choose from: those that admit people first, then by their start and name. Without a network,
    /// the events whose manifests this phone has.
    pub async fn events(&self) -> Result<Vec<ListedEvent>, ScannerError> {
        Ok(self.client.events().await?)
    }

    /// Returns the gates of an event to choose from, ordered by name. Without a network, those of the event's manifest.
    pub async fn event_gates(&self, event_id: EventId) -> Result<Vec<ListedGate>, ScannerError> {
        Ok(self.client.event_gates(event_id).await?)
    }

    /// Tests the phone: its key, its database, its clock, the network, the manifest. Reads the credentials from the app's
    /// secret store and asks the server once.
    pub async fn self_test(&self) -> Vec<SelfTestCheck> {
        self.client.self_test().await
    }

    /// The device's settings: as the server last sent them since the client was opened, and before that as they were at
    /// enrolment.
    pub fn device_settings(&self) -> DeviceSettings {
        self.client.device_settings().into()
    }

    /// The events and gates that the device may work at, as the server last said. It survives a restart. Elsewhere the
    /// phone starts no session and decides no scan: these fail with `out_of_scope`.
    pub async fn device_scope(&self) -> DeviceScope {
        let scope = self.client.offline().scope().await;
        DeviceScope {
            event_ids: scope.event_ids,
            gate_ids: scope.gate_ids,
        }
    }

    /// Calls `listener` with the present state and after each change, until the subscription is cancelled or the client
    /// is closed.
    pub fn subscribe(&self, listener: Arc<dyn StateListener>) -> Result<StateSubscription, ScannerError> {
        listener::listen(Arc::clone(&self.slot), self.client.changes(), listener)
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

    /// Tells the client that the phone has another network. It opens new connections and tries at once to reach the server.
    /// Call it from the system's notification.
    pub fn network_changed(&self) {
        self.client.network_changed();
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
        let conflicts = self.client.conflicts().await?;
        Ok(conflicts.into_iter().map(Into::into).collect())
    }

    /// Returns the scans that the server rejected, oldest first. They stay on the phone until a person has dealt with them.
    pub async fn rejected(&self) -> Result<Vec<RejectedScan>, ScannerError> {
        let rejected = self.client.rejected().await?;
        Ok(rejected.into_iter().map(Into::into).collect())
    }

    /// Marks rejected scans as seen, so that the state no longer counts them.
    pub async fn mark_rejected_seen(&self, scan_ids: Vec<ScanId>) -> Result<(), ScannerError> {
        Ok(self.client.mark_rejected_seen(&scan_ids).await?)
    }

    /// Returns the databases of this phone that were damaged or of a newer version. They were set aside and replaced; their
    /// files stay.
    pub async fn replaced_databases(&self) -> Result<Vec<ReplacedDatabase>, ScannerError> {
        let state = self.client.offline().state().await?;
        Ok(state.replaced.into_iter().map(Into::into).collect())
    }

    /// Reads the replaced databases once more and takes over what they have and the present one lacks. Opening has done that
    /// before; a repetition helps if the disk was full then.
    pub async fn rescued_scans(&self) -> Result<RescueReport, ScannerError> {
        Ok(self.client.offline().rescued_scans().await?)
    }

    /// Marks the replaced databases as shown to a person.
    pub async fn confirm_replacements(&self) -> Result<(), ScannerError> {
        Ok(self.client.offline().confirm_replacements().await?)
    }

    /// Sets the languages that the steward reads, as `ClientSetup` takes them. It counts for the next scan, online and
    /// offline.
    pub fn set_language(&self, language: String) {
        self.client.set_language(language_of(Some(&language)));
    }

    /// Returns the language of the messages, such as `af`.
    pub fn language(&self) -> String {
        self.client.language().as_str().to_owned()
    }

    /// Sets the battery level, from 0 to 1. The next health report carries it.
    pub fn set_battery(&self, level: Option<f64>) {
        self.client.set_battery(level);
    }

    /// Deletes the stored credentials, so that the next start needs an enrolment code. Waiting scans stay on disk, and their
    /// credentials in the secret store for their upload alone, which follows the next enrolment.
    pub async fn forget(&self) -> Result<(), ScannerError> {
        Ok(self.client.forget().await?)
    }
}

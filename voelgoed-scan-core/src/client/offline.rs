//! Decides scans on the phone without a network, and records them durably until the server has them.
//!
//! Invariants:
//! - A verdict is on disk before it is returned. Its scan waits for upload until the server has answered for it.
//! - A ticket that this phone admitted stays admitted on this phone, uploaded or not, under every later manifest.
//! - Sequence numbers increase by one. Every scan contains the hash of the scan before it.
//! - One scanner at a time uses a database file.

mod attempts;
mod checks;
mod clock;
pub(crate) mod debounce;
mod decide;
mod error;
mod language;
mod learn;
mod lock;
mod log;
mod lost;
mod manifests;
mod memory;
mod newer_facts;
mod own_scans;
mod rejected;
mod replacement;
mod revocation;
mod secret;
mod setup;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod ticket_history;
mod upload;
mod verdict;

use std::time::Duration;

use tokio::sync::Mutex;

use crate::client::Clock;
use crate::manifest::TicketKey;
use crate::model::{
    DeviceScope, Direction, EventId, GateId, Language, Metadata, Override, Reading, ScanId, ScanResult,
    StaleManifest, Timestamp,
};
use crate::sync::{LinkHash, SyncScan};
pub use attempts::{Attempt, AttemptOutcome};
pub use clock::ClockState;
use clock::{ClockReading, CorrectedTime, DeviceClock};
use debounce::{Debouncer, ReadingKey, find_earlier, truncate};
use decide::OfflineContext;
pub use error::OfflineError;
use lock::DatabaseLock;
use log::{DeviceLog, LogEntry};
use manifests::ActiveManifest;
use memory::LocalPassage;
pub(crate) use own_scans::{OwnPassage, OwnVerdict, PassagePlace, RecordedScans};
pub use rejected::RejectedScan;
pub use replacement::{RescueReport, StorageReplacement};
pub use revocation::DeviceRefusal;
use revocation::StoredRefusal;
pub use secret::DeviceSecret;
pub(crate) use setup::DEFAULT_MANIFESTS_HELD;
pub use setup::{OfflineScannerOptions, OfflineScannerSetup};
pub use state::{ManifestState, OfflineState, PhoneSession};
pub use upload::WaitingBatch;
pub use verdict::{Verdict, VerdictPreviousScan, VerdictSource, VerdictTicket};

/// How long a scan may take from the server's response time until its commit is visible to a manifest. A manifest counts
/// a scan for certain only if it was made later than this after the response.
const COMMIT_MARGIN: Duration = Duration::from_secs(5);

/// A scan for the phone to decide.
#[derive(Debug, Clone, PartialEq)]
pub struct OfflineScan {
    /// The attempt. If the server was asked first, the id of that request.
    pub scan_id: ScanId,
    /// What was read.
    pub reading: Reading,
    /// The gate.
    pub gate_id: GateId,
    /// Entry or exit.
    pub direction: Direction,
    /// The time of the scan, by the device's clock.
    pub scanned_at: Timestamp,
    /// Forces an entry.
    pub override_: Option<Override>,
    /// Stored with the scan.
    pub metadata: Option<Metadata>,
}

/// Decides scans on the phone with a manifest and the phone's own log.
#[derive(Debug)]
pub struct OfflineScanner {
    setup: OfflineScannerSetup,
    options: OfflineScannerOptions,
    language: parking_lot::Mutex<Language>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: DeviceLog,
    active_manifest: Option<ActiveManifest>,
    clock: DeviceClock,
    can_override: bool,
    /// What the database has of it.
    stored_can_override: bool,
    scope: DeviceScope,
    /// What the database has of it.
    stored_scope: DeviceScope,
    session: Option<PhoneSession>,
    /// What the database has of it.
    stored_session: Option<PhoneSession>,
    refusal: Option<StoredRefusal>,
    /// What the database has of it.
    stored_refusal: Option<StoredRefusal>,
    replaced: Vec<StorageReplacement>,
    /// When a database was set aside of which a part is lost.
    lost_at: Option<Timestamp>,
    /// What the server decided and the phone could not write.
    unsaved: Vec<(ScanId, Verdict)>,
    debouncer: Debouncer,
    /// Released when the scanner is dropped.
    _lock: DatabaseLock,
}

impl State {
    /// The event of a scan at a gate that names no event: that of the session, or else of the manifest in use.
    fn event_of(&self, gate: GateId) -> Option<EventId> {
        let session = self.session.filter(|session| session.gate_id == gate);
        let in_use = self.active_manifest.as_ref();
        session
            .map(|session| session.event_id)
            .or_else(|| in_use.map(ActiveManifest::event))
    }
}

impl OfflineScanner {
    /// Opens the device's database, creates it if necessary, and activates the stored manifest.
    ///
    /// A stored manifest with an invalid signature (a damaged disk, a new manifest key) is ignored: the scans that wait
    /// for upload must stay accessible.
    pub async fn open(setup: OfflineScannerSetup) -> Result<Self, OfflineError> {
        Self::open_with(setup, OfflineScannerOptions::default()).await
    }

    /// Opens the device's database as [`Self::open`] does, with options.
    ///
    /// A database that is damaged, or was written by a newer version, is set aside and replaced
    /// ([`OfflineState::replaced`]). A database that another scanner uses is refused.
    pub async fn open_with(
        setup: OfflineScannerSetup,
        options: OfflineScannerOptions,
    ) -> Result<Self, OfflineError> {
        let lock = DatabaseLock::acquire(&setup.file).await?;
        let mut log = replacement::open_or_replace(&setup, options.clock.as_deref()).await?;
        let device = log.device().await?;
        let scope = log.scope().await?;
        let replaced = log.replacements().await?;
        let lost_at = log.lost_at().await?;
        let refusal = device
            .refusal
            .filter(|refusal| refusal.token == options.token_sha256);
        let mut state = State {
            log,
            active_manifest: None,
            clock: device.clock,
            can_override: device.can_override,
            stored_can_override: device.can_override,
            stored_scope: scope.clone(),
            scope,
            session: device.session,
            stored_session: device.session,
            stored_refusal: refusal.clone(),
            refusal,
            replaced,
            lost_at,
            unsaved: Vec::new(),
            debouncer: Debouncer::default(),
            _lock: lock,
        };
        manifests::activate_last_used(&mut state, &setup).await?;
        Ok(Self {
            language: parking_lot::Mutex::new(options.language),
            setup,
            options,
            state: Mutex::new(state),
        })
    }

    fn clock(&self) -> Option<&dyn Clock> {
        self.options.clock.as_deref()
    }

    /// Decides a scan. The verdict and everything that it changes are on disk before this returns.
    ///
    /// A scan with the id of an earlier scan, and a payload that was read within the last 2.5 s, return the earlier
    /// verdict and make no second scan. An override is always a scan of its own.
    pub async fn decide(&self, scan: OfflineScan) -> Result<Verdict, OfflineError> {
        self.decide_at(None, scan).await
    }

    async fn decide_at(
        &self,
        event: Option<EventId>,
        mut scan: OfflineScan,
    ) -> Result<Verdict, OfflineError> {
        truncate(&mut scan.reading);
        let state = &mut *self.state.lock().await;
        let decided = match self.decide_with(state, event, &scan).await {
            Err(error) if error.is_damage() => {
                self.replace_database(state, error).await?;
                self.decide_with(state, event, &scan).await
            }
            decided => decided,
        };
        Ok(self.with_message(state, decided?))
    }

    async fn decide_with(
        &self,
        state: &mut State,
        event: Option<EventId>,
        scan: &OfflineScan,
    ) -> Result<Verdict, OfflineError> {
        let key = ReadingKey::of(&scan.reading, scan.gate_id, scan.direction);
        if let Some(verdict) = find_earlier(state, scan).await? {
            return Ok(verdict);
        }
        if let Some(refusal) = &state.refusal {
            return Err(OfflineError::DeviceRefused { code: refusal.code });
        }
        if scan.override_.is_some() && !state.can_override {
            return Err(OfflineError::OverrideNotAllowed);
        }
        let scanning_at = event.or_else(|| state.event_of(scan.gate_id));
        if scan.override_.is_none()
            && let Some(verdict) = state.debouncer.find(&key, scanning_at, scan.scanned_at)
        {
            return Ok(verdict);
        }
        self.save_unsaved(state).await;
        let attempt = state.log.attempt(scan.scan_id).await?;
        let reading = match &attempt {
            Some(attempt) => attempt.clock(scan.scanned_at),
            None => ClockReading::at(scan.scanned_at, self.clock()),
        };
        let event = event
            .or(attempt.map(|attempt| attempt.event_id))
            .or_else(|| state.event_of(scan.gate_id))
            .ok_or(OfflineError::NoManifest)?;
        if !state.scope.admits_gate(event, scan.gate_id) {
            return Err(OfflineError::OutOfScope);
        }
        manifests::activate(state, &self.setup, event).await?;
        let time = state.clock.corrected(&reading);
        let (verdict, ticket) = self.verdict_now(state, &key, scan, time).await?;
        self.record(&mut state.log, &key, scan, &verdict, ticket, (&reading, time))
            .await?;
        state.debouncer.insert(key, scan.scanned_at, &verdict);
        Ok(verdict)
    }

    /// The verdict on a scan by what the phone knows, and the ticket. Nothing is recorded.
    async fn verdict_now(
        &self,
        state: &mut State,
        key: &ReadingKey,
        scan: &OfflineScan,
        time: CorrectedTime,
    ) -> Result<(Verdict, Option<TicketKey>), OfflineError> {
        let State {
            log,
            active_manifest,
            lost_at,
            ..
        } = state;
        let ActiveManifest {
            manifest, keyring, ..
        } = active_manifest.as_ref().ok_or(OfflineError::NoManifest)?;
        let head = manifest.head();
        let gate = head.gate(scan.gate_id).ok_or(OfflineError::UnknownGate)?;
        if head.is_stale(time.at) && head.event.stale_manifest == StaleManifest::Refuse {
            return Err(OfflineError::StaleManifest {
                made_at: head.made_at,
            });
        }
        let reading = decide::verify_reading(&scan.reading, manifest, keyring);
        let memory = log
            .memory(head.event.id, reading.key, &key.payload_sha256)
            .await?;
        let context = OfflineContext {
            manifest,
            gate,
            direction: scan.direction,
            now: time.at,
            has_override: scan.override_.is_some(),
            device_id: self.setup.device_id,
            device_name: &self.setup.device_name,
            clock: time.state,
            lost_at: *lost_at,
        };
        let decision = decide::decide_offline(&context, &reading, &memory);
        Ok((decision.into_verdict(scan.scan_id, &context), reading.key))
    }

    /// Appends a scan to the log.
    async fn record(
        &self,
        log: &mut DeviceLog,
        key: &ReadingKey,
        scan: &OfflineScan,
        verdict: &Verdict,
        ticket: Option<TicketKey>,
        (clock, time): (&ClockReading, CorrectedTime),
    ) -> Result<(), OfflineError> {
        let tail = log.tail().await?;
        let sync_scan = SyncScan {
            scan_id: scan.scan_id,
            reading: scan.reading.clone(),
            gate_id: scan.gate_id,
            direction: scan.direction,
            scanned_at: scan.scanned_at,
            local_result: Some(verdict.result),
            local_reason: Some(verdict.reason),
            sequence: Some(tail.sequence + 1),
            override_: scan.override_.clone(),
            metadata: scan.metadata.clone(),
            event_id: Some(verdict.event_id),
            // Known only when the scan is sent. The hash does not cover it.
            age_ms: None,
            prev_hash: tail.link,
        };
        // The hash covers what the server will parse: the upload contains exactly this text.
        let json = serde_json::to_string(&sync_scan)?;
        let link = LinkHash::of(&serde_json::from_str(&json)?);
        let entry = LogEntry {
            sequence: tail.sequence + 1,
            key,
            json: &json,
            link,
            verdict,
            clock,
            verified_at: time.verified.then_some(time.at),
        };
        let passage = ticket
            .filter(|_| verdict.result == ScanResult::Valid)
            .map(|ticket| {
                let passage = LocalPassage::of(verdict, None);
                (verdict.event_id, ticket, passage)
            });
        log.append(&entry, passage).await
    }

    /// Closes the database. Nothing is lost without this call.
    pub async fn close(self) -> Result<(), OfflineError> {
        self.state.into_inner().log.close().await
    }
}

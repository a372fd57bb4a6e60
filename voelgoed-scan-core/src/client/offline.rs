//! Decides scans on the phone without a network, and records them durably until the server has them.
//!
//! Invariants:
//! - A verdict is on disk before it is returned. Its scan waits for upload until the server has answered for it.
//! - A ticket that this phone admitted stays admitted on this phone, uploaded or not, under every later manifest.
//! - Sequence numbers increase by one. Every scan contains the hash of the scan before it.

mod checks;
pub(crate) mod debounce;
mod decide;
mod error;
mod log;
mod secret;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod upload;
mod verdict;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::manifest::{Manifest, ManifestError, TicketKey, VerifiedManifest};
use crate::model::{
    DeviceId, Direction, EventId, GateId, Metadata, OrganizationId, Override, Reading, ScanId, ScanResult,
    StaleManifest, Timestamp,
};
use crate::sync::{LinkHash, SyncScan};
use crate::token::Keyring;
use debounce::{Debouncer, ReadingKey, truncate};
use decide::{LocalPassage, OfflineContext};
pub use error::OfflineError;
use log::{DeviceLog, LogEntry};
pub use secret::DeviceSecret;
pub use state::{ManifestState, OfflineState, PhoneSession};
pub use upload::WaitingBatch;
pub use verdict::{Verdict, VerdictPreviousScan, VerdictSource, VerdictTicket};

/// How long a scan may take from the server's response time until its commit is visible to a manifest. A manifest counts
/// a scan for certain only if it was made later than this after the response.
const COMMIT_MARGIN: Duration = Duration::from_secs(5);

/// What an offline scanner needs.
#[derive(Debug, Clone)]
pub struct OfflineScannerSetup {
    /// The database file, one for each device.
    pub file: PathBuf,
    /// The device's organization.
    pub organization_id: OrganizationId,
    /// The device.
    pub device_id: DeviceId,
    /// The device's display name.
    pub device_name: String,
    /// Whether the device may override. Used when the database is created; later changes come from
    /// [`OfflineScanner::set_can_override`].
    pub can_override: bool,
    /// The organization's manifest key, pinned at enrolment.
    pub manifest_key: [u8; 32],
    /// The key that signs uploads, if the device enrolled with one.
    pub device_secret: Option<DeviceSecret>,
}

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
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: DeviceLog,
    active_manifest: Option<ActiveManifest>,
    clock_offset: i64,
    can_override: bool,
    session: Option<PhoneSession>,
    debouncer: Debouncer,
}

#[derive(Debug)]
struct ActiveManifest {
    manifest: Manifest,
    keyring: Keyring,
    /// The size of all deltas since the last full manifest, in bytes.
    delta_bytes: usize,
}

impl ActiveManifest {
    fn new(manifest: Manifest, delta_bytes: usize) -> Result<Self, ManifestError> {
        let head = manifest.head();
        let keyring =
            Keyring::public(head.event.organization_id, &head.keys).map_err(|_| ManifestError::Malformed)?;
        Ok(Self {
            manifest,
            keyring,
            delta_bytes,
        })
    }
}

impl OfflineScanner {
    /// Opens the device's database, creates it if necessary, and activates the stored manifest.
    ///
    /// A stored manifest with an invalid signature (a damaged disk, a new manifest key) is ignored: the scans that wait
    /// for upload must stay accessible.
    pub async fn open(setup: OfflineScannerSetup) -> Result<Self, OfflineError> {
        let mut log = DeviceLog::open(&setup.file, &setup).await?;
        let active_manifest = match restore_manifest(log.manifests().await?, &setup) {
            Ok(manifest) => manifest,
            Err(error) => {
                tracing::warn!(code = error.code(), "the manifest on the device is ignored");
                None
            }
        };
        let device = log.device().await?;
        let state = State {
            log,
            active_manifest,
            clock_offset: device.clock_offset,
            can_override: device.can_override,
            session: device.session,
            debouncer: Debouncer::default(),
        };
        Ok(Self {
            setup,
            state: Mutex::new(state),
        })
    }

    /// Verifies a full manifest or a delta of `event`, stores it and activates it. `now` is the device's clock.
    ///
    /// On an error the previous manifest stays active.
    pub async fn install(
        &self,
        event: EventId,
        bytes: Vec<u8>,
        now: Timestamp,
    ) -> Result<ManifestState, OfflineError> {
        let stored = bytes.clone();
        let OfflineScannerSetup {
            organization_id,
            manifest_key,
            ..
        } = &self.setup;
        let part = VerifiedManifest::verify(bytes, *organization_id, manifest_key)?;
        let State {
            log,
            active_manifest,
            clock_offset,
            ..
        } = &mut *self.state.lock().await;
        let current = active_manifest.as_ref().map(|active| &active.manifest);
        part.check(event, current, now.plus_millis(*clock_offset))?;
        let is_delta = part.head().base.is_some();
        let delta_bytes = active_manifest
            .as_ref()
            .filter(|_| is_delta)
            .map_or(0, |active| active.delta_bytes + stored.len());
        let next = ActiveManifest::new(part.into_manifest(current)?, delta_bytes)?;
        log.store_manifest(event, &stored, is_delta).await?;
        let state = next.state();
        *active_manifest = Some(next);
        Ok(state)
    }

    /// Decides a scan. The verdict and everything that it changes are on disk before this returns.
    ///
    /// A scan with the id of an earlier scan, and a payload that was read within the last 2.5 s, return the earlier
    /// verdict and make no second scan. An override is always a scan of its own.
    pub async fn decide(&self, mut scan: OfflineScan) -> Result<Verdict, OfflineError> {
        truncate(&mut scan.reading);
        let key = ReadingKey::of(&scan.reading, scan.gate_id, scan.direction);
        let mut state = self.state.lock().await;
        if let Some((sha256, verdict)) = state.log.find_verdict(scan.scan_id).await? {
            return if sha256 == key.payload_sha256 && verdict.direction == scan.direction {
                Ok(Verdict {
                    repeated: true,
                    ..verdict
                })
            } else {
                Err(OfflineError::ScanIdReused)
            };
        }
        if scan.override_.is_some() && !state.can_override {
            return Err(OfflineError::OverrideNotAllowed);
        }
        if scan.override_.is_none()
            && let Some(verdict) = state.debouncer.find(&key, scan.scanned_at)
        {
            return Ok(verdict);
        }
        let verdict = self.decide_and_record(&mut state, &key, &scan).await?;
        state.debouncer.insert(key, scan.scanned_at, &verdict);
        Ok(verdict)
    }

    async fn decide_and_record(
        &self,
        state: &mut State,
        key: &ReadingKey,
        scan: &OfflineScan,
    ) -> Result<Verdict, OfflineError> {
        let State {
            log,
            active_manifest,
            clock_offset,
            ..
        } = state;
        let ActiveManifest {
            manifest, keyring, ..
        } = active_manifest.as_ref().ok_or(OfflineError::NoManifest)?;
        let head = manifest.head();
        let gate = head.gate(scan.gate_id).ok_or(OfflineError::UnknownGate)?;
        let now = scan.scanned_at.plus_millis(*clock_offset);
        if head.is_stale(now) && head.event.stale_manifest == StaleManifest::Refuse {
            return Err(OfflineError::StaleManifest {
                made_at: head.made_at,
            });
        }
        let reading = decide::verify_reading(&scan.reading, manifest, keyring);
        let passages = match reading.key {
            Some(ticket) => log.passages(head.event.id, ticket).await?,
            None => Vec::new(),
        };
        let context = OfflineContext {
            manifest,
            gate,
            direction: scan.direction,
            now,
            has_override: scan.override_.is_some(),
            device_id: self.setup.device_id,
            device_name: &self.setup.device_name,
        };
        let decision = decide::decide_offline(&context, &reading, &passages);
        let verdict = decision.into_verdict(scan.scan_id, &context);
        self.record(log, key, scan, &verdict, reading.key).await?;
        Ok(verdict)
    }

    /// Appends a scan to the log.
    async fn record(
        &self,
        log: &mut DeviceLog,
        key: &ReadingKey,
        scan: &OfflineScan,
        verdict: &Verdict,
        ticket: Option<TicketKey>,
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
            event_id: None,
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
        };
        let passage = ticket
            .filter(|_| verdict.result == ScanResult::Valid)
            .map(|ticket| {
                let passage = LocalPassage::of(verdict, None);
                (verdict.event_id, ticket, passage)
            });
        log.append(&entry, passage).await
    }

    /// Records an admission or exit that the server decided on this phone, so that the phone knows it when it decides
    /// alone.
    pub async fn record_online_verdict(&self, verdict: &Verdict) -> Result<(), OfflineError> {
        let Some(ticket) = verdict
            .ticket
            .as_ref()
            .filter(|_| verdict.result == ScanResult::Valid)
        else {
            return Ok(());
        };
        let key = TicketKey::of(self.setup.organization_id, verdict.event_id, ticket.code);
        let passage = LocalPassage::of(verdict, Some(verdict.scanned_at.plus(COMMIT_MARGIN)));
        let mut state = self.state.lock().await;
        state.log.record_passage(verdict.event_id, key, &passage).await
    }

    /// Returns the verdict of the same reading within the last 2.5 s, whether the server or the phone decided.
    pub(crate) async fn debounced(&self, key: &ReadingKey, now: Timestamp) -> Option<Verdict> {
        self.state.lock().await.debouncer.find(key, now)
    }

    /// Adds a verdict of the server to the debouncer.
    pub(crate) async fn debounce(&self, key: ReadingKey, now: Timestamp, verdict: &Verdict) {
        self.state.lock().await.debouncer.insert(key, now, verdict);
    }

    /// Returns whether this phone recorded an admission or exit of a ticket of `event` that the server does not have yet.
    /// The phone's facts are then newer than the server's.
    pub(crate) async fn has_newer_facts(
        &self,
        reading: &Reading,
        event: EventId,
    ) -> Result<bool, OfflineError> {
        match decide::claimed_key(reading, self.setup.organization_id, event) {
            Some(ticket) => {
                let mut state = self.state.lock().await;
                state.log.has_unacknowledged_passage(event, ticket).await
            }
            None => Ok(false),
        }
    }

    /// Closes the database. Nothing is lost without this call.
    pub async fn close(self) -> Result<(), OfflineError> {
        self.state.into_inner().log.close().await
    }
}

/// Rebuilds the manifest from its stored parts. Checks every signature, but no age.
fn restore_manifest(
    parts: Vec<Vec<u8>>,
    setup: &OfflineScannerSetup,
) -> Result<Option<ActiveManifest>, ManifestError> {
    let mut manifest: Option<Manifest> = None;
    let mut delta_bytes = 0;
    for bytes in parts {
        let length = bytes.len();
        let part = VerifiedManifest::verify(bytes, setup.organization_id, &setup.manifest_key)?;
        if part.head().base.is_some() {
            delta_bytes += length;
        }
        manifest = Some(part.into_manifest(manifest.as_ref())?);
    }
    manifest
        .map(|manifest| ActiveManifest::new(manifest, delta_bytes))
        .transpose()
}

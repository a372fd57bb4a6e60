//! How does a phone decide alone, and what does it remember? The gate without a network.
//!
//! Invariants: a verdict is on the disk before it is shown, and its scan is handed in until the server has answered for
//! it; a ticket that this phone let in stays let in here, handed in or not, under every later manifest; sequence numbers
//! count up by one and every scan names the hash of the one before it.

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
use debounce::{ReadingKey, Readings, bound};
use decide::{Ask, OwnMovement};
pub use error::OfflineError;
use log::{Log, NewScan};
pub use secret::DeviceSecret;
pub use state::{ManifestState, OfflineState, PhoneSession};
pub use upload::WaitingBatch;
pub use verdict::{SeenBefore, SeenTicket, Verdict, VerdictBy};

/// How long after the server's own time a scan may still be missing from a manifest that began to be made then.
const COMMIT_TIME: Duration = Duration::from_secs(5);

/// What an offline gate is made of.
#[derive(Debug, Clone)]
pub struct OfflineGateSetup {
    /// The device's own database file; one a device.
    pub file: PathBuf,
    /// The device's organization.
    pub organization_id: OrganizationId,
    /// The device.
    pub device_id: DeviceId,
    /// What it is called.
    pub device_name: String,
    /// Whether its settings let it override, as far as is known when the database is made; see
    /// [`OfflineGate::set_can_override`].
    pub can_override: bool,
    /// The organization's manifest key, pinned at enrolment.
    pub manifest_key: [u8; 32],
    /// The key that signs its log, where it enrolled with one.
    pub device_secret: Option<DeviceSecret>,
}

/// A scan to be decided alone.
#[derive(Debug, Clone, PartialEq)]
pub struct OfflineScan {
    /// The attempt: the same id that the server was asked with, if it was.
    pub scan_id: ScanId,
    /// What was read.
    pub reading: Reading,
    /// Where.
    pub gate_id: GateId,
    /// Which way the person goes.
    pub direction: Direction,
    /// When, by the device's clock.
    pub scanned_at: Timestamp,
    /// Forces an entry.
    pub override_: Option<Override>,
    /// Kept with the scan.
    pub metadata: Option<Metadata>,
}

/// The gate of a phone without a network.
#[derive(Debug)]
pub struct OfflineGate {
    setup: OfflineGateSetup,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: Log,
    in_use: Option<InUse>,
    clock_offset: i64,
    can_override: bool,
    station: Option<PhoneSession>,
    readings: Readings,
}

#[derive(Debug)]
struct InUse {
    manifest: Manifest,
    keyring: Keyring,
    /// Bytes that the deltas took since the last whole manifest.
    deltas: usize,
}

impl InUse {
    fn new(manifest: Manifest, deltas: usize) -> Result<Self, ManifestError> {
        let head = manifest.head();
        let keyring =
            Keyring::public(head.event.organization_id, &head.keys).map_err(|_| ManifestError::Malformed)?;
        Ok(Self {
            manifest,
            keyring,
            deltas,
        })
    }
}

impl OfflineGate {
    /// Opens the device's database, made where it is missing, and takes the manifest it holds into use.
    ///
    /// A manifest whose signature does not hold any more (a worn-out disk, a new manifest key) is left out: what waits
    /// to be handed in is worth more.
    pub async fn open(setup: OfflineGateSetup) -> Result<Self, OfflineError> {
        let mut log = Log::open(&setup.file, &setup).await?;
        let in_use = match reopen(log.manifests().await?, &setup) {
            Ok(in_use) => in_use,
            Err(error) => {
                tracing::warn!(code = error.code(), "the manifest on the device is left out");
                None
            }
        };
        let own = log.own().await?;
        let state = State {
            log,
            in_use,
            clock_offset: own.clock_offset,
            can_override: own.can_override,
            station: own.station,
            readings: Readings::default(),
        };
        Ok(Self {
            setup,
            state: Mutex::new(state),
        })
    }

    /// Takes a manifest or a delta of `event` into use; `now` is the device's clock.
    pub async fn install(
        &self,
        event: EventId,
        bytes: Vec<u8>,
        now: Timestamp,
    ) -> Result<ManifestState, OfflineError> {
        let kept = bytes.clone();
        let OfflineGateSetup {
            organization_id,
            manifest_key,
            ..
        } = &self.setup;
        let part = VerifiedManifest::verify(bytes, *organization_id, manifest_key)?;
        let State {
            log,
            in_use,
            clock_offset,
            ..
        } = &mut *self.state.lock().await;
        let held = in_use.as_ref().map(|held| &held.manifest);
        part.check(event, held, now.plus_millis(*clock_offset))?;
        let delta = part.head().base.is_some();
        let deltas = in_use
            .as_ref()
            .filter(|_| delta)
            .map_or(0, |held| held.deltas + kept.len());
        let next = InUse::new(part.into_manifest(held)?, deltas)?;
        log.keep_manifest(event, &kept, delta).await?;
        let state = next.state();
        *in_use = Some(next);
        Ok(state)
    }

    /// Decides a scan. The verdict and all that it changes are on the disk before this returns.
    ///
    /// A scan that was decided here under the same id, and a payload that was read here within the last 2.5 s, get
    /// their verdict again and make no second scan; an override is always a scan of its own.
    pub async fn decide(&self, mut scan: OfflineScan) -> Result<Verdict, OfflineError> {
        bound(&mut scan.reading);
        let key = ReadingKey::of(&scan.reading, scan.gate_id, scan.direction);
        let mut state = self.state.lock().await;
        if let Some((sha256, verdict)) = state.log.known(scan.scan_id).await? {
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
            && let Some(verdict) = state.readings.repeat(&key, scan.scanned_at)
        {
            return Ok(verdict);
        }
        let verdict = self.scan(&mut state, &key, &scan).await?;
        state.readings.keep(key, scan.scanned_at, &verdict);
        Ok(verdict)
    }

    async fn scan(
        &self,
        state: &mut State,
        key: &ReadingKey,
        scan: &OfflineScan,
    ) -> Result<Verdict, OfflineError> {
        let State {
            log,
            in_use,
            clock_offset,
            ..
        } = state;
        let InUse {
            manifest, keyring, ..
        } = in_use.as_ref().ok_or(OfflineError::NoManifest)?;
        let head = manifest.head();
        let gate = head.gate(scan.gate_id).ok_or(OfflineError::UnknownGate)?;
        let now = scan.scanned_at.plus_millis(*clock_offset);
        if head.is_stale(now) && head.event.stale_manifest == StaleManifest::Refuse {
            return Err(OfflineError::StaleManifest {
                made_at: head.made_at,
            });
        }
        let read = decide::read(&scan.reading, manifest, keyring);
        let own = match read.key {
            Some(ticket) => log.movements(head.event.id, ticket).await?,
            None => Vec::new(),
        };
        let ask = Ask {
            manifest,
            gate,
            direction: scan.direction,
            now,
            force: scan.override_.is_some(),
            device_id: self.setup.device_id,
            device_name: &self.setup.device_name,
        };
        let judged = decide::judge(&ask, &read, &own);
        let verdict = judged.verdict(scan.scan_id, &ask);
        self.record(log, key, scan, &verdict, read.key).await?;
        Ok(verdict)
    }

    /// Adds a scan to the end of the log.
    async fn record(
        &self,
        log: &mut Log,
        key: &ReadingKey,
        scan: &OfflineScan,
        verdict: &Verdict,
        ticket: Option<TicketKey>,
    ) -> Result<(), OfflineError> {
        let end = log.end().await?;
        let handed_in = SyncScan {
            scan_id: scan.scan_id,
            reading: scan.reading.clone(),
            gate_id: scan.gate_id,
            direction: scan.direction,
            scanned_at: scan.scanned_at,
            local_result: Some(verdict.result),
            local_reason: Some(verdict.reason),
            sequence: Some(end.sequence + 1),
            override_: scan.override_.clone(),
            metadata: scan.metadata.clone(),
            prev_hash: end.link,
        };
        // Hashed as the server will read it: what is sent is this very text.
        let (sent, link) = serde_json::to_string(&handed_in)
            .and_then(|sent| Ok((LinkHash::of(&serde_json::from_str(&sent)?), sent)))
            .map(|(link, sent)| (sent, link))?;
        let new = NewScan {
            sequence: end.sequence + 1,
            key,
            sent: &sent,
            link,
            verdict,
        };
        let movement = ticket
            .filter(|_| verdict.result == ScanResult::Valid)
            .map(|ticket| {
                let movement = OwnMovement::of(verdict, None);
                (verdict.event_id, ticket, movement)
            });
        log.write(&new, movement).await
    }

    /// Remembers who went in or out here by the server's decision, so that the phone alone knows it later.
    pub async fn note(&self, verdict: &Verdict) -> Result<(), OfflineError> {
        let Some(ticket) = verdict
            .ticket
            .as_ref()
            .filter(|_| verdict.result == ScanResult::Valid)
        else {
            return Ok(());
        };
        let key = TicketKey::of(self.setup.organization_id, verdict.event_id, ticket.code);
        let movement = OwnMovement::of(verdict, Some(verdict.scanned_at.plus(COMMIT_TIME)));
        let mut state = self.state.lock().await;
        state.log.note(verdict.event_id, key, &movement).await
    }

    /// The verdict of a payload that was read a moment ago, wherever it was reached.
    #[cfg(feature = "client")]
    pub(crate) async fn repeat(&self, key: &ReadingKey, at: Timestamp) -> Option<Verdict> {
        self.state.lock().await.readings.repeat(key, at)
    }

    /// Keeps a verdict of the server's for as long as a reading lasts.
    #[cfg(feature = "client")]
    pub(crate) async fn keep_reading(&self, key: ReadingKey, at: Timestamp, verdict: &Verdict) {
        self.state.lock().await.readings.keep(key, at, verdict);
    }

    /// Whether this phone saw somebody in or out on a ticket of `event`, and the server does not know it: then the
    /// phone knows better than the server.
    #[cfg(feature = "client")]
    pub(crate) async fn knows_better(&self, reading: &Reading, event: EventId) -> Result<bool, OfflineError> {
        match decide::claimed_key(reading, self.setup.organization_id, event) {
            Some(ticket) => self.state.lock().await.log.has_unknown(event, ticket).await,
            None => Ok(false),
        }
    }

    /// Closes the database. Not closing it loses nothing.
    pub async fn close(self) -> Result<(), OfflineError> {
        self.state.into_inner().log.close().await
    }
}

/// Takes the manifest that the device holds into use again: every signature is checked, no age.
fn reopen(parts: Vec<Vec<u8>>, setup: &OfflineGateSetup) -> Result<Option<InUse>, ManifestError> {
    let mut held: Option<Manifest> = None;
    let mut deltas = 0;
    for bytes in parts {
        let length = bytes.len();
        let part = VerifiedManifest::verify(bytes, setup.organization_id, &setup.manifest_key)?;
        if part.head().base.is_some() {
            deltas += length;
        }
        held = Some(part.into_manifest(held.as_ref())?);
    }
    held.map(|manifest| InUse::new(manifest, deltas)).transpose()
}

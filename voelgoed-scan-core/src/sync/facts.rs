//! What goes in and what comes out where a batch is taken? What the device says, what the database knows, and what is
//! to be written.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::model::{
    BatchId, Claims, DeviceId, DeviceKey, Direction, Event, EventId, Gate, GateId, OrganizationId, Reason,
    ScanId, ScanResult, SessionId, TicketCode, TicketFacts, TicketId, Timestamp,
};
use crate::rules::{ConflictKind, CountChange, HistoryKind, NewScan};
use crate::sync::refold::ScanState;
use crate::sync::{BatchSignature, LinkHash, ReceivedSequences, ScanFault, Upload};

/// How far a device's clock may be off without being corrected.
const CLOCK_TOLERANCE_MS: u64 = 2_000;

/// An item of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct UploadItem {
    /// The scan's id, as far as one could be read.
    pub scan_id: Option<ScanId>,
    /// Its place in the device's log, as far as one could be read.
    pub sequence: Option<u64>,
    /// Its link hash.
    pub link: LinkHash,
    /// The scan, or what is wrong with it.
    pub upload: Result<Box<Upload>, ScanFault>,
}

/// A batch on its way to the database.
#[derive(Debug, Clone, PartialEq)]
pub struct UploadBatch {
    /// The device's organization.
    pub organization_id: OrganizationId,
    /// The device.
    pub device_id: DeviceId,
    /// The batch.
    pub batch_id: BatchId,
    /// The device's clock as it sent the batch.
    pub sent_at: Timestamp,
    /// The server's clock as it came.
    pub received_at: Timestamp,
    /// The device's signature.
    pub signature: Option<BatchSignature>,
    /// The scans.
    pub items: Vec<UploadItem>,
}

impl UploadBatch {
    /// A time of the device's clock by the server's: never later than the arrival.
    #[must_use]
    pub fn corrected(&self, at: Timestamp) -> Timestamp {
        let offset = self.received_at.millis_since(self.sent_at);
        let offset = if offset.unsigned_abs() <= CLOCK_TOLERANCE_MS {
            0
        } else {
            offset
        };
        at.plus_millis(offset).min(self.received_at)
    }

    /// The readable scans.
    pub(crate) fn uploads(&self) -> impl Iterator<Item = &Upload> {
        self.items.iter().filter_map(|item| item.upload.as_deref().ok())
    }
}

/// A place in a device's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// Its number.
    pub sequence: u64,
    /// The hash of the scan before.
    pub prev: Option<LinkHash>,
    /// The hash of the scan itself.
    pub link: LinkHash,
}

/// The device as the database has it.
#[derive(Debug, Clone)]
pub struct SyncDevice {
    /// What it is called.
    pub name: String,
    /// Whether it was revoked for good.
    pub revoked: bool,
    /// Whether it may override.
    pub can_override: bool,
    /// The key that it enrolled with.
    pub key: Option<DeviceKey>,
    /// What came in of its log.
    pub received: ReceivedSequences,
    /// Whether it was enrolled anew since its log was last settled: it may begin another one.
    pub may_restart_log: bool,
}

/// A scan that is on record under an id of the batch.
#[derive(Debug, Clone)]
pub struct RecordedScan {
    /// The scan.
    pub kept: ScanState,
    /// The payload's SHA-256.
    pub payload_sha256: [u8; 32],
}

/// A session of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSpan {
    /// The session.
    pub id: SessionId,
    /// Its start.
    pub from: Timestamp,
    /// Its end.
    pub until: Option<Timestamp>,
}

/// What the database knows about a batch.
#[derive(Debug)]
pub struct SyncFacts {
    /// The device.
    pub device: SyncDevice,
    /// Scans on record under ids of the batch.
    pub known: HashMap<ScanId, RecordedScan>,
    /// Gates of the batch with their events.
    pub places: HashMap<GateId, (Event, Gate)>,
    /// The tickets.
    pub tickets: HashMap<TicketId, TicketFacts>,
    /// Scans of the tickets' histories.
    pub past: Vec<ScanState>,
    /// Sessions of the device.
    pub sessions: Vec<SessionSpan>,
    /// Places of the device's log beside those of the batch, with their scans.
    pub log: HashMap<u64, (ScanId, LogPosition)>,
    /// Scans of the batch that are in quarantine.
    pub quarantined: HashSet<ScanId>,
    /// How many more the quarantine holds.
    pub quarantine_capacity: usize,
}

impl SyncFacts {
    /// The ticket that claims name; `codes` is the index of them by code.
    pub(crate) fn ticket(
        &self,
        codes: &HashMap<TicketCode, TicketId>,
        claims: &Claims,
    ) -> Option<&TicketFacts> {
        let id = match claims.ticket_code {
            Some(code) => codes.get(&code).copied(),
            None => claims.ticket_id,
        }?;
        self.tickets.get(&id)
    }
}

/// A new scan to be written.
#[derive(Debug)]
pub struct NewSyncedScan {
    /// What every scan has.
    pub scan: NewScan,
    /// What it brings into its ticket's history.
    pub part: Option<HistoryKind>,
    /// The conflict that it lost.
    pub conflict: Option<ConflictKind>,
    /// The admission that it lost against.
    pub winner: Option<ScanId>,
    /// Why the device did what it did.
    pub local_reason: Option<Reason>,
    /// Its place in the device's log.
    pub log: Option<LogPosition>,
}

/// A scan for the quarantine.
#[derive(Debug)]
pub struct QuarantinedScan {
    /// The scan.
    pub scan_id: ScanId,
    /// The gate's event.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// The code that a signature vouches for.
    pub ticket_code: Option<TicketCode>,
    /// What the device did.
    pub local_result: Option<ScanResult>,
    /// Which way the person went.
    pub direction: Direction,
    /// The corrected time.
    pub at: Timestamp,
    /// The device's time.
    pub device_at: Timestamp,
    /// The payload's SHA-256.
    pub payload_sha256: [u8; 32],
}

/// What is to be written for a batch.
#[derive(Debug, Default)]
pub struct SyncWrites {
    /// New scans.
    pub scans: Vec<NewSyncedScan>,
    /// Scans on record that have changed.
    pub changed: Vec<ScanState>,
    /// Scans on record that have a place in the device's log now.
    pub log_positions: Vec<(ScanId, LogPosition)>,
    /// Tickets that have changed.
    pub tickets: Vec<TicketFacts>,
    /// Counters by event and gate.
    pub counts: BTreeMap<(EventId, GateId), CountChange>,
    /// Recorded scans by session.
    pub sessions: BTreeMap<SessionId, i64>,
    /// Scans for the quarantine.
    pub quarantine: Vec<QuarantinedScan>,
    /// Scans that leave it, because they are on record now.
    pub released: Vec<ScanId>,
    /// What came in of the device's log by now.
    pub received: ReceivedSequences,
    /// Whether the device began another log: what is on record of the last one has no place in it.
    pub restarts_log: bool,
    /// Whether it is plain by now which log the device keeps since it was enrolled anew.
    pub log_settled: bool,
}

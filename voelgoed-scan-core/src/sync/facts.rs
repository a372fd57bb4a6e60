//! The input and output of an upload: the batch of the device, the facts of the database, and the changes to write.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::model::{
    AuditContext, BatchId, Claims, DeviceId, DeviceKey, Direction, Event, EventId, Format, Gate, GateId,
    KeyId, Metadata, OrganizationId, Override, Reason, ScanId, ScanResult, SessionId, TicketCode,
    TicketFacts, TicketId, TicketStatus, Timestamp,
};
use crate::rules::{ConflictKind, CountChange, FormerRules, HistoryKind, NewScan};
use crate::sync::event_of_scan::EventLookup;
use crate::sync::refold::ScanState;
use crate::sync::{
    BatchSignature, DeviceScopes, GateEvents, LinkHash, ReceivedSequences, ScanFault, SyncScan, Upload,
};
use crate::token::MediumClaim;

/// The offset of a device's clock, in milliseconds, up to which its times are not corrected.
const CLOCK_TOLERANCE_MS: u64 = 2_000;

/// An item of an upload batch.
#[derive(Debug, Clone, PartialEq)]
pub struct UploadItem {
    /// The scan's id, if it could be read.
    pub scan_id: Option<ScanId>,
    /// Its sequence number in the device's log, if it could be read.
    pub sequence: Option<u64>,
    /// Its hash in the chain.
    pub link: LinkHash,
    /// The scan, or the error in it.
    pub upload: Result<Box<Upload>, ScanFault>,
}

/// A batch of scans that a device uploads.
#[derive(Debug, Clone, PartialEq)]
pub struct UploadBatch {
    /// The device's organization.
    pub organization_id: OrganizationId,
    /// The device.
    pub device_id: DeviceId,
    /// The batch.
    pub batch_id: BatchId,
    /// The device's time when it sent the batch.
    pub sent_at: Timestamp,
    /// The server's time when it received the batch.
    pub received_at: Timestamp,
    /// The device's signature.
    pub signature: Option<BatchSignature>,
    /// The call that sent the batch. The audit log names it with overrides and undos.
    pub origin: Option<AuditContext>,
    /// The scans.
    pub items: Vec<UploadItem>,
}

impl UploadBatch {
    /// The time of a scan by the server's clock. It is not later than `received_at`.
    #[must_use]
    pub fn corrected(&self, scan: &SyncScan) -> Timestamp {
        if let Some(age) = scan.age_ms {
            let age = i64::try_from(age).unwrap_or(i64::MAX);
            return self.received_at.plus_millis(-age);
        }
        let offset = self.received_at.millis_since(self.sent_at);
        let offset = if offset.unsigned_abs() <= CLOCK_TOLERANCE_MS {
            0
        } else {
            offset
        };
        scan.scanned_at.plus_millis(offset).min(self.received_at)
    }

    /// The whole batch as one chunk.
    #[must_use]
    pub fn whole(&self) -> UploadChunk<'_> {
        UploadChunk {
            batch: self,
            items: self.items.iter().collect(),
        }
    }

    /// The items at some positions as a chunk.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn chunk_of(&self, positions: &[usize]) -> UploadChunk<'_> {
        UploadChunk {
            batch: self,
            items: positions.iter().filter_map(|at| self.items.get(*at)).collect(),
        }
    }

    /// The items that could be read as scans.
    pub(crate) fn uploads(&self) -> impl Iterator<Item = &Upload> {
        self.items.iter().filter_map(|item| item.upload.as_deref().ok())
    }

    /// The SHA-256 of the media that its readings may name.
    #[cfg(feature = "node")]
    pub(crate) fn media(&self) -> Vec<[u8; 32]> {
        self.uploads()
            .filter_map(|upload| Some(upload.medium?.sha256))
            .collect()
    }

    /// Notes the tickets that have these media.
    #[cfg(feature = "node")]
    pub(crate) fn set_media_tickets(&mut self, tickets: &[crate::model::MediumTicket]) {
        let uploads = self
            .items
            .iter_mut()
            .filter_map(|item| item.upload.as_deref_mut().ok());
        for upload in uploads {
            let Some(claim) = upload.medium else { continue };
            let named = tickets
                .iter()
                .filter(|ticket| ticket.medium_sha256 == claim.sha256);
            upload.media_tickets = named
                .map(|ticket| (ticket.event_id, ticket.ticket_code))
                .collect();
        }
    }
}

/// Items of a batch that are written together. The log is verified over the whole batch.
#[derive(Debug, Clone)]
pub struct UploadChunk<'a> {
    /// The batch.
    pub batch: &'a UploadBatch,
    /// The items.
    pub items: Vec<&'a UploadItem>,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl<'a> UploadChunk<'a> {
    /// The items that could be read as scans.
    pub(crate) fn uploads(&self) -> impl Iterator<Item = &'a Upload> {
        self.items.iter().filter_map(|item| item.upload.as_deref().ok())
    }

    /// The positions of its items in the batch. Chunks keep the order of the batch.
    pub(crate) fn positions(&self) -> Vec<usize> {
        let mut chosen = self.items.iter().copied().peekable();
        let is_chosen = |item: &UploadItem| chosen.next_if(|next| std::ptr::eq(*next, item)).is_some();
        let positions = self.batch.items.iter().map(is_chosen).enumerate();
        positions
            .filter_map(|(at, is_chosen)| is_chosen.then_some(at))
            .collect()
    }
}

/// A position in a device's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// The sequence number.
    pub sequence: u64,
    /// The hash of the previous scan.
    pub prev: Option<LinkHash>,
    /// The hash of the scan.
    pub link: LinkHash,
}

/// The facts of the database about the device.
#[derive(Debug, Clone)]
pub struct SyncDevice {
    /// Its display name.
    pub name: String,
    /// Whether it is revoked.
    pub revoked: bool,
    /// Whether it may override.
    pub can_override: bool,
    /// The events and gates that it may work at, over time.
    pub scopes: DeviceScopes,
    /// The public key that it enrolled with.
    pub key: Option<DeviceKey>,
    /// The received part of its log.
    pub received: ReceivedSequences,
    /// Whether it may start a new log: it was enrolled again, and the server does not know yet which log it continues.
    pub may_restart_log: bool,
}

/// A recorded scan with an id of the batch.
#[derive(Debug, Clone)]
pub struct RecordedScan {
    /// The scan.
    pub state: ScanState,
    /// The payload's SHA-256.
    pub payload_sha256: [u8; 32],
}

/// A session of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSpan {
    /// The session.
    pub id: SessionId,
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// The start.
    pub from: Timestamp,
    /// The end; `None` if it is active.
    pub until: Option<Timestamp>,
}

/// Where and when a scan in quarantine was made, as its first arrival fixed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarantinedPlace {
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// The corrected time.
    pub at: Timestamp,
}

/// The facts of the database about a batch.
#[derive(Debug)]
pub struct SyncFacts {
    /// The device.
    pub device: SyncDevice,
    /// The recorded scans with ids of the batch.
    pub recorded: HashMap<ScanId, RecordedScan>,
    /// The events that have the gates of the batch.
    pub gate_events: GateEvents,
    /// The gates of the batch at the events of its scans.
    pub gates: HashMap<(EventId, GateId), (Event, Gate)>,
    /// The tickets.
    pub tickets: HashMap<TicketId, TicketFacts>,
    /// The changes of their statuses that staff made, in the order of their times.
    pub status_changes: HashMap<TicketId, Vec<(Timestamp, TicketStatus)>>,
    /// The rules of the events and tickets that no longer hold.
    pub former_rules: FormerRules,
    /// The scans of the tickets' histories.
    pub history: Vec<ScanState>,
    /// The sessions of the device.
    pub sessions: Vec<SessionSpan>,
    /// The positions of the device's log at and next to those of the batch, with their scans.
    pub log: HashMap<u64, (ScanId, LogPosition)>,
    /// The scans of the batch that are in quarantine.
    pub quarantined: HashMap<ScanId, QuarantinedPlace>,
    /// How many more scans the quarantine accepts.
    pub quarantine_capacity: usize,
}

impl SyncFacts {
    /// The event of a scan of the batch.
    pub(crate) fn event_of(&self, scan: &SyncScan, at: Timestamp) -> Result<EventId, ScanFault> {
        let lookup = EventLookup {
            quarantined: &self.quarantined,
            gate_events: &self.gate_events,
            sessions: &self.sessions,
        };
        lookup.find(scan, at)
    }

    /// Whether staff had voided, refunded or used the ticket before `at`.
    pub(crate) fn is_barred(&self, ticket: TicketId, at: Timestamp) -> bool {
        let changes = self.status_changes.get(&ticket);
        let last = changes.and_then(|changes| changes.iter().rfind(|(changed_at, _)| *changed_at < at));
        last.is_some_and(|(_, status)| status.denial().is_some())
    }

    /// The ticket that the claims name. `codes` is an index of the tickets by code.
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

/// A new scan to write.
#[derive(Debug)]
pub struct NewSyncedScan {
    /// The scan.
    pub scan: NewScan,
    /// What it means to its ticket's history.
    pub history_kind: Option<HistoryKind>,
    /// The conflict that the scan lost.
    pub conflict: Option<ConflictKind>,
    /// The admission that won the conflict.
    pub winner: Option<ScanId>,
    /// The device's reason.
    pub local_reason: Option<Reason>,
    /// Its position in the device's log.
    pub log: Option<LogPosition>,
}

/// What a quarantined scan holds besides its columns in the database. If staff accept the scan, it is evaluated with this.
/// The payload itself is never stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuarantinedUpload {
    /// The payload's format, if it could be parsed.
    pub format: Option<Format>,
    /// The payload's key id.
    pub kid: Option<KeyId>,
    /// The result of checks 1 to 3 when it arrived, without the payload's validity window.
    pub claims: Result<Claims, Reason>,
    /// The medium that the reading may name.
    #[serde(default)]
    pub medium: Option<MediumClaim>,
    /// The device's reason.
    pub local_reason: Option<Reason>,
    /// The override.
    pub override_: Option<Override>,
    /// Stored with the scan.
    pub metadata: Option<Metadata>,
    /// The position of the scan in the device's log.
    pub sequence: Option<u64>,
}

/// A scan to put into quarantine.
#[derive(Debug, Clone, PartialEq)]
pub struct QuarantinedScan {
    /// The scan.
    pub scan_id: ScanId,
    /// The event of the gate.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// The ticket's code, if a signature covers it.
    pub ticket_code: Option<TicketCode>,
    /// The device's result.
    pub local_result: Option<ScanResult>,
    /// The direction.
    pub direction: Direction,
    /// The time, corrected to the server's clock.
    pub at: Timestamp,
    /// The time by the device's clock.
    pub device_at: Timestamp,
    /// The payload's SHA-256.
    pub payload_sha256: [u8; 32],
    /// The rest of it.
    pub upload: QuarantinedUpload,
}

/// The changes to write for a batch.
#[derive(Debug, Default)]
pub struct SyncWrites {
    /// The new scans.
    pub scans: Vec<NewSyncedScan>,
    /// The recorded scans that changed.
    pub changed: Vec<ScanState>,
    /// Those of them that are decided differently now, or were undone.
    pub changed_decisions: Vec<(EventId, ScanId)>,
    /// The conflicts that scans lost by this batch, also those that are in quarantine now.
    pub opened_conflicts: Vec<ConflictKind>,
    /// The recorded scans that got a position in the device's log.
    pub log_positions: Vec<(ScanId, LogPosition)>,
    /// The changed tickets.
    pub tickets: Vec<TicketFacts>,
    /// Changes of counters by event and gate.
    pub counts: BTreeMap<(EventId, GateId), CountChange>,
    /// The number of recorded scans by session.
    pub sessions: BTreeMap<SessionId, i64>,
    /// The scans to put into quarantine.
    pub quarantine: Vec<QuarantinedScan>,
    /// The scans to remove from quarantine, because they are recorded now.
    pub released: Vec<ScanId>,
    /// The received part of the device's log after this batch.
    pub received: ReceivedSequences,
    /// Whether the device started a new log. Recorded scans then lose their positions.
    pub restarts_log: bool,
    /// Whether the server knows now which log the device continues after it was enrolled again.
    pub log_settled: bool,
}

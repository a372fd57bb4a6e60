//! What do devices hand in that decided alone, and what are they told? The request, its answer, and the conflicts.
//!
//! How a scan is judged again stands in `sync/judge.rs`, what a ticket's scans come to together in
//! [`crate::rules::fold`](crate::rules::fold()), and how a log proves that nothing was cut from it in `sync/chain.rs`. All of it in
//! words: `docs/sync.md`.

mod chain;
mod facts;
mod ingest;
mod log_verification;
mod received;
mod recheck;
mod refold;
mod scan;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{BatchId, DeviceId, NamedGate, Reason, ScanId, ScanResult, TicketCode, Timestamp};
use crate::rules::ConflictKind;

pub use chain::{BatchSignature, LinkHash, canonical, signed_bytes};
pub use facts::{
    LogPosition, NewSyncedScan, QuarantinedScan, RecordedScan, SessionSpan, SyncDevice, SyncFacts,
    SyncWrites, UploadBatch, UploadItem,
};
pub use ingest::{DENIED_AT_GATE, ingest};
pub use received::ReceivedSequences;
pub use recheck::Upload;
pub use refold::{RefoldResult, ScanState, TicketHistories};
pub use scan::{InvalidSyncScan, RawSyncScan, ReceivedScan, ScanFault, SyncScan};

/// The most scans in one batch.
pub const MAX_BATCH: usize = 1000;

string_enum! {
    /// What became of a scan that was handed in.
    pub enum SyncStatus {
        /// It is on record now.
        Recorded = "recorded",
        /// It was before: shown as it stands now.
        Replayed = "replayed",
        /// It cannot be taken; `errors` says why.
        Rejected = "rejected",
        /// It is kept apart, and admits nobody: its device is revoked, or its log does not hold together.
        Quarantined = "quarantined",
    }
}

/// What `POST /api/v1/scanning/sync` takes: a batch of scans that a device decided alone.
///
/// A device writes `SyncRequest<SyncScan>`; a server reads `SyncRequest<ReceivedScan>`, where a scan that does not make
/// sense stands beside its neighbours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncRequest<S = SyncScan> {
    /// The client's name for this batch; the answer carries it back.
    pub batch_id: BatchId,
    /// The device's clock as the batch is sent: the server learns from it how far the clock is off.
    pub sent_at: Timestamp,
    /// The scans, at most [`MAX_BATCH`].
    pub scans: Vec<S>,
    /// Where the device enrolled with a key: its signature over the batch, see [`signed_bytes`].
    #[serde(default)]
    pub signature: Option<BatchSignature>,
}

/// The batch in words of JSON Schema. A scan of another shape is no fault of the batch: it alone is `rejected`.
#[cfg(feature = "schema")]
impl<S> schemars::JsonSchema for SyncRequest<S> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SyncRequest".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let id = generator.subschema_for::<BatchId>();
        let time = generator.subschema_for::<Timestamp>();
        let signature = generator.subschema_for::<Option<BatchSignature>>();
        let scan = generator.subschema_for::<RawSyncScan>();
        schemars::json_schema!({
            "type": "object",
            "description": "A batch of scans that a device decided alone.",
            "required": ["batch_id", "sent_at", "scans"],
            "properties": {
                "batch_id": id,
                "sent_at": time,
                "scans": {
                    "description": "An item that is not a SyncScan is answered as `rejected`; its neighbours are taken.",
                    "type": "array",
                    "maxItems": MAX_BATCH,
                    "items": { "anyOf": [scan, true] }
                },
                "signature": signature
            }
        })
    }
}

/// A device by id and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NamedDevice {
    /// The device.
    pub id: DeviceId,
    /// What it is called.
    pub name: String,
}

/// A scan that is at odds with the rules or with another scan. There is one for each scan that lost.
///
/// The lists hold what belongs to the winner, where there is one, and then what belongs to the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Conflict {
    /// What is at odds.
    pub kind: ConflictKind,
    /// The admission that came first; only a `double_entry` has one.
    pub winner_scan_id: Option<ScanId>,
    /// The scan that lost.
    pub other_scan_id: ScanId,
    /// The ticket; null where no signature says which.
    pub ticket_code: Option<TicketCode>,
    /// The gates.
    pub gates: Vec<NamedGate>,
    /// The devices.
    pub devices: Vec<NamedDevice>,
    /// The corrected times.
    pub times: Vec<Timestamp>,
}

/// What became of one scan of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncResult {
    /// The scan; null where none could be read.
    pub scan_id: Option<ScanId>,
    /// What became of it.
    pub status: SyncStatus,
    /// What the gate should have done, as things stand; null unless the scan is on record.
    pub result: Option<ScanResult>,
    /// Why.
    pub reason: Option<Reason>,
    /// The conflict that the scan lost, or else the first that it won.
    pub conflict: Option<Conflict>,
    /// On `rejected`: what is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ScanFault>,
}

/// What `POST /api/v1/scanning/sync` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncAnswer {
    /// The batch.
    pub batch_id: BatchId,
    /// What became of its scans, in their order.
    pub results: Vec<SyncResult>,
    /// How many are new on record.
    pub recorded: usize,
    /// How many were on record before.
    pub replayed: usize,
    /// How many cannot be taken.
    pub rejected: usize,
    /// How many of them take part in a conflict.
    pub conflicts: usize,
    /// Sequence numbers that the device used and never handed in: first and last of each gap.
    pub missing_sequences: Vec<(u64, u64)>,
    /// The server's clock.
    pub server_time: Timestamp,
}

impl SyncAnswer {
    /// Counts results into an answer.
    #[must_use]
    pub fn of(
        batch_id: BatchId,
        results: Vec<SyncResult>,
        missing_sequences: Vec<(u64, u64)>,
        server_time: Timestamp,
    ) -> Self {
        let count = |status| results.iter().filter(|one| one.status == status).count();
        Self {
            batch_id,
            recorded: count(SyncStatus::Recorded),
            replayed: count(SyncStatus::Replayed),
            rejected: count(SyncStatus::Rejected),
            conflicts: results.iter().filter(|one| one.conflict.is_some()).count(),
            results,
            missing_sequences,
            server_time,
        }
    }
}

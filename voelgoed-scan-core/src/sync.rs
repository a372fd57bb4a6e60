//! Upload of scans that devices decided without the server: request, answer and conflicts.
//!
//! `sync/recheck.rs` evaluates a single scan, [`crate::rules::fold`](crate::rules::fold()) folds the scans of a ticket, and
//! `sync/chain.rs` defines the chain that proves a log complete. Upload batches carry directions, results, reasons and
//! policies as text. `docs/sync.md` describes the whole procedure.

mod chain;
#[cfg(any(feature = "node", test))]
mod chunks;
mod event_of_scan;
mod facts;
mod ingest;
mod log_verification;
mod read;
mod received;
mod recheck;
mod refold;
mod scan;
mod scopes;
mod split;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{
    BatchId, DeviceId, NamedGate, Reason, ReasonText, ScanId, ScanResult, TicketCode, Timestamp,
};
use crate::rules::ConflictKind;

pub use chain::{BatchSignature, LinkHash, canonical, signed_bytes};
#[cfg(any(feature = "node", test))]
pub(crate) use chunks::RemainingItems;
#[cfg(feature = "node")]
pub(crate) use chunks::names_tickets_in_two_ways;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use event_of_scan::EventLookup;
pub use event_of_scan::GateEvents;
pub use facts::{
    LogPosition, NewSyncedScan, QuarantinedPlace, QuarantinedScan, QuarantinedUpload, RecordedScan,
    SessionSpan, SyncDevice, SyncFacts, SyncWrites, UploadBatch, UploadChunk, UploadItem,
};
pub use ingest::{DENIED_AT_GATE, ingest, ingest_accepted};
pub use read::BatchFault;
pub use received::ReceivedSequences;
pub use recheck::Upload;
pub use refold::{RefoldResult, ScanState, TicketHistories};
pub use scan::{InvalidSyncScan, RawSyncScan, ReceivedScan, ScanFault, SyncScan};
pub use scopes::DeviceScopes;

/// The maximum number of scans in a batch.
pub const MAX_BATCH: usize = 1000;

string_enum! {
    /// The status of an uploaded scan.
    pub enum SyncStatus {
        /// It is recorded.
        Recorded = "recorded",
        /// It was recorded before. The result is its present one.
        Replayed = "replayed",
        /// It is not accepted. `errors` has the causes.
        Rejected = "rejected",
        /// It is in quarantine and admits nobody, because its device is revoked, the log is not valid, or
        /// the gate was outside the device's scope at its time.
        Quarantined = "quarantined",
    }
}

/// The request of `POST /api/v1/scanning/sync`: a batch of scans that a device decided alone.
///
/// A device writes `SyncRequest<SyncScan>`. A server reads `SyncRequest<ReceivedScan>` with
/// [`SyncRequest::read`], so that an invalid scan does not invalidate the batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncRequest<S = SyncScan> {
    /// The client's id of this batch. The answer repeats it.
    pub batch_id: BatchId,
    /// The device's time when it sent the batch. The server computes the offset of the device's clock from it.
    pub sent_at: Timestamp,
    /// The scans, at most [`MAX_BATCH`].
    pub scans: Vec<S>,
    /// The device's signature over the batch, if it enrolled with a key (see [`signed_bytes`]).
    #[serde(default)]
    pub signature: Option<BatchSignature>,
}

/// The JSON Schema of the batch. An invalid scan does not invalidate the batch: it alone is `rejected`.
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
                    "type": "array",
                    "maxItems": MAX_BATCH,
                    "description": "The scans.",
                    "items": { "anyOf": [scan, {
                        "description": "Any other value: this item alone is answered as `rejected`."
                    }] }
                },
                "signature": signature
            }
        })
    }
}

/// The request of `POST /api/v1/scanning/conflicts/{scan_id}/accept`: why staff trust a quarantined scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AcceptRequest {
    /// The reason.
    pub reason: ReasonText,
}

/// A device by id and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NamedDevice {
    /// The device.
    pub id: DeviceId,
    /// Its display name.
    pub name: String,
}

/// A conflict of a scan with the rules or with another scan. Each scan that lost has one.
///
/// The lists have the values of the winner, if there is one, and then those of the other scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Conflict {
    /// The kind.
    pub kind: ConflictKind,
    /// The admission that won. Only a `double_entry` has one.
    pub winner_scan_id: Option<ScanId>,
    /// The scan that lost.
    pub other_scan_id: ScanId,
    /// The ticket; null without a valid signature, and for the role viewer.
    pub ticket_code: Option<TicketCode>,
    /// The gates.
    pub gates: Vec<NamedGate>,
    /// The devices.
    pub devices: Vec<NamedDevice>,
    /// The corrected times.
    pub times: Vec<Timestamp>,
}

/// The result of one scan of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncResult {
    /// The scan; null if its id could not be read.
    pub scan_id: Option<ScanId>,
    /// Its status.
    pub status: SyncStatus,
    /// The present result of the scan. Null unless it is recorded.
    pub result: Option<ScanResult>,
    /// The reason of the result.
    pub reason: Option<Reason>,
    /// The conflict that the scan lost, or else the first conflict that it won.
    pub conflict: Option<Conflict>,
    /// For `rejected`: the causes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ScanFault>,
}

/// The answer of `POST /api/v1/scanning/sync`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncAnswer {
    /// The batch.
    pub batch_id: BatchId,
    /// The results of the scans, in their order.
    pub results: Vec<SyncResult>,
    /// The number of newly recorded scans.
    pub recorded: usize,
    /// The number of scans that were recorded before.
    pub replayed: usize,
    /// The number of rejected scans.
    pub rejected: usize,
    /// The number of scans that take part in a conflict.
    pub conflicts: usize,
    /// The gaps in the device's sequence numbers that it did not upload: first and last number of each. At most 100, the
    /// lowest.
    pub missing_sequences: Vec<(u64, u64)>,
    /// The number of gaps that `missing_sequences` does not list.
    #[serde(default)]
    pub missing_more: usize,
    /// The server's time.
    pub server_time: Timestamp,
}

impl SyncAnswer {
    /// Makes an answer and counts the results.
    #[must_use]
    pub fn of(
        batch_id: BatchId,
        results: Vec<SyncResult>,
        received: &ReceivedSequences,
        server_time: Timestamp,
    ) -> Self {
        let (missing_sequences, missing_more) = received.missing_listed();
        let count = |status| results.iter().filter(|one| one.status == status).count();
        Self {
            batch_id,
            recorded: count(SyncStatus::Recorded),
            replayed: count(SyncStatus::Replayed),
            rejected: count(SyncStatus::Rejected),
            conflicts: results.iter().filter(|one| one.conflict.is_some()).count(),
            results,
            missing_sequences,
            missing_more,
            server_time,
        }
    }
}

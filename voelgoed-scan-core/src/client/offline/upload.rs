//! Uploads the log to the server: in batches, in order, and repeatedly until the server has answered for every scan.

use serde_json::value::RawValue;

use crate::client::offline::clock::ClockReading;
use crate::client::{OfflineError, OfflineScanner, OfflineScannerSetup};
use crate::model::{BatchId, ScanId, Timestamp};
use crate::sync::{
    Conflict, LinkHash, MAX_BATCH, ScanFault, SyncRequest, SyncResult, SyncStatus, signed_bytes,
};

/// The maximum size of the scans in one batch, in bytes. The server accepts 16 MiB.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// A batch of scans for upload.
#[derive(Clone)]
pub struct WaitingBatch {
    /// The batch's id.
    pub batch_id: BatchId,
    /// The ids of its scans.
    pub scan_ids: Vec<ScanId>,
    /// The JSON body of the request, signed if the device has a key. It contains payloads: never log it.
    pub body: Vec<u8>,
}

/// Shows only ids.
impl std::fmt::Debug for WaitingBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitingBatch")
            .field("batch_id", &self.batch_id)
            .field("scan_ids", &self.scan_ids)
            .finish_non_exhaustive()
    }
}

impl OfflineScanner {
    /// Returns the next scans for upload, at most `limit` and at most [`MAX_BATCH`]. Returns `None` if no scan waits.
    /// `sent_at` is the device's clock.
    pub async fn next_batch(
        &self,
        limit: usize,
        sent_at: Timestamp,
    ) -> Result<Option<WaitingBatch>, OfflineError> {
        let mut waiting = {
            let mut state = self.state.lock().await;
            state.log.waiting_scans(limit.clamp(1, MAX_BATCH)).await?
        };
        let mut size = 0;
        let fitting = waiting.iter().take_while(|scan| {
            size += scan.json.get().len();
            size <= MAX_BATCH_BYTES
        });
        let fitting = fitting.count().max(1);
        waiting.truncate(fitting);
        if waiting.is_empty() {
            return Ok(None);
        }
        let batch_id = BatchId::generate(sent_at);
        let now = ClockReading::at(sent_at, self.clock());
        let ages: Vec<Option<u64>> = waiting.iter().map(|scan| scan.age_at(&now)).collect();
        let links: Vec<LinkHash> = waiting.iter().map(|scan| scan.link).collect();
        let OfflineScannerSetup {
            organization_id,
            device_id,
            device_secret,
            ..
        } = &self.setup;
        let signature = device_secret.as_ref().map(|secret| {
            secret.sign(&signed_bytes(
                *organization_id,
                *device_id,
                batch_id,
                sent_at,
                &links,
                &ages,
            ))
        });
        let scan_ids = waiting.iter().map(|scan| scan.scan_id).collect();
        let request = SyncRequest::<Box<RawValue>> {
            batch_id,
            sent_at,
            scans: waiting
                .into_iter()
                .zip(ages)
                .map(|(scan, age)| with_age(scan.json, age))
                .collect::<Result<_, _>>()?,
            signature,
        };
        let body = serde_json::to_vec(&request)?;
        Ok(Some(WaitingBatch {
            batch_id,
            scan_ids,
            body,
        }))
    }

    /// Marks a scan as rejected that the server refuses in every batch. It stays on the phone and does not block others.
    pub(crate) async fn mark_rejected(&self, scan: ScanId, code: &str) -> Result<(), OfflineError> {
        let result = SyncResult {
            scan_id: Some(scan),
            status: SyncStatus::Rejected,
            result: None,
            reason: None,
            conflict: None,
            errors: vec![ScanFault::new("", code)],
        };
        let mut state = self.state.lock().await;
        // The server has nothing of this scan, so no manifest ever counts it.
        state
            .log
            .acknowledge(&[result], Timestamp::from_millis(i64::MAX), &[])
            .await
    }

    /// Returns the conflicts that the server reported for scans of this device.
    pub async fn conflicts(&self) -> Result<Vec<Conflict>, OfflineError> {
        self.state.lock().await.log.conflicts().await
    }
}

/// Adds the age of a scan to its JSON. The link hash does not cover it, the signature of the batch does.
fn with_age(scan: Box<RawValue>, age: Option<u64>) -> Result<Box<RawValue>, serde_json::Error> {
    match (age, scan.get().strip_prefix('{')) {
        // A scan has members: its id at least.
        (Some(age), Some(members)) => RawValue::from_string(format!("{{\"age_ms\":{age},{members}")),
        _ => Ok(scan),
    }
}

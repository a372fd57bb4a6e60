//! How does the log reach the server? In batches, in order, again and again until every scan is answered for.

use serde_json::value::RawValue;

use crate::client::offline::COMMIT_TIME;
use crate::client::{OfflineError, OfflineGate, OfflineGateSetup};
use crate::model::{BatchId, ScanId, Timestamp};
use crate::sync::{Conflict, LinkHash, MAX_BATCH, SyncAnswer, SyncRequest, signed_bytes};
#[cfg(feature = "client")]
use crate::sync::{ScanFault, SyncResult, SyncStatus};

/// The most bytes of scans in one batch; the server takes 16 MiB.
const BATCH_BYTES: usize = 4 << 20;

/// Scans on their way to the server.
#[derive(Clone)]
pub struct WaitingBatch {
    /// The batch.
    pub batch_id: BatchId,
    /// Its scans.
    pub scan_ids: Vec<ScanId>,
    /// The JSON to be posted, signed where the device has a key. It holds payloads: never log it.
    pub body: Vec<u8>,
}

/// Shows ids only.
impl std::fmt::Debug for WaitingBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitingBatch")
            .field("batch_id", &self.batch_id)
            .field("scan_ids", &self.scan_ids)
            .finish_non_exhaustive()
    }
}

impl OfflineGate {
    /// The next scans to be handed in, at most `limit` and never more than [`MAX_BATCH`]; nothing where none waits.
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
        let fits = waiting.iter().take_while(|scan| {
            size += scan.sent.get().len();
            size <= BATCH_BYTES
        });
        let fits = fits.count().max(1);
        waiting.truncate(fits);
        if waiting.is_empty() {
            return Ok(None);
        }
        let batch_id = BatchId::generate(sent_at);
        let links: Vec<LinkHash> = waiting.iter().map(|scan| scan.link).collect();
        let OfflineGateSetup {
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
            ))
        });
        let scan_ids = waiting.iter().map(|scan| scan.scan_id).collect();
        let request = SyncRequest::<Box<RawValue>> {
            batch_id,
            sent_at,
            scans: waiting.into_iter().map(|scan| scan.sent).collect(),
            signature,
        };
        let body = serde_json::to_vec(&request)?;
        Ok(Some(WaitingBatch {
            batch_id,
            scan_ids,
            body,
        }))
    }

    /// Takes what the server made of a batch. Scans that the answer does not name go on waiting.
    pub async fn acknowledge(&self, answer: &SyncAnswer) -> Result<(), OfflineError> {
        let mut state = self.state.lock().await;
        let known_at = answer.server_time.plus(COMMIT_TIME);
        state.log.acknowledge(&answer.results, known_at).await
    }

    /// Sets a scan aside that the server does not take in any batch: it stays on the phone, and blocks no other.
    #[cfg(feature = "client")]
    pub(crate) async fn set_aside(&self, scan: ScanId, code: &str) -> Result<(), OfflineError> {
        let result = SyncResult {
            scan_id: Some(scan),
            status: SyncStatus::Rejected,
            result: None,
            reason: None,
            conflict: None,
            errors: vec![ScanFault::new("", code)],
        };
        let mut state = self.state.lock().await;
        // Nothing of it is on the server: no manifest counts it, whenever it is made.
        state
            .log
            .acknowledge(&[result], Timestamp::from_millis(i64::MAX))
            .await
    }

    /// What the server found at odds with scans of this device.
    pub async fn conflicts(&self) -> Result<Vec<Conflict>, OfflineError> {
        self.state.lock().await.log.conflicts().await
    }
}

//! Receives the scans that a device decided while it was offline. The scans are verified here, evaluated and folded into
//! the histories of their tickets in one write, and published like other scans.

use super::verification::verify_reading;
use super::{ScanError, Scanner};
use crate::bus::Message;
use crate::model::{AuthenticatedDevice, OrganizationId, ScanRecord, Timestamp};
use crate::node::write_queue::BulkKind;
use crate::store::{ConflictFilter, Page, PageRequest, StoreError};
use crate::sync::{
    Conflict, LinkHash, ReceivedScan, SyncAnswer, SyncRequest, SyncWrites, Upload, UploadBatch, UploadItem,
};
use crate::token::Keyring;

/// How many signatures are verified before other tasks run.
const SIGNATURES_PER_YIELD: usize = 64;

/// Sequence numbers are below this limit, so that a JSON client represents them exactly as a double.
const SEQUENCE_LIMIT: u64 = 1 << 53;

impl Scanner {
    /// Ingests a batch of scans at `now`, the server's clock. The scans of a revoked device go into quarantine.
    pub async fn sync(
        &self,
        authenticated: &AuthenticatedDevice,
        request: SyncRequest<ReceivedScan>,
        now: Timestamp,
    ) -> Result<SyncAnswer, ScanError> {
        let device = &authenticated.device;
        let organization = device.organization_id;
        let keyring = self.0.keyrings.get(organization).await?;
        let mut items = Vec::with_capacity(request.scans.len());
        for (at, received) in request.scans.into_iter().enumerate() {
            if at % SIGNATURES_PER_YIELD == SIGNATURES_PER_YIELD - 1 {
                tokio::task::yield_now().await;
            }
            items.push(self.item(received, &keyring));
        }
        let batch = UploadBatch {
            organization_id: organization,
            device_id: device.id,
            batch_id: request.batch_id,
            sent_at: request.sent_at,
            received_at: now,
            signature: request.signature,
            items,
        };
        // A scan of the batch may also be a denial that was answered from a cache and is not written yet.
        self.0.write_queue.flush(organization).await;
        let permit = self
            .0
            .write_queue
            .bulk_writes()
            .start_chunk(organization, BulkKind::Upload)
            .await;
        let synced = self
            .store()
            .sync(&batch, &self.0.rules)
            .await?
            .ok_or(ScanError::DeviceInactive)?;
        permit.complete(batch.items.len());
        self.publish_sync(organization, &synced.writes, now).await;
        let missing = synced.writes.received.missing();
        Ok(SyncAnswer::of(request.batch_id, synced.results, missing, now))
    }

    fn item(&self, received: ReceivedScan, keyring: &Keyring) -> UploadItem {
        let scan_id = received.scan_id();
        let link = LinkHash::of(&received.sent);
        let upload = received.scan.map(|scan| {
            // Unsigned codes pass here: whether the event allows them is decided later, when the event is read.
            let (fingerprint, claims) =
                verify_reading(&scan.reading, keyring, self.0.keyrings.phoenix(), true);
            Box::new(Upload {
                scan: *scan,
                fingerprint,
                claims,
            })
        });
        let sequence = match &upload {
            Ok(upload) => upload.scan.sequence,
            Err(_) => received.sent.get("sequence").and_then(serde_json::Value::as_u64),
        };
        UploadItem {
            scan_id,
            sequence: sequence.filter(|number| (1..SEQUENCE_LIMIT).contains(number)),
            link,
            upload,
        }
    }

    /// Invalidates what a batch changed, and publishes its scans.
    async fn publish_sync(&self, organization: OrganizationId, writes: &SyncWrites, now: Timestamp) {
        let tickets: Vec<_> = writes
            .tickets
            .iter()
            .map(|facts| (facts.ticket.code, facts.version))
            .collect();
        self.0
            .invalidator
            .tickets_changed(organization, &tickets, now)
            .await;
        let new = writes.scans.iter().map(|new| &new.scan.record);
        let changed = writes.changed.iter().map(|scan| &scan.record);
        for event in writes.counts.keys().map(|(event, _)| *event) {
            self.0.occupancy_cache.remove_event(organization, event);
        }
        let records: Vec<&ScanRecord> = new.chain(changed).collect();
        self.0.feed.publish_scans(&records);
        let publisher = &self.0.invalidator.publisher;
        if publisher.is_enabled() {
            for record in records {
                publisher.publish(Message::Scan(Box::new(record.clone())));
            }
        }
    }

    /// The conflicts of an organization, newest first by the time of the losing scan.
    pub async fn conflicts(
        &self,
        organization: OrganizationId,
        filter: &ConflictFilter,
        page: &PageRequest,
    ) -> Result<Page<Conflict>, StoreError> {
        self.store().conflicts(organization, filter, page).await
    }
}

//! What does a device hand in that decided alone? Read and verified here, judged and folded in one write, and told to
//! everybody who keeps or watches what it changed.

use crate::bus::Message;
use crate::model::{AuthenticatedDevice, OrganizationId, ScanRecord, Timestamp};
use crate::node::scanner::reading;
use crate::node::{ScanError, Scanner};
use crate::store::{ConflictFilter, Page, PageRequest, StoreError};
use crate::sync::{
    Conflict, LinkHash, ReceivedScan, SyncAnswer, SyncRequest, SyncWrites, Upload, UploadBatch, UploadItem,
};
use crate::token::Keyring;

/// How many signatures are checked before other work gets its turn.
const CHECKED_AT_ONCE: usize = 64;

impl Scanner {
    /// Takes a batch of scans at `now`, the server's clock. A revoked device's go into quarantine.
    pub async fn sync(
        &self,
        authenticated: &AuthenticatedDevice,
        request: SyncRequest<ReceivedScan>,
        now: Timestamp,
    ) -> Result<SyncAnswer, ScanError> {
        let device = &authenticated.device;
        let organization = device.organization_id;
        let keyring = self
            .0
            .keys
            .keyring(organization, &self.0.memory, self.store())
            .await?;
        let mut items = Vec::with_capacity(request.scans.len());
        for (at, handed) in request.scans.into_iter().enumerate() {
            if at % CHECKED_AT_ONCE == CHECKED_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            items.push(self.item(handed, &keyring));
        }
        let intake = UploadBatch {
            organization_id: organization,
            device_id: device.id,
            batch_id: request.batch_id,
            sent_at: request.sent_at,
            received_at: now,
            signature: request.signature,
            items,
        };
        // A denial that a tier answered may still wait to be written: a scan of the batch may be the same.
        self.0.write_queue.flush().await;
        let synced = self
            .store()
            .sync(&intake, &self.0.rules)
            .await?
            .ok_or(ScanError::DeviceInactive)?;
        self.tell(organization, &synced.writes, now).await;
        let missing = synced.writes.received.missing();
        Ok(SyncAnswer::of(request.batch_id, synced.results, missing, now))
    }

    fn item(&self, handed: ReceivedScan, keyring: &Keyring) -> UploadItem {
        let scan_id = handed.scan_id();
        let link = LinkHash::of(&handed.sent);
        let upload = handed.scan.map(|scan| {
            // Whether bare codes are allowed is for the gate's event to say, which only the database knows.
            let (fingerprint, claims) = reading::read(&scan.reading, keyring, self.0.keys.phoenix(), true);
            Box::new(Upload {
                scan: *scan,
                fingerprint,
                claims,
            })
        });
        let sequence = match &upload {
            Ok(upload) => upload.scan.sequence,
            Err(_) => handed.sent.get("sequence").and_then(serde_json::Value::as_u64),
        };
        UploadItem {
            scan_id,
            sequence: sequence.filter(|number| (1..1 << 53).contains(number)),
            link,
            upload,
        }
    }

    async fn tell(&self, organization: OrganizationId, writes: &SyncWrites, now: Timestamp) {
        let tickets: Vec<_> = writes
            .tickets
            .iter()
            .map(|facts| (facts.ticket.code, facts.version))
            .collect();
        self.0.changes.tickets(organization, &tickets, now).await;
        let new = writes.scans.iter().map(|new| &new.scan.record);
        let changed = writes.changed.iter().map(|kept| &kept.record);
        for event in writes.counts.keys().map(|(event, _)| *event) {
            self.0.occupancy_cache.forget(organization, event);
        }
        let records: Vec<&ScanRecord> = new.chain(changed).collect();
        self.0.feed.tell_scans(&records);
        let outbox = &self.0.changes.outbox;
        if outbox.is_heard() {
            for record in records {
                outbox.tell(Message::Scan(Box::new(record.clone())));
            }
        }
    }

    /// The conflicts of an organization, newest first by the time of the scan that lost.
    pub async fn conflicts(
        &self,
        organization: OrganizationId,
        filter: &ConflictFilter,
        page: &PageRequest,
    ) -> Result<Page<Conflict>, StoreError> {
        self.store().conflicts(organization, filter, page).await
    }
}

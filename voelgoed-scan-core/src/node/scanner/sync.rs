//! Receives the scans that a device decided while it was offline. The scans are verified here, evaluated and folded into
//! the histories of their tickets in short writes, and published like other scans.

use std::collections::BTreeMap;

use super::{ScanError, Scanner};
use crate::bus::Message;
use crate::model::{
    AuditContext, AuthenticatedDevice, DeviceStatus, OrganizationId, ScanId, ScanRecord, Timestamp,
};
use crate::node::cache::scan_ids::ScanClaim;
use crate::node::write_queue::BulkKind;
use crate::store::{AcceptOutcome, Acceptance, ConflictFilter, Page, PageRequest, StoreError};
use crate::sync::{
    Conflict, ReceivedScan, ReceivedSequences, RemainingItems, SyncAnswer, SyncRequest, SyncResult,
    SyncWrites, Upload, UploadBatch, UploadItem, names_tickets_in_two_ways,
};
use crate::token::{Keyring, medium_of, verify_reading};

/// How many signatures are verified before other tasks run.
const SIGNATURES_PER_YIELD: usize = 64;

impl Scanner {
    /// Ingests a batch of scans at `now`, the server's clock. The audit log names `origin` with overrides. The scans of a revoked device go into quarantine.
    pub async fn sync(
        &self,
        authenticated: &AuthenticatedDevice,
        request: SyncRequest<ReceivedScan>,
        origin: Option<AuditContext>,
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
        let mut batch = UploadBatch {
            organization_id: organization,
            device_id: device.id,
            batch_id: request.batch_id,
            sent_at: request.sent_at,
            received_at: now,
            signature: request.signature,
            origin,
            items,
        };
        let media = batch.media();
        if !media.is_empty() {
            batch.set_media_tickets(&self.store().tickets_by_media(organization, &media).await?);
        }
        // A scan of the batch may also be a denial that was answered from a cache and is not written yet.
        if device.status == DeviceStatus::Active {
            self.0.claims.claim(&claim_of(&batch)).await?;
        }
        self.0.write_queue.flush(organization).await;
        let (mut results, received) = self.write_upload(&batch, now).await?;
        if names_tickets_in_two_ways(&batch) {
            // Everything is recorded, so this changes nothing. It only reads what later chunks made of earlier ones.
            let (present, _) = self.write_upload(&batch, now).await?;
            for (result, present) in results.iter_mut().zip(present) {
                result.result = present.result;
                result.reason = present.reason;
                result.conflict = present.conflict;
            }
        }
        Ok(SyncAnswer::of(request.batch_id, results, &received, now))
    }

    /// Writes a batch in chunks, each of which waits behind the scans at the gates. Returns the result of each item and the
    /// received part of the device's log.
    async fn write_upload(
        &self,
        batch: &UploadBatch,
        now: Timestamp,
    ) -> Result<(Vec<SyncResult>, ReceivedSequences), ScanError> {
        let organization = batch.organization_id;
        let bulk_writes = self.0.write_queue.bulk_writes();
        let mut remaining = RemainingItems::new(batch);
        let mut results = BTreeMap::new();
        loop {
            let permit = bulk_writes.start_chunk(organization, BulkKind::Upload).await;
            let (positions, chunk) = remaining.take(permit.max_items());
            let synced = self
                .store()
                .sync(&chunk, &self.0.rules)
                .await?
                .ok_or(ScanError::DeviceInactive)?;
            permit.complete(positions.len());
            self.publish_sync(organization, &synced.writes, now).await;
            results.extend(positions.into_iter().zip(synced.results));
            if remaining.is_empty() {
                return Ok((results.into_values().collect(), synced.writes.received));
            }
        }
    }

    fn item(&self, received: ReceivedScan, keyring: &Keyring) -> UploadItem {
        let upload = received.scan.map(|scan| {
            // Unsigned codes pass here: whether the event allows them is decided later, when the event is read.
            let medium = medium_of(&scan.reading).map(|(_, claim)| claim);
            let phoenix = self.0.keyrings.phoenix();
            let (fingerprint, claims) =
                verify_reading(&scan.reading, medium.as_ref(), keyring, phoenix, true);
            Box::new(Upload {
                scan: *scan,
                fingerprint,
                claims,
                medium,
                media_tickets: Vec::new(),
            })
        });
        UploadItem {
            scan_id: received.scan_id,
            sequence: received.sequence,
            link: received.link,
            upload,
        }
    }

    /// Invalidates what a batch changed, and publishes its scans.
    async fn publish_sync(&self, organization: OrganizationId, writes: &SyncWrites, now: Timestamp) {
        for kind in &writes.opened_conflicts {
            self.0.conflict_stats.record(*kind);
        }
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
            self.0.occupancy_cache.remove_event((organization, event));
        }
        let records: Vec<&ScanRecord> = new.chain(changed).collect();
        let ids = records.iter().map(|record| record.scan_id);
        self.0.scan_ids.mark_all(organization, ids.clone());
        self.scans_changed(&records, now);
        // The transaction may have told of conflicts.
        self.0.webhooks.notify_enqueued();
        let publisher = &self.0.invalidator.publisher;
        if publisher.is_enabled() && !records.is_empty() {
            publisher.publish(Message::ScanIdsSeen {
                organization_id: organization,
                scan_ids: ids.collect(),
            });
            for record in records {
                publisher.publish(Message::Scan(Box::new(record.clone())));
            }
        }
    }

    /// Records a quarantined scan that staff accepted, as if its device were trusted, and returns its record. A repeated
    /// request gets the same answer.
    pub async fn accept(
        &self,
        organization: OrganizationId,
        scan: ScanId,
        acceptance: &Acceptance,
        by: &AuditContext,
    ) -> Result<ScanRecord, ScanError> {
        self.0.write_queue.flush(organization).await;
        let outcome = self
            .store()
            .accept(
                organization,
                scan,
                acceptance,
                &self.0.rules,
                self.audit(by, acceptance.at),
            )
            .await?;
        match outcome.ok_or(ScanError::NotFound)? {
            AcceptOutcome::Accepted { record, writes } => {
                if let Some(writes) = writes {
                    self.publish_sync(organization, &writes, acceptance.at).await;
                }
                Ok(*record)
            }
            AcceptOutcome::NotQuarantined => Err(ScanError::NotQuarantined),
            AcceptOutcome::IdOfAnotherScan => Err(ScanError::ScanIdReused),
            AcceptOutcome::Unreadable => Err(ScanError::NotAcceptable),
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

/// The ids and the tickets of a batch. No cache answers them while it is written: its scans may change what a ticket allows, and
/// a scan that is sent again meanwhile must find its record.
fn claim_of(batch: &UploadBatch) -> ScanClaim {
    let codes = |item| {
        let item: &UploadItem = item;
        item.upload.iter().flat_map(|upload| upload.ticket_codes())
    };
    ScanClaim {
        organization: batch.organization_id,
        scan_ids: batch.items.iter().filter_map(|item| item.scan_id).collect(),
        ticket_codes: batch.items.iter().flat_map(codes).collect(),
    }
}

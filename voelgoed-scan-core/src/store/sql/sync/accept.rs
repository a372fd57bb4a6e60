//! Records a quarantined scan that an owner or admin accepted, as if its device were trusted.
//!
//! Invariant: a scan is accepted once. The row of the device keeps two acceptances of one scan apart.

use crate::audit::{Audit, AuditedChange};
use crate::model::{
    AuditAction, AuditChanges, AuditSubject, AuditSubjectKind, BatchId, Direction, Fingerprint,
    OrganizationId, Reading, RuleSettings, ScanId, Timestamp,
};
use crate::store::sql::audit::append;
use crate::store::sql::long_folds::run_fold;
use crate::store::sql::media::tickets_by_media;
use crate::store::sql::scans::find_scan;
use crate::store::sql::sync::{SyncDialect, facts, writes};
use crate::store::sql::{Row, Sql, query, statement};
use crate::store::{AcceptOutcome, Acceptance, StoreError};
use crate::sync::{
    LinkHash, QuarantinedUpload, SyncScan, SyncStatus, Upload, UploadBatch, UploadItem, ingest_accepted,
};

impl<D: SyncDialect> Sql<D> {
    pub(super) async fn accept_once(
        &self,
        organization: OrganizationId,
        scan: ScanId,
        acceptance: &Acceptance,
        rules: &RuleSettings,
        audit: Audit<'_>,
    ) -> Result<Option<AcceptOutcome>, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        let accepted = query::<D>(statement!("sync/find_acceptance.sql"))
            .id(organization.as_uuid())
            .id(scan.as_uuid())
            .fetch_optional(&mut transaction)
            .await?;
        if accepted.is_some() {
            let record = find_scan::<D>(organization, scan, &mut transaction).await?;
            return Ok(record.map(|record| AcceptOutcome::Accepted {
                record: Box::new(record),
                writes: None,
            }));
        }
        let row = query::<D>(statement!("sync/find_quarantined.sql"))
            .id(organization.as_uuid())
            .id(scan.as_uuid())
            .fetch_optional(&mut transaction)
            .await?;
        let Some(row) = row else {
            let record = find_scan::<D>(organization, scan, &mut transaction).await?;
            return Ok(record.map(|_| AcceptOutcome::NotQuarantined));
        };
        let Some(mut batch) = batch_of(organization, scan, &row)? else {
            return Ok(Some(AcceptOutcome::Unreadable));
        };
        let hashes = batch.media();
        batch.set_media_tickets(&tickets_by_media::<D>(organization, &hashes, &mut transaction).await?);
        let Some(facts) = facts::load::<D>(&batch.whole(), facts::Devices::All, &mut transaction).await?
        else {
            return Ok(None);
        };
        if !facts
            .gates
            .contains_key(&(row.id("event_id")?, row.id("gate_id")?))
        {
            // The event was deleted.
            return Ok(None);
        }
        if !facts.quarantined.contains_key(&scan) {
            return Err(StoreError::contended("the scan left the quarantine meanwhile"));
        }
        let (scans, accepted, rules) = (facts.history.len(), batch.clone(), *rules);
        let fold = move || ingest_accepted(&accepted.whole(), facts, &rules);
        let (results, mut changes) = run_fold(scans, fold).await?;
        let status = results.first().map(|result| result.status);
        if !matches!(status, Some(SyncStatus::Recorded | SyncStatus::Replayed)) {
            return Ok(Some(AcceptOutcome::IdOfAnotherScan));
        }
        if !changes.released.contains(&scan) {
            changes.released.push(scan);
        }
        writes::apply::<D>(&batch, &changes, &mut transaction).await?;
        query::<D>(statement!("sync/insert_acceptance.sql"))
            .id(organization.as_uuid())
            .id(scan.as_uuid())
            .id(batch.device_id.as_uuid())
            .id(acceptance.api_key_id.as_uuid())
            .text(acceptance.reason.as_str())
            .time(acceptance.at)
            .execute(&mut transaction)
            .await?;
        let record = find_scan::<D>(organization, scan, &mut transaction)
            .await?
            .ok_or_else(|| StoreError::failed("an accepted scan is not on record"))?;
        let change = AuditedChange {
            action: AuditAction::ScanAccept,
            subject: AuditSubject::new(AuditSubjectKind::Scan, scan),
            changes: AuditChanges::new().with("quarantined", true, false),
        };
        append::<D>(organization, change, audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(Some(AcceptOutcome::Accepted {
            record: Box::new(record),
            writes: Some(Box::new(changes)),
        }))
    }
}

/// The quarantined scan as a batch of its own. `None` if it was stored without what it holds.
fn batch_of<D: SyncDialect>(
    organization: OrganizationId,
    scan_id: ScanId,
    row: &Row<D>,
) -> Result<Option<UploadBatch>, StoreError> {
    let Some(upload) = row.opt_json::<QuarantinedUpload>("upload")? else {
        return Ok(None);
    };
    let (at, received_at): (Timestamp, Timestamp) = (row.time("scanned_at")?, row.time("received_at")?);
    let scan = SyncScan {
        scan_id,
        // The payload is not stored. What was verified of it is in `claims`.
        reading: Reading::Qr(String::new()),
        event_id: Some(row.id("event_id")?),
        gate_id: row.id("gate_id")?,
        direction: row.parse::<Direction>("direction")?,
        scanned_at: row.time("device_scanned_at")?,
        // The corrected time was fixed when the scan arrived.
        age_ms: u64::try_from(received_at.millis_since(at)).ok(),
        local_result: row.opt_parse("local_result")?,
        local_reason: upload.local_reason,
        sequence: None,
        override_: upload.override_,
        metadata: upload.metadata,
        prev_hash: None,
    };
    Ok(Some(UploadBatch {
        organization_id: organization,
        device_id: row.id("device_id")?,
        batch_id: BatchId::from_uuid(*scan_id.as_uuid()),
        sent_at: received_at,
        received_at,
        signature: None,
        origin: None,
        items: vec![UploadItem {
            scan_id: Some(scan_id),
            sequence: upload.sequence,
            link: LinkHash::new([0; 32]),
            upload: Ok(Box::new(Upload {
                scan,
                fingerprint: Fingerprint {
                    sha256: row.bytes("payload_sha256")?,
                    other_sha256: upload
                        .medium
                        .filter(|claim| !claim.outright)
                        .map(|claim| claim.sha256),
                    format: upload.format,
                    kid: upload.kid,
                },
                claims: upload.claims,
                medium: upload.medium,
                media_tickets: Vec::new(),
            })),
        }],
    }))
}

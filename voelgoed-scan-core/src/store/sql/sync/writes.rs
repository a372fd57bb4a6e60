//! Writes what an upload changes, with set-based statements.

use serde::Serialize;
use uuid::fmt::Simple;

use crate::model::{AuditAction, AuditActor, AuditContext, Direction, Reason, ScanId, ScanResult, Timestamp};
use crate::rules::{ConflictKind, HistoryKind};
use crate::store::StoreError;
use crate::store::sql::audit_acts::{keep_act, keep_override};
use crate::store::sql::batch::writes::{
    add_arrivals, add_counts, add_session_counts, check_all_inserted, update_tickets,
};
use crate::store::sql::change_counters::raise_tickets_change_counter;
use crate::store::sql::feed::{append_changes, append_scans};
use crate::store::sql::lookup::json_text;
use crate::store::sql::scan_row::ScanRow;
use crate::store::sql::sync::SyncDialect;
use crate::store::sql::webhooks::{enqueue_conflicts, enqueue_quarantined};
use crate::store::sql::{query, statement};
use crate::sync::{
    LinkHash, LogPosition, NewSyncedScan, QuarantinedScan, ScanState, SyncWrites, UploadBatch,
};

fn hash(hash: LinkHash) -> String {
    crate::model::hex::encode(hash.as_bytes())
}

/// Writes everything that an upload changes. [`StoreError::Contended`] if one of the scan ids was recorded after the
/// facts were read.
pub(super) async fn apply<D: SyncDialect>(
    batch: &UploadBatch,
    writes: &SyncWrites,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let organization = batch.organization_id;
    if writes.restarts_log {
        query::<D>(statement!("sync/clear_log_hashes.sql"))
            .id(organization.as_uuid())
            .id(batch.device_id.as_uuid())
            .execute(connection)
            .await?;
    }
    if !writes.scans.is_empty() {
        let records = writes.scans.iter().map(|new| &new.scan.record);
        append_scans::<D>(organization, records, connection).await?;
        let rows = writes
            .scans
            .iter()
            .map(|new| Ok(NewScanRow::new(ScanRow::new(&new.scan)?, new)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let inserted = query::<D>(D::SYNC.insert_scans)
            .json(&rows)
            .id(batch.organization_id.as_uuid())
            .execute(connection)
            .await?;
        check_all_inserted(inserted, rows.len())?;
        let records = writes.scans.iter().map(|new| &new.scan.record);
        add_arrivals::<D>(organization, records, connection).await?;
    }
    update_scans::<D>(batch, &writes.changed, connection).await?;
    append_changes::<D>(organization, &writes.changed_decisions, connection).await?;
    update_log::<D>(batch, writes, connection).await?;
    update_tickets::<D>(organization, &writes.tickets, connection).await?;
    let counts = writes.counts.iter();
    let counts = counts.map(|((event, gate), change)| ((*event, *gate), *change));
    add_counts::<D>(organization, counts, connection).await?;
    let sessions = writes.sessions.iter();
    let sessions = sessions.map(|(session, scans)| (*session, *scans));
    add_session_counts::<D>(organization, sessions, connection).await?;
    quarantine::<D>(batch, writes, connection).await?;
    keep_acts::<D>(batch, writes, connection).await?;
    query::<D>(statement!("sync/update_received.sql"))
        .id(organization.as_uuid())
        .id(batch.device_id.as_uuid())
        .json(&writes.received)
        .bool(!writes.log_settled)
        .execute(connection)
        .await?;
    if !writes.tickets.is_empty() {
        raise_tickets_change_counter::<D>(organization, connection).await?;
    }
    tell_of_conflicts::<D>(batch, writes, connection).await
}

/// Tells webhooks of the conflicts that the upload opened.
async fn tell_of_conflicts<D: SyncDialect>(
    batch: &UploadBatch,
    writes: &SyncWrites,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let (organization, at) = (batch.organization_id, batch.received_at);
    let new = writes.scans.iter().filter(|new| new.conflict.is_some());
    let changed = writes.changed.iter().filter(|scan| scan.conflict.is_some());
    let lost = new
        .map(|new| new.scan.record.scan_id)
        .chain(changed.map(|scan| scan.record.scan_id));
    enqueue_conflicts::<D>(organization, lost, at, connection).await?;
    let quarantined = writes.quarantine.iter().map(|scan| scan.scan_id);
    enqueue_quarantined::<D>(organization, batch.device_id, quarantined, at, connection).await
}

/// Keeps the overrides and undos that an upload records, for the audit log.
async fn keep_acts<D: SyncDialect>(
    batch: &UploadBatch,
    writes: &SyncWrites,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let origin = batch.origin.as_ref();
    for new in &writes.scans {
        keep_override::<D>(&new.scan.record, origin, connection).await?;
    }
    let device = || AuditContext::without_request(AuditActor::device(batch.device_id, None));
    for ScanState { record, .. } in &writes.changed {
        let undone_at = record.undone.as_ref().map(|undone| undone.at);
        if undone_at != Some(batch.received_at) {
            continue;
        }
        let by = origin.cloned().unwrap_or_else(device);
        let (action, at) = (AuditAction::ScanUndo, batch.received_at);
        keep_act::<D>(batch.organization_id, record.scan_id, action, &by, at, connection).await?;
    }
    Ok(())
}

/// Writes what changes on recorded scans.
async fn update_scans<D: SyncDialect>(
    batch: &UploadBatch,
    changed: &[ScanState],
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = changed.iter().map(ScanUpdateRow::new).collect();
    query::<D>(D::SYNC.update_scans)
        .json(&rows)
        .id(batch.organization_id.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes the log entries of recorded scans.
async fn update_log<D: SyncDialect>(
    batch: &UploadBatch,
    writes: &SyncWrites,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if writes.log_positions.is_empty() {
        return Ok(());
    }
    let row = |(scan, position): &(ScanId, LogPosition)| LogRow {
        k: scan.as_uuid().simple(),
        sequence: position.sequence,
        prev_hash: position.prev.map(hash),
        link_hash: hash(position.link),
    };
    let rows: Vec<_> = writes.log_positions.iter().map(row).collect();
    query::<D>(D::SYNC.update_log)
        .json(&rows)
        .id(batch.organization_id.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// Puts scans into quarantine, and takes those out of it that are recorded now.
async fn quarantine<D: SyncDialect>(
    batch: &UploadBatch,
    writes: &SyncWrites,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if !writes.quarantine.is_empty() {
        let rows: Vec<_> = writes
            .quarantine
            .iter()
            .map(|scan| QuarantineRow::new(batch, scan))
            .collect::<Result<_, _>>()?;
        query::<D>(D::SYNC.insert_quarantine)
            .json(&rows)
            .id(batch.organization_id.as_uuid())
            .execute(connection)
            .await?;
    }
    if !writes.released.is_empty() {
        let ids: Vec<_> = writes.released.iter().map(|id| id.as_uuid().simple()).collect();
        query::<D>(D::SYNC.delete_quarantine)
            .json(&ids)
            .id(batch.organization_id.as_uuid())
            .id(batch.device_id.as_uuid())
            .execute(connection)
            .await?;
    }
    Ok(())
}

#[derive(Serialize)]
struct NewScanRow<'a> {
    #[serde(flatten)]
    scan: ScanRow<'a>,
    part: Option<HistoryKind>,
    conflict: Option<ConflictKind>,
    winner_scan_id: Option<Simple>,
    local_reason: Option<&'a str>,
    sequence: Option<u64>,
    prev_hash: Option<String>,
    link_hash: Option<String>,
}

impl<'a> NewScanRow<'a> {
    fn new(scan: ScanRow<'a>, new: &NewSyncedScan) -> Self {
        Self {
            scan,
            part: new.history_kind,
            conflict: new.conflict,
            winner_scan_id: new.winner.map(|id| id.as_uuid().simple()),
            local_reason: new.local_reason.map(Reason::as_str),
            sequence: new.log.map(|position| position.sequence),
            prev_hash: new.log.and_then(|position| position.prev).map(hash),
            link_hash: new.log.map(|position| hash(position.link)),
        }
    }
}

#[derive(Serialize)]
struct ScanUpdateRow<'a> {
    k: Simple,
    result: ScanResult,
    reason: &'a str,
    would_have_been: Option<&'a str>,
    local_result: Option<ScanResult>,
    part: Option<HistoryKind>,
    conflict: Option<ConflictKind>,
    winner_scan_id: Option<Simple>,
    undone_at: Option<i64>,
    undone_reason: Option<&'a str>,
    undone_by: Option<Simple>,
}

impl<'a> ScanUpdateRow<'a> {
    fn new(scan: &'a ScanState) -> Self {
        let record = &scan.record;
        let undone = record.undone.as_ref();
        Self {
            k: record.scan_id.as_uuid().simple(),
            result: record.result,
            reason: record.reason.as_str(),
            would_have_been: record.would_have_been.map(|outcome| outcome.reason.as_str()),
            local_result: record.local_result,
            part: scan.history_kind,
            conflict: scan.conflict,
            winner_scan_id: scan.winner.map(|id| id.as_uuid().simple()),
            undone_at: undone.map(|undone| undone.at.as_millis()),
            undone_reason: undone.and_then(|undone| Some(undone.reason.as_ref()?.as_str())),
            undone_by: undone
                .and_then(|undone| undone.device_id)
                .map(|id| id.as_uuid().simple()),
        }
    }
}

#[derive(Serialize)]
struct LogRow {
    k: Simple,
    sequence: u64,
    prev_hash: Option<String>,
    link_hash: String,
}

#[derive(Serialize)]
struct QuarantineRow {
    d: Simple,
    k: Simple,
    e: Simple,
    g: Simple,
    ticket_code: Option<String>,
    local_result: Option<ScanResult>,
    direction: Direction,
    scanned_at: i64,
    device_scanned_at: i64,
    received_at: i64,
    payload_sha256: String,
    upload: String,
}

impl QuarantineRow {
    fn new(batch: &UploadBatch, scan: &QuarantinedScan) -> Result<Self, StoreError> {
        let millis = Timestamp::as_millis;
        Ok(Self {
            d: batch.device_id.as_uuid().simple(),
            k: scan.scan_id.as_uuid().simple(),
            e: scan.event_id.as_uuid().simple(),
            g: scan.gate_id.as_uuid().simple(),
            ticket_code: scan.ticket_code.map(|code| code.to_string()),
            local_result: scan.local_result,
            direction: scan.direction,
            scanned_at: millis(scan.at),
            device_scanned_at: millis(scan.device_at),
            received_at: millis(batch.received_at),
            payload_sha256: crate::model::hex::encode(&scan.payload_sha256),
            upload: json_text(&scan.upload)?,
        })
    }
}

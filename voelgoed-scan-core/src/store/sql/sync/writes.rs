//! What is written for a batch? Everything in sets.

use serde::Serialize;

use crate::model::{ScanResult, Timestamp};
use crate::rules::{ConflictKind, HistoryKind};
use crate::store::StoreError;
use crate::store::sql::batch::{SessionRow, add_arrivals, add_counts, update_tickets};
use crate::store::sql::change_counters::raise_tickets_generation;
use crate::store::sql::query;
use crate::store::sql::scan_row::ScanRow;
use crate::store::sql::sync::SyncDialect;
use crate::sync::{
    LinkHash, LogPosition, NewSyncedScan, QuarantinedScan, ScanState, SyncWrites, UploadBatch,
};

fn hex(id: &uuid::Uuid) -> String {
    id.simple().to_string()
}

fn hash(hash: LinkHash) -> String {
    crate::model::hex::encode(hash.as_bytes())
}

/// Writes; false where a scan id had been taken since the facts were read.
pub(super) async fn apply<D: SyncDialect>(
    intake: &UploadBatch,
    writes: &SyncWrites,
    connection: &mut D::Connection,
) -> Result<bool, StoreError> {
    let organization = intake.organization_id;
    if writes.restarts_log {
        query::<D>(
            "update scans set prev_hash = null, link_hash = null \
             where organization_id = $1 and device_id = $2 and sequence is not null and link_hash is not null",
        )
        .id(organization.as_uuid())
        .id(intake.device_id.as_uuid())
        .execute(connection)
        .await?;
    }
    if !writes.scans.is_empty() {
        let rows: Vec<_> = writes.scans.iter().map(NewRow::of).collect::<Result<_, _>>()?;
        let inserted = query::<D>(D::SYNC.insert).json(&rows).execute(connection).await?;
        if inserted != rows.len() as u64 {
            return Ok(false);
        }
        add_arrivals::<D>(writes.scans.iter().map(|new| &new.scan.record), connection).await?;
    }
    write_changed::<D>(&writes.changed, connection).await?;
    if !writes.log_positions.is_empty() {
        let row = |(scan, place): &(crate::model::ScanId, LogPosition)| LogRow {
            o: hex(organization.as_uuid()),
            k: hex(scan.as_uuid()),
            sequence: place.sequence,
            prev_hash: place.prev.map(hash),
            link_hash: hash(place.link),
        };
        let rows: Vec<_> = writes.log_positions.iter().map(row).collect();
        query::<D>(D::SYNC.update_log)
            .json(&rows)
            .execute(connection)
            .await?;
    }
    update_tickets::<D>(&writes.tickets, connection).await?;
    let counts = writes.counts.iter();
    let counts = counts.map(|((event, gate), change)| ((organization, *event, *gate), *change));
    add_counts::<D>(counts, connection).await?;
    if !writes.sessions.is_empty() {
        let row = |(session, scans): (&crate::model::SessionId, &i64)| SessionRow {
            o: hex(organization.as_uuid()),
            s: hex(session.as_uuid()),
            n: *scans,
        };
        let rows: Vec<_> = writes.sessions.iter().map(row).collect();
        query::<D>(D::SQL.add_session_counts)
            .json(&rows)
            .execute(connection)
            .await?;
    }
    quarantine::<D>(intake, writes, connection).await?;
    query::<D>(
        "update devices set received = $3, may_begin_anew = (may_begin_anew and $4) \
         where organization_id = $1 and id = $2",
    )
    .id(organization.as_uuid())
    .id(intake.device_id.as_uuid())
    .json(&writes.received)
    .bool(!writes.log_settled)
    .execute(connection)
    .await?;
    if !writes.tickets.is_empty() {
        raise_tickets_generation::<D>(organization, connection).await?;
    }
    Ok(true)
}

/// Writes what has changed on scans that are on record.
async fn write_changed<D: SyncDialect>(
    changed: &[ScanState],
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = changed.iter().map(ChangedRow::of).collect();
    query::<D>(D::SYNC.update).json(&rows).execute(connection).await?;
    Ok(())
}

async fn quarantine<D: SyncDialect>(
    intake: &UploadBatch,
    writes: &SyncWrites,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if !writes.quarantine.is_empty() {
        let rows: Vec<_> = writes
            .quarantine
            .iter()
            .map(|scan| QuarantineRow::of(intake, scan))
            .collect();
        query::<D>(D::SYNC.quarantine)
            .json(&rows)
            .execute(connection)
            .await?;
    }
    if !writes.released.is_empty() {
        let ids: Vec<_> = writes.released.iter().map(|id| hex(id.as_uuid())).collect();
        query::<D>(D::SYNC.release)
            .json(&ids)
            .id(intake.organization_id.as_uuid())
            .id(intake.device_id.as_uuid())
            .execute(connection)
            .await?;
    }
    Ok(())
}

#[derive(Serialize)]
struct NewRow<'a> {
    #[serde(flatten)]
    scan: ScanRow<'a>,
    part: Option<HistoryKind>,
    conflict: Option<ConflictKind>,
    winner_scan_id: Option<String>,
    local_reason: Option<&'a str>,
    sequence: Option<u64>,
    prev_hash: Option<String>,
    link_hash: Option<String>,
}

impl<'a> NewRow<'a> {
    fn of(new: &'a NewSyncedScan) -> Result<Self, StoreError> {
        Ok(Self {
            scan: ScanRow::of(&new.scan)?,
            part: new.history_kind,
            conflict: new.conflict,
            winner_scan_id: new.winner.map(|id| hex(id.as_uuid())),
            local_reason: new.local_reason.map(crate::model::Reason::as_str),
            sequence: new.log.map(|place| place.sequence),
            prev_hash: new.log.and_then(|place| place.prev).map(hash),
            link_hash: new.log.map(|place| hash(place.link)),
        })
    }
}

#[derive(Serialize)]
struct ChangedRow<'a> {
    o: String,
    k: String,
    result: ScanResult,
    reason: &'a str,
    would_have_been: Option<&'a str>,
    local_result: Option<ScanResult>,
    part: Option<HistoryKind>,
    conflict: Option<ConflictKind>,
    winner_scan_id: Option<String>,
    undone_at: Option<i64>,
    undone_reason: Option<&'a str>,
    undone_by: Option<String>,
}

impl<'a> ChangedRow<'a> {
    fn of(scan: &'a ScanState) -> Self {
        let record = &scan.record;
        let undone = record.undone.as_ref();
        Self {
            o: hex(record.organization_id.as_uuid()),
            k: hex(record.scan_id.as_uuid()),
            result: record.result,
            reason: record.reason.as_str(),
            would_have_been: record.would_have_been.map(|outcome| outcome.reason.as_str()),
            local_result: record.local_result,
            part: scan.history_kind,
            conflict: scan.conflict,
            winner_scan_id: scan.winner.map(|id| hex(id.as_uuid())),
            undone_at: undone.map(|undone| undone.at.as_millis()),
            undone_reason: undone.map(|undone| undone.reason.as_str()),
            undone_by: undone
                .and_then(|undone| undone.device_id)
                .map(|id| hex(id.as_uuid())),
        }
    }
}

#[derive(Serialize)]
struct LogRow {
    o: String,
    k: String,
    sequence: u64,
    prev_hash: Option<String>,
    link_hash: String,
}

#[derive(Serialize)]
struct QuarantineRow {
    o: String,
    d: String,
    k: String,
    e: String,
    g: String,
    ticket_code: Option<String>,
    local_result: Option<ScanResult>,
    direction: crate::model::Direction,
    scanned_at: i64,
    device_scanned_at: i64,
    received_at: i64,
    payload_sha256: String,
}

impl QuarantineRow {
    fn of(intake: &UploadBatch, scan: &QuarantinedScan) -> Self {
        let millis = Timestamp::as_millis;
        Self {
            o: hex(intake.organization_id.as_uuid()),
            d: hex(intake.device_id.as_uuid()),
            k: hex(scan.scan_id.as_uuid()),
            e: hex(scan.event_id.as_uuid()),
            g: hex(scan.gate_id.as_uuid()),
            ticket_code: scan.ticket_code.map(|code| code.to_string()),
            local_result: scan.local_result,
            direction: scan.direction,
            scanned_at: millis(scan.at),
            device_scanned_at: millis(scan.device_at),
            received_at: millis(intake.received_at),
            payload_sha256: crate::model::hex::encode(&scan.payload_sha256),
        }
    }
}

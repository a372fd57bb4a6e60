//! Writes what was decided: scans, tickets, and the counters of gates, events and sessions.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::fmt::Simple;

use crate::model::{EventId, GateId, OrganizationId, ResultCounts, ScanRecord, SessionId, TicketFacts};
use crate::rules::{BatchWrites, CountChange};
use crate::store::StoreError;
use crate::store::sql::feed::append_scans;
use crate::store::sql::lookup::json_text;
use crate::store::sql::scan_row::ScanRow;
use crate::store::sql::{Dialect, query};

/// How many milliseconds a slot of the arrivals covers.
pub(crate) const ARRIVALS_SLOT_MILLIS: i64 = 5_000;

/// Writes everything that a batch changes. [`StoreError::Contended`] if one of the scan ids was recorded after the
/// facts were read.
pub(super) async fn apply<D: Dialect>(
    organization: OrganizationId,
    writes: &BatchWrites,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if writes.scans.is_empty() {
        return Ok(());
    }
    let rows = writes.scans.iter().map(ScanRow::new);
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let records = writes.scans.iter().map(|scan| &scan.record);
    append_scans::<D>(organization, records, connection).await?;
    let inserted = query::<D>(D::SQL.insert_scans)
        .id(organization.as_uuid())
        .rows(&rows)
        .execute(connection)
        .await?;
    check_all_inserted(inserted, rows.len())?;
    update_tickets::<D>(organization, &writes.tickets, connection).await?;
    let counts = writes
        .counts
        .iter()
        .map(|((_, event, gate), change)| ((*event, *gate), *change));
    add_counts::<D>(organization, counts, connection).await?;
    let records = writes.scans.iter().map(|scan| &scan.record);
    add_arrivals::<D>(organization, records, connection).await?;
    let sessions = writes
        .sessions
        .iter()
        .map(|((_, session), scans)| (*session, *scans));
    add_session_counts::<D>(organization, sessions, connection).await
}

/// [`StoreError::Contended`] if an insertion skipped a scan because its id was recorded meanwhile.
pub(crate) fn check_all_inserted(inserted: u64, scans: usize) -> Result<(), StoreError> {
    if inserted == scans as u64 {
        return Ok(());
    }
    Err(StoreError::contended("a scan id was recorded meanwhile"))
}

#[derive(Serialize)]
struct ArrivalsRow {
    e: Simple,
    slot: i64,
    n: i64,
}

/// Adds new scans to the arrivals of their events.
pub(crate) async fn add_arrivals<D: Dialect>(
    organization: OrganizationId,
    records: impl Iterator<Item = &ScanRecord>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let mut by_slot = BTreeMap::new();
    for record in records {
        let slot = record.scanned_at.as_millis().div_euclid(ARRIVALS_SLOT_MILLIS);
        *by_slot.entry((record.event_id, slot)).or_insert(0) += 1;
    }
    let row = |((event, slot), n): ((EventId, i64), i64)| ArrivalsRow {
        e: event.as_uuid().simple(),
        slot,
        n,
    };
    let rows: Vec<_> = by_slot.into_iter().map(row).collect();
    query::<D>(D::SQL.add_arrivals)
        .json(&rows)
        .id(organization.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

#[derive(Serialize)]
struct TicketScanRow<'a> {
    i: Simple,
    status: &'a str,
    scan_count: u32,
    ledger: String,
    version: i64,
    updated_at: i64,
}

impl<'a> TicketScanRow<'a> {
    fn new(facts: &'a TicketFacts) -> Result<Self, StoreError> {
        let TicketFacts {
            ticket,
            ledger,
            version,
        } = facts;
        Ok(Self {
            i: ticket.id.as_uuid().simple(),
            status: ticket.status.as_str(),
            scan_count: ticket.scan_count,
            ledger: json_text(ledger)?,
            version: *version,
            updated_at: ticket.updated_at.as_millis(),
        })
    }
}

/// Writes what scans change on tickets.
pub(crate) async fn update_tickets<D: Dialect>(
    organization: OrganizationId,
    tickets: &[TicketFacts],
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if tickets.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = tickets.iter().map(TicketScanRow::new).collect::<Result<_, _>>()?;
    query::<D>(D::SQL.update_tickets)
        .json(&rows)
        .id(organization.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

#[derive(Serialize)]
struct GateCountsRow {
    e: Simple,
    g: Simple,
    since: i64,
    entries: i64,
    exits: i64,
    #[serde(flatten)]
    results: ResultCounts,
}

/// Adds to the counters of gates.
pub(crate) async fn add_counts<D: Dialect>(
    organization: OrganizationId,
    counts: impl Iterator<Item = ((EventId, GateId), CountChange)>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let row = |((event, gate), change): ((EventId, GateId), CountChange)| GateCountsRow {
        e: event.as_uuid().simple(),
        g: gate.as_uuid().simple(),
        since: change.since.as_millis(),
        entries: change.entries,
        exits: change.exits,
        results: change.results,
    };
    let rows: Vec<_> = counts.map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    query::<D>(D::SQL.add_counts)
        .json(&rows)
        .id(organization.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

#[derive(Serialize)]
struct SessionCountRow {
    s: Simple,
    n: i64,
}

/// Adds to the scan counts of sessions.
pub(crate) async fn add_session_counts<D: Dialect>(
    organization: OrganizationId,
    sessions: impl Iterator<Item = (SessionId, i64)>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let row = |(session, n): (SessionId, i64)| SessionCountRow {
        s: session.as_uuid().simple(),
        n,
    };
    let rows: Vec<_> = sessions.map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    query::<D>(D::SQL.add_session_counts)
        .json(&rows)
        .id(organization.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

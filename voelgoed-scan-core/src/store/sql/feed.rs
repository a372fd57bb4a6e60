//! The feed of an event: its scans and their changes in the order in which they were recorded.
//!
//! Invariant: positions are committed in their order. A transaction reserves its positions under the lock of the event's
//! row in `feed_positions`, which it holds until its commit. So a reader that sees a position sees all before it. A
//! position may be unused.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use serde::Serialize;
use uuid::fmt::Simple;

use crate::model::{EventId, OrganizationId, ScanId};
use crate::store::sql::lookup::IdLookup;
use crate::store::sql::scan_row::ScanRow;
use crate::store::sql::{Dialect, Row, Sql, mapping, query, statement};
use crate::store::{FeedEntry, FeedStore, StoreError};

type EventKey = (OrganizationId, EventId);

#[async_trait]
impl<D: Dialect> FeedStore for Sql<D> {
    async fn feed_positions(&self, events: &[EventKey]) -> Result<Vec<(EventKey, i64)>, StoreError> {
        let mut by_organization: BTreeMap<OrganizationId, Vec<IdLookup>> = BTreeMap::new();
        for (organization, event) in events {
            let events = by_organization.entry(*organization).or_default();
            events.push(IdLookup::new(event.as_uuid()));
        }
        let mut positions = Vec::with_capacity(events.len());
        let mut connection = self.read().await?;
        for (organization, events) in by_organization {
            let rows = query::<D>(D::SQL.feed_positions)
                .json(&events)
                .id(organization.as_uuid())
                .fetch_all(&mut connection)
                .await?;
            for row in &rows {
                positions.push(((organization, row.id("event_id")?), row.int("last")?));
            }
        }
        Ok(positions)
    }

    async fn feed_entries(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: i64,
        limit: u16,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        let rows = query::<D>(statement!("feed/entries.sql"))
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .int(after)
            .int(i64::from(limit))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(entry).collect()
    }
}

fn entry<D: Dialect>(row: &Row<D>) -> Result<FeedEntry, StoreError> {
    let mut record = mapping::scan(row)?;
    if row.int("is_change")? == 0 {
        // No scan is recorded as undone. The undo has an entry of its own.
        record.undone = None;
    }
    Ok(FeedEntry {
        position: row.int("feed_position")?,
        record,
    })
}

#[derive(Serialize)]
struct ReservationRow {
    e: Simple,
    n: i64,
}

/// Positions that a transaction has reserved.
struct Positions(HashMap<EventId, i64>);

impl Positions {
    /// Reserves one position for each of some entries.
    async fn reserve<D: Dialect>(
        organization: OrganizationId,
        entries: impl Iterator<Item = EventId>,
        connection: &mut D::Connection,
    ) -> Result<Self, StoreError> {
        let mut counts: BTreeMap<EventId, i64> = BTreeMap::new();
        for event in entries {
            *counts.entry(event).or_insert(0) += 1;
        }
        let rows: Vec<ReservationRow> = counts
            .iter()
            .map(|(event, n)| ReservationRow {
                e: event.as_uuid().simple(),
                n: *n,
            })
            .collect();
        let reserved = query::<D>(D::SQL.reserve_feed_positions)
            .json(&rows)
            .id(organization.as_uuid())
            .fetch_all(connection)
            .await?;
        let next = reserved.iter().map(|row| {
            let event: EventId = row.id("event_id")?;
            Ok((
                event,
                row.int("last")? - counts.get(&event).copied().unwrap_or_default(),
            ))
        });
        Ok(Self(next.collect::<Result<_, StoreError>>()?))
    }

    fn next(&mut self, event: EventId) -> Result<i64, StoreError> {
        let position = self
            .0
            .get_mut(&event)
            .ok_or_else(|| StoreError::failed("an event has no reserved positions"))?;
        *position += 1;
        Ok(*position)
    }
}

/// Gives each new scan its position. A statement of its own reserves the positions: assigned by the statement that inserts
/// the scans, they would cost PostgreSQL more than the round trip.
pub(crate) async fn assign_positions<D: Dialect>(
    organization: OrganizationId,
    rows: &mut [ScanRow<'_>],
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let events = rows.iter().map(ScanRow::event);
    let mut positions = Positions::reserve::<D>(organization, events, connection).await?;
    for row in rows {
        row.set_feed_position(positions.next(row.event())?);
    }
    Ok(())
}

#[derive(Serialize)]
struct ChangeRow {
    e: Simple,
    p: i64,
    k: Simple,
}

/// Puts changes of recorded scans into the feeds of their events.
pub(crate) async fn insert_changes<D: Dialect>(
    organization: OrganizationId,
    changed: &[(EventId, ScanId)],
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let events = changed.iter().map(|(event, _)| *event);
    let mut positions = Positions::reserve::<D>(organization, events, connection).await?;
    let mut rows = Vec::with_capacity(changed.len());
    for (event, scan) in changed {
        rows.push(ChangeRow {
            e: event.as_uuid().simple(),
            p: positions.next(*event)?,
            k: scan.as_uuid().simple(),
        });
    }
    query::<D>(D::SQL.insert_scan_changes)
        .json(&rows)
        .id(organization.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

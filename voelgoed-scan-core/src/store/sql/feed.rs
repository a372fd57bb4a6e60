//! The feed of an event: its scans and their changes in the order in which they were recorded.
//!
//! Invariant: positions are committed in their order. A transaction reserves its positions under the lock of the event's
//! row in `feed_positions`, which it holds until its commit. So a reader that sees a position sees all before it.
//!
//! The entries that a transaction appends to a feed are one row. An index of the scans by their positions would cost every
//! scan as much as its other indexes.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;
use uuid::fmt::Simple;

use crate::model::{Direction, EventId, OrganizationId, Reason, ScanId, ScanRecord, ScanResult, Source};
use crate::rules::ConflictKind;
use crate::store::sql::bulk::{BulkRow, Column, column};
use crate::store::sql::lookup::IdLookup;
use crate::store::sql::{Dialect, Row, Sql, mapping, query, statement};
use crate::store::{FeedEntry, FeedStore, StoreError};

/// How many batches of entries are read at once. A batch has at most as many entries as a transaction records scans.
const MAX_BATCHES_PER_READ: u16 = 32;

/// How many batches are read at once where nobody waits for the entries.
const MAX_BATCHES_PER_LARGE_READ: u16 = 256;

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
        mut after: i64,
        limit: u16,
    ) -> Result<Vec<FeedEntry>, StoreError> {
        let mut connection = self.read().await?;
        let mut entries = Vec::new();
        let limit = usize::from(limit);
        while entries.len() < limit {
            let Places { places, .. } = read_places::<D>(
                (organization, event),
                after,
                MAX_BATCHES_PER_READ,
                limit - entries.len(),
                &mut connection,
            )
            .await?;
            let Some(last) = places.last() else { break };
            after = last.p;
            let rows = query::<D>(D::SQL.feed_entries)
                .json(&places)
                .id(organization.as_uuid())
                .fetch_all(&mut *connection)
                .await?;
            for row in &rows {
                entries.push(entry(row)?);
            }
        }
        Ok(entries)
    }
}

/// An entry of a feed, with whether it is a change of a recorded scan. Other than a [`FeedEntry`], it may have been replaced
/// by a later change.
pub(crate) struct EveryEntry {
    pub(crate) position: i64,
    pub(crate) is_change: bool,
    /// The scan as it is now, but admitted where the server had admitted it and an upload turned that down before the entry was
    /// read.
    pub(crate) record: ScanRecord,
}

/// A page of [`EveryEntry`].
pub(crate) struct EveryEntryPage {
    /// The position of the last entry, whose scan may have been deleted.
    pub(crate) last: i64,
    pub(crate) entries: Vec<EveryEntry>,
    pub(crate) has_more: bool,
}

/// The entries after a position, at most `limit`, also those that a later change replaced. `None` at the end of the feed.
pub(crate) async fn every_entry_after<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    after: i64,
    limit: usize,
    connection: &mut D::Connection,
) -> Result<Option<EveryEntryPage>, StoreError> {
    let feed = (organization, event);
    let Places { places, has_more } =
        read_places::<D>(feed, after, MAX_BATCHES_PER_READ, limit, connection).await?;
    let Some(last) = places.last().map(|place| place.p) else {
        return Ok(None);
    };
    let rows = query::<D>(D::SQL.webhook_entries)
        .json(&places)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?;
    let entry = |row: &Row<D>| {
        let is_change = row.int("is_change")? != 0;
        let mut record = mapping::scan(row)?;
        if !is_change && was_admitted(&record, row.opt_parse("conflict")?) {
            restore_admission(&mut record);
        }
        Ok(EveryEntry {
            position: row.int("feed_position")?,
            is_change,
            record,
        })
    };
    let entries = rows.iter().map(entry).collect::<Result<_, StoreError>>()?;
    Ok(Some(EveryEntryPage {
        last,
        entries,
        has_more,
    }))
}

/// Whether the server admitted a scan that it counts as denied now, after an upload. The loser of an upload was denied from the
/// beginning, and so was a scan that only its device admitted.
fn was_admitted(record: &ScanRecord, conflict: Option<ConflictKind>) -> bool {
    let is_demotion = matches!(
        conflict,
        Some(ConflictKind::DoubleEntry | ConflictKind::NotAdmissible | ConflictKind::LetInDespiteStatus)
    );
    record.source != Source::Sync && record.result != ScanResult::Valid && is_demotion
}

/// Which of the reasons that admit it had is not kept, but for an override.
fn restore_admission(record: &mut ScanRecord) {
    record.result = ScanResult::Valid;
    record.reason = match record.direction {
        Direction::Exit => Reason::Exited,
        Direction::Entry if record.override_.is_some() => Reason::Overridden,
        Direction::Entry => Reason::Admitted,
    };
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

/// The place of a scan in a feed.
#[derive(Debug, Serialize)]
pub(crate) struct Place {
    p: i64,
    k: Simple,
    /// 1 for a change of a recorded scan. SQLite has no other truth values.
    c: u8,
}

impl Place {
    pub(crate) fn position(&self) -> i64 {
        self.p
    }
}

impl BulkRow for Place {
    fn columns(rows: &[Self]) -> Vec<Column<'_>> {
        vec![
            column!(Int, rows, row => row.p),
            column!(Id, rows, row => row.k.into_uuid()),
            column!(Int, rows, row => row.c.into()),
        ]
    }
}

/// The places after a position, at most `limit`. Fewer only at the end of the feed.
pub(crate) async fn places_after<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    after: i64,
    limit: usize,
    connection: &mut D::Connection,
) -> Result<Vec<Place>, StoreError> {
    let mut found: Vec<Place> = Vec::new();
    while found.len() < limit {
        let from = found.last().map_or(after, Place::position);
        let feed = (organization, event);
        let room = limit - found.len();
        let more = read_places::<D>(feed, from, MAX_BATCHES_PER_LARGE_READ, room, connection).await?;
        if more.places.is_empty() {
            break;
        }
        found.extend(more.places);
    }
    Ok(found)
}

/// Some of the places after a position.
struct Places {
    places: Vec<Place>,
    /// Whether more may follow.
    has_more: bool,
}

/// The places after a position in the next `max_batches` batches, at most `limit`.
async fn read_places<D: Dialect>(
    (organization, event): EventKey,
    after: i64,
    max_batches: u16,
    limit: usize,
    connection: &mut D::Connection,
) -> Result<Places, StoreError> {
    let batches = query::<D>(statement!("feed/batches.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .int(after)
        .int(max_batches.into())
        .fetch_all(connection)
        .await?;
    let places = places(&batches, after, limit)?;
    Ok(Places {
        has_more: places.len() == limit || batches.len() == usize::from(max_batches),
        places,
    })
}

/// The places after a position that some batches hold, at most `limit`.
fn places<D: Dialect>(batches: &[Row<D>], after: i64, limit: usize) -> Result<Vec<Place>, StoreError> {
    let mut places = Vec::new();
    for batch in batches {
        let ids = batch.blob("scan_ids")?;
        let (ids, []) = ids.as_chunks::<16>() else {
            return Err(StoreError::failed("an entry of a feed has no whole ids"));
        };
        let c = u8::from(batch.bool("is_change")?);
        let first = batch.int("last_position")? + 1 - i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let numbered = (first..).zip(ids).filter(|(p, _)| *p > after);
        places.extend(numbered.map(|(p, id)| Place {
            p,
            k: Uuid::from_bytes(*id).simple(),
            c,
        }));
        if places.len() >= limit {
            places.truncate(limit);
            break;
        }
    }
    Ok(places)
}

#[derive(Serialize)]
struct BatchRow {
    e: Simple,
    n: i64,
    k: String,
}

/// Appends entries to the feeds of their events. Returns the last position of each feed.
async fn append<D: Dialect>(
    organization: OrganizationId,
    entries: impl Iterator<Item = (EventId, ScanId)>,
    are_changes: bool,
    connection: &mut D::Connection,
) -> Result<HashMap<EventId, i64>, StoreError> {
    let mut batches: BTreeMap<EventId, (i64, String)> = BTreeMap::new();
    for (event, scan) in entries {
        let (count, ids) = batches.entry(event).or_default();
        *count += 1;
        ids.push_str(scan.as_uuid().simple().encode_lower(&mut Uuid::encode_buffer()));
    }
    let rows: Vec<BatchRow> = batches
        .into_iter()
        .map(|(event, (n, k))| BatchRow {
            e: event.as_uuid().simple(),
            n,
            k,
        })
        .collect();
    let append = |sql| query::<D>(sql).json(&rows).id(organization.as_uuid());
    let feeds = append(D::SQL.append_to_feed);
    let feeds = if let Some(insert_batches) = D::SQL.insert_feed_batches {
        let feeds = feeds.fetch_all(&mut *connection).await?;
        append(insert_batches)
            .bool(are_changes)
            .execute(connection)
            .await?;
        feeds
    } else {
        feeds.bool(are_changes).fetch_all(connection).await?
    };
    feeds
        .iter()
        .map(|feed| Ok((feed.id("event_id")?, feed.int("last")?)))
        .collect()
}

/// Appends scans that the transaction records. It must do so before it inserts them: a scan may wait for another one with
/// its id, whose transaction may wait for the feed.
pub(crate) async fn append_scans<'a, D: Dialect>(
    organization: OrganizationId,
    records: impl Iterator<Item = &'a ScanRecord>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let entries = records.map(|record| (record.event_id, record.scan_id));
    append::<D>(organization, entries, false, connection).await?;
    Ok(())
}

#[derive(Serialize)]
struct ChangeRow {
    p: i64,
    k: Simple,
}

/// Appends changes of recorded scans.
pub(crate) async fn append_changes<D: Dialect>(
    organization: OrganizationId,
    changed: &[(EventId, ScanId)],
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    let mut next = append::<D>(organization, changed.iter().copied(), true, connection).await?;
    let mut rows = Vec::with_capacity(changed.len());
    // From the last one, whose position is known.
    for (event, scan) in changed.iter().rev() {
        let position = next
            .get_mut(event)
            .ok_or_else(|| StoreError::failed("an event has no reserved positions"))?;
        rows.push(ChangeRow {
            p: *position,
            k: scan.as_uuid().simple(),
        });
        *position -= 1;
    }
    query::<D>(D::SQL.insert_scan_changes)
        .json(&rows)
        .id(organization.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

//! The deletion of events. The event, its gates and their counters go at once, so that nothing finds them any more; all other
//! rows follow in chunks (`purge`).

use crate::audit::Audit;
use crate::model::{AuditAction, EventId, EventStatus, OrganizationId, Timestamp};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::event_change;
use crate::store::sql::change_counters::{raise_change_counter, raise_tickets_change_counter};
use crate::store::sql::events::{find_event, lock_event_with_gates};
use crate::store::sql::{Dialect, Sql, query, statement};
use crate::store::{DeleteEventOutcome, ExpectedCounts, StoreError};

/// How many deleted events are read at once.
const MAX_EVENTS_TO_PURGE: i64 = 16;

/// Deletes an event. [`StoreError::Contended`] if a scan was recorded while the scans were counted.
pub(super) async fn delete<D: Dialect>(
    database: &Sql<D>,
    organization: OrganizationId,
    event: EventId,
    expected: ExpectedCounts,
    now: Timestamp,
    audit: Audit<'_>,
) -> Result<Option<DeleteEventOutcome>, StoreError> {
    // No index has the scans of an event. Counting them must not hold the locks that scans wait for.
    let counted = match expected.scans {
        Some(_) => {
            let (_permit, mut connection) = database.read_bulk(organization).await?;
            let position = feed_position::<D>(organization, event, &mut connection).await?;
            let scans = count::<D>("scans", organization, event, &mut connection).await?;
            Some((position, scans))
        }
        None => None,
    };
    let mut transaction = database.write_audited(organization).await?;
    lock_event_with_gates::<D>(organization, event, &mut transaction).await?;
    let Some(stored) = find_event::<D>(organization, event, &mut transaction).await? else {
        return Ok(None);
    };
    if stored.status != EventStatus::Archived {
        return Ok(Some(DeleteEventOutcome::NotArchived));
    }
    if let Some((position, _)) = counted
        && feed_position::<D>(organization, event, &mut transaction).await? != position
    {
        return Err(StoreError::contended(
            "scans were recorded while they were counted",
        ));
    }
    if expected != ExpectedCounts::default() {
        let tickets = count::<D>("tickets", organization, event, &mut transaction).await?;
        let scans = counted.map_or(0, |(_, scans)| scans);
        if expected.scans.is_some_and(|expected| expected != scans)
            || expected.tickets.is_some_and(|expected| expected != tickets)
        {
            return Ok(Some(DeleteEventOutcome::CountsDiffer { scans, tickets }));
        }
    }
    query::<D>(statement!("retention/insert_deleted_event.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .time(now)
        .execute(&mut transaction)
        .await?;
    query::<D>(statement!("retention/end_sessions.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .time(now)
        .execute(&mut transaction)
        .await?;
    for sql in [
        statement!("retention/delete_occupancy.sql"),
        statement!("retention/delete_gates.sql"),
        statement!("retention/delete_events.sql"),
    ] {
        query::<D>(sql)
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .execute(&mut transaction)
            .await?;
    }
    raise_change_counter::<D>(organization, &mut transaction).await?;
    raise_tickets_change_counter::<D>(organization, &mut transaction).await?;
    let change = event_change(AuditAction::EventDelete, event);
    append::<D>(organization, change, audit, &mut transaction).await?;
    transaction.commit().await?;
    Ok(Some(DeleteEventOutcome::Deleted))
}

/// Whether an event was deleted. Its id cannot be used again.
pub(crate) async fn is_deleted<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    connection: &mut D::Connection,
) -> Result<bool, StoreError> {
    let row = query::<D>(statement!("retention/is_deleted_event.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

pub(super) async fn to_purge<D: Dialect>(
    database: &Sql<D>,
    (organization, event): (OrganizationId, EventId),
) -> Result<Vec<(OrganizationId, EventId)>, StoreError> {
    let mut connection = database.read().await?;
    let rows = query::<D>(statement!("retention/pending_deleted_events.sql"))
        .bool(false)
        .int(MAX_EVENTS_TO_PURGE)
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .fetch_all(&mut connection)
        .await?;
    rows.iter()
        .map(|row| Ok((row.id("organization_id")?, row.id("event_id")?)))
        .collect()
}

pub(super) async fn mark_purged<D: Dialect>(
    database: &Sql<D>,
    organization: OrganizationId,
    event: EventId,
) -> Result<(), StoreError> {
    let mut transaction = database.write().await?;
    query::<D>(statement!("retention/mark_purged.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .bool(true)
        .execute(&mut transaction)
        .await?;
    Ok(transaction.commit().await?)
}

/// Counts the scans or the tickets of an event.
async fn count<D: Dialect>(
    rows: &'static str,
    organization: OrganizationId,
    event: EventId,
    connection: &mut D::Connection,
) -> Result<u64, StoreError> {
    let sql = match rows {
        "scans" => statement!("retention/count_scans.sql"),
        _ => statement!("retention/count_tickets.sql"),
    };
    let row = query::<D>(sql)
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .fetch_optional(connection)
        .await?;
    row.map_or(Ok(0), |row| row.number(rows))
}

async fn feed_position<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    connection: &mut D::Connection,
) -> Result<i64, StoreError> {
    let row = query::<D>(statement!("retention/feed_position.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .fetch_optional(connection)
        .await?;
    row.map_or(Ok(0), |row| row.int("last"))
}

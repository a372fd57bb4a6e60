//! Deletes the rows of a deleted event in chunks.
//!
//! First goes what other tasks read: the feed, and scans that lost a conflict, so that no list names a scan whose winner is
//! gone. Every table that holds rows of events is named here; a test compares the list with the migrations.

use crate::model::{EventId, OrganizationId};
use crate::store::sql::lookup::{IdLookup, json_text};
use crate::store::sql::retention::{RetentionDialect, int};
use crate::store::sql::{Row, Sql, query, statement};
use crate::store::{Cursor, PurgeProgress, StoreError};

/// Deletes rows of an event by its id: $1 is the organization, $2 the event, $3 how many rows at most.
const BY_EVENT: &[&str] = &[
    statement!("retention/delete_feed_batches.sql"),
    statement!("retention/delete_feed_cursors.sql"),
    statement!("retention/delete_webhook_deliveries.sql"),
    statement!("retention/delete_quarantine.sql"),
    statement!("retention/delete_arrivals.sql"),
    statement!("retention/delete_former_event_rules.sql"),
    statement!("retention/delete_ticket_media.sql"),
    statement!("retention/delete_sessions.sql"),
    statement!("retention/delete_signals.sql"),
];

/// The same, for rows of which an event has few.
const WHOLE: &[&str] = &[
    statement!("retention/delete_feed_positions.sql"),
    statement!("retention/delete_manifest_copies.sql"),
    // A session that was started while the event was deleted.
    statement!("retention/delete_occupancy.sql"),
    statement!("retention/delete_gates.sql"),
];

/// Deletes the rows of the same tickets. The last one deletes the tickets themselves.
const BY_TICKET: [&str; 3] = [
    statement!("retention/delete_ticket_status_changes.sql"),
    statement!("retention/delete_former_entry_limits.sql"),
    statement!("retention/delete_tickets.sql"),
];

/// Deletes about `limit` rows.
pub(super) async fn chunk<D: RetentionDialect>(
    database: &Sql<D>,
    organization: OrganizationId,
    event: EventId,
    after: Option<Cursor>,
    limit: usize,
) -> Result<PurgeProgress, StoreError> {
    let mut transaction = database.write().await?;
    let mut deleted = 0;
    let run = |sql| query::<D>(sql).id(organization.as_uuid()).id(event.as_uuid());
    if after.is_none() {
        for sql in WHOLE {
            deleted += run(sql).execute(&mut transaction).await?;
        }
        for sql in BY_EVENT {
            deleted += run(sql).int(int(limit)).execute(&mut transaction).await?;
        }
        let lost = run(statement!("retention/conflict_page.sql"))
            .int(int(limit))
            .fetch_all(&mut transaction)
            .await?;
        deleted += delete_scans::<D>(organization, &lost, &mut transaction).await?;
        if deleted == 0 {
            for sql in BY_TICKET {
                deleted += run(sql).int(int(limit)).execute(&mut transaction).await?;
            }
        }
        if deleted > 0 {
            transaction.commit().await?;
            return Ok(PurgeProgress::More(deleted));
        }
    }
    let after = after.unwrap_or(Cursor::MIN);
    let page = run(statement!("retention/event_scan_page.sql"))
        .int(after.at)
        .id(&after.id)
        .int(int(limit))
        .fetch_all(&mut transaction)
        .await?;
    let mut scans = Vec::new();
    for row in &page {
        if row.bool("is_of_event")? {
            scans.push(IdLookup::new(&row.id("scan_id")?));
        }
    }
    let deleted = delete_by_id::<D>(organization, &scans, &mut transaction).await?;
    transaction.commit().await?;
    match page.last() {
        Some(row) => {
            let cursor = Cursor {
                at: row.int("scanned_at")?,
                id: row.id("scan_id")?,
            };
            Ok(PurgeProgress::ScansUpTo(cursor, deleted))
        }
        None => Ok(PurgeProgress::Done),
    }
}

async fn delete_scans<D: RetentionDialect>(
    organization: OrganizationId,
    rows: &[Row<D>],
    connection: &mut D::Connection,
) -> Result<u64, StoreError> {
    let scans = rows.iter().map(|row| Ok(IdLookup::new(&row.id("scan_id")?)));
    let scans: Vec<_> = scans.collect::<Result<_, StoreError>>()?;
    delete_by_id::<D>(organization, &scans, connection).await
}

async fn delete_by_id<D: RetentionDialect>(
    organization: OrganizationId,
    scans: &[IdLookup],
    connection: &mut D::Connection,
) -> Result<u64, StoreError> {
    if scans.is_empty() {
        return Ok(0);
    }
    let ids = json_text(scans)?;
    for sql in D::RETENTION.delete_scans {
        query::<D>(sql)
            .text(&ids)
            .id(organization.as_uuid())
            .execute(connection)
            .await?;
    }
    Ok(scans.len() as u64)
}

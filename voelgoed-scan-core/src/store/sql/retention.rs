//! Deletes personal data and events, in chunks. `deleted_events` holds the deletion of events.
//!
//! Invariants: a chunk takes the locks of a scan in their order, so nothing that waits for it writes back what it has cleared.
//! Every step may be repeated.

mod deleted_events;
#[cfg(feature = "sqlite")]
mod page;
#[cfg(feature = "postgres")]
mod postgres;
mod purge;
mod rows;
mod scans;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tickets;

pub(crate) use deleted_events::is_deleted;

use std::future::Future;

use async_trait::async_trait;
use uuid::Uuid;

use crate::audit::Audit;
use crate::model::{
    AnswerSnapshot, AuditAction, Event, EventId, OrganizationId, Override, ReasonText, ScanId, TicketCode,
    Timestamp,
};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::event_change;
use crate::store::sql::events::find_event;
use crate::store::sql::retention::rows::without_personal_data;
use crate::store::sql::retention::scans::clear_shown;
use crate::store::sql::retry::retry_contended;
use crate::store::sql::{Dialect, Sql, mapping, query, statement};
use crate::store::{
    Cursor, DeleteEventOutcome, ExpectedCounts, Page, PageRequest, PurgeProgress, RetentionPage,
    RetentionStore, StoreError,
};
use crate::sync::{DENIED_AT_GATE, QuarantinedUpload};

/// What replaces the reason of an override in quarantine, which cannot be null there.
const DELETED_REASON: &str = "deleted";

/// The statements of retention that differ. The statement files describe the parameters.
pub(crate) struct RetentionStatements {
    /// Clears tickets.
    pub(crate) clear_tickets: &'static str,
    /// Reads what retries of scans are answered from.
    pub(crate) scans_to_clear: &'static str,
    /// Clears scans.
    pub(crate) clear_scans: &'static str,
    /// Clears the reasons of acceptances.
    pub(crate) clear_acceptances: &'static str,
    /// Deletes scans, and what belongs to them.
    pub(crate) delete_scans: [&'static str; 3],
}

/// A database that deletes personal data and events.
pub(crate) trait RetentionDialect: Dialect {
    /// The statements that differ.
    const RETENTION: RetentionStatements;

    /// See [`RetentionStore::clean_pages`].
    fn clean_pages(
        database: &Sql<Self>,
        first: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Option<i64>, StoreError>> + Send;

    /// See [`RetentionStore::remove_deleted_content`].
    fn remove_deleted_content(database: &Sql<Self>) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

#[async_trait]
impl<D: RetentionDialect> RetentionStore for Sql<D> {
    async fn begin_clearing(
        &self,
        organization: OrganizationId,
        event: EventId,
        audit: Audit<'_>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        if find_event::<D>(organization, event, &mut transaction)
            .await?
            .is_none()
        {
            return Ok(false);
        }
        let change = event_change(AuditAction::EventDeletePersonalData, event);
        append::<D>(organization, change, audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn tickets_with_personal_data(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: Option<TicketCode>,
        limit: usize,
    ) -> Result<RetentionPage<TicketCode, TicketCode>, StoreError> {
        let (_permit, mut connection) = self.read_bulk(organization).await?;
        let after = after.map_or_else(String::new, |code| code.to_string());
        let rows = query::<D>(statement!("retention/ticket_page.sql"))
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .text(&after)
            .int(int(limit))
            .fetch_all(&mut connection)
            .await?;
        let mut found = Vec::new();
        for row in &rows {
            if row.bool("holds")? {
                found.push(row.parse("code")?);
            }
        }
        let last = rows.last().filter(|_| rows.len() >= limit);
        let next = last.map(|row| row.parse("code")).transpose()?;
        Ok(RetentionPage { found, next })
    }

    async fn clear_tickets(
        &self,
        organization: OrganizationId,
        event: EventId,
        codes: &[TicketCode],
        now: Timestamp,
    ) -> Result<Option<Vec<TicketCode>>, StoreError> {
        retry_contended("clear tickets", || {
            self.clear_tickets_once(organization, event, codes, now)
        })
        .await
    }

    async fn scans_with_personal_data(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<RetentionPage<ScanId, Cursor>, StoreError> {
        let (_permit, mut connection) = self.read_bulk(organization).await?;
        let after = after.unwrap_or(Cursor::MIN);
        let rows = query::<D>(statement!("retention/scan_page.sql"))
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .int(after.at)
            .id(&after.id)
            .text(DENIED_AT_GATE)
            .int(int(limit))
            .fetch_all(&mut connection)
            .await?;
        let mut found = Vec::new();
        for row in &rows {
            let shown: Option<AnswerSnapshot> = row.opt_json("shown")?;
            if row.bool("holds")? || shown.is_some_and(|mut shown| clear_shown(&mut shown)) {
                found.push(row.id("scan_id")?);
            }
        }
        let next = match rows.last().filter(|_| rows.len() >= limit) {
            Some(row) => Some(Cursor {
                at: row.int("scanned_at")?,
                id: row.id("scan_id")?,
            }),
            None => None,
        };
        Ok(RetentionPage { found, next })
    }

    async fn clear_scans(
        &self,
        organization: OrganizationId,
        event: EventId,
        scans: &[ScanId],
    ) -> Result<(), StoreError> {
        retry_contended("clear scans", || {
            self.clear_scans_once(organization, event, scans)
        })
        .await
    }

    async fn clear_quarantine(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: Option<(Uuid, Uuid)>,
        limit: usize,
    ) -> Result<RetentionPage<(), (Uuid, Uuid)>, StoreError> {
        let (device, scan) = after.unwrap_or_default();
        let mut transaction = self.write().await?;
        let rows = query::<D>(statement!("retention/quarantine_page.sql"))
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .id(&device)
            .id(&scan)
            .int(int(limit))
            .fetch_all(&mut transaction)
            .await?;
        let mut last = None;
        for row in &rows {
            let key: (Uuid, Uuid) = (row.id("device_id")?, row.id("scan_id")?);
            last = Some(key);
            let Some(upload) = row.opt_json::<QuarantinedUpload>("upload")? else {
                continue;
            };
            if let Some(cleared) = cleared_upload(upload) {
                query::<D>(statement!("retention/clear_quarantined.sql"))
                    .id(organization.as_uuid())
                    .id(&key.0)
                    .id(&key.1)
                    .json(&cleared)
                    .execute(&mut transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(RetentionPage {
            found: Vec::new(),
            next: last.filter(|_| rows.len() >= limit),
        })
    }

    async fn clear_deliveries(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<RetentionPage<(), Uuid>, StoreError> {
        let mut transaction = self.write().await?;
        let rows = query::<D>(statement!("retention/delivery_page.sql"))
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .id(&after.unwrap_or_default())
            .int(int(limit))
            .fetch_all(&mut transaction)
            .await?;
        let mut last = None;
        for row in &rows {
            let id: Uuid = row.id("id")?;
            last = Some(id);
            if let Some(body) = without_personal_data(&row.text("body")?) {
                query::<D>(statement!("retention/clear_delivery.sql"))
                    .id(organization.as_uuid())
                    .id(&id)
                    .text(&body)
                    .execute(&mut transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(RetentionPage {
            found: Vec::new(),
            next: last.filter(|_| rows.len() >= limit),
        })
    }

    async fn delete_manifest_copies(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        query::<D>(statement!("retention/delete_manifest_copies.sql"))
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .execute(&mut transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn clean_pages(&self, first: i64, limit: usize) -> Result<Option<i64>, StoreError> {
        D::clean_pages(self, first, limit).await
    }

    async fn remove_deleted_content(&self) -> Result<bool, StoreError> {
        D::remove_deleted_content(self).await
    }

    async fn delete_event(
        &self,
        organization: OrganizationId,
        event: EventId,
        expected: ExpectedCounts,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<Option<DeleteEventOutcome>, StoreError> {
        retry_contended("delete an event", || {
            deleted_events::delete::<D>(self, organization, event, expected, now, audit)
        })
        .await
    }

    async fn archived_events(
        &self,
        organization: OrganizationId,
        before: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Event>, StoreError> {
        let (_permit, mut connection) = self.read_bulk(organization).await?;
        let rows = query::<D>(statement!("retention/archived_events.sql"))
            .id(organization.as_uuid())
            .opt_id(page.after.as_ref().map(|after| &after.id))
            .int(i64::from(page.limit) + 1)
            .time(before)
            .fetch_all(&mut connection)
            .await?;
        let events = rows.iter().map(mapping::event).collect::<Result<_, _>>()?;
        Ok(Page::truncate(events, page.limit, |event: &Event| {
            Cursor::of_id(*event.id.as_uuid())
        }))
    }

    async fn events_to_purge(
        &self,
        after: (OrganizationId, EventId),
    ) -> Result<Vec<(OrganizationId, EventId)>, StoreError> {
        deleted_events::to_purge::<D>(self, after).await
    }

    async fn purge_chunk(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<PurgeProgress, StoreError> {
        purge::chunk::<D>(self, organization, event, after, limit).await
    }

    async fn mark_purged(&self, organization: OrganizationId, event: EventId) -> Result<(), StoreError> {
        deleted_events::mark_purged::<D>(self, organization, event).await
    }
}

fn int(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A quarantined scan without what people wrote into it. `None` if there is nothing to clear.
fn cleared_upload(mut upload: QuarantinedUpload) -> Option<QuarantinedUpload> {
    let reason = ReasonText::new(DELETED_REASON).ok()?;
    let deleted = Override { reason };
    let has_reason = upload.override_.as_ref().is_some_and(|one| *one != deleted);
    if upload.metadata.is_none() && !has_reason {
        return None;
    }
    upload.metadata = None;
    upload.override_ = upload.override_.map(|_| deleted);
    Some(upload)
}

//! Lists deliveries, enqueues tests and repetitions, gives up and deletes.

use serde::Serialize;

use super::{NewDelivery, insert_deliveries, lock_active, now};
use crate::audit::Audit;
use crate::model::{
    AuditAction, DeliveryId, DeliveryStatus, OrganizationId, Timestamp, WebhookDelivery, WebhookId,
    WebhookType,
};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::{delivery_repeated, webhook_change};
use crate::store::sql::bounded_list::{BoundedList, ROWS_PER_READ, cursor};
use crate::store::sql::webhooks::enqueue::body_text;
use crate::store::sql::{Dialect, Row, Sql, query, statement};
use crate::store::webhooks::{EnqueueOutcome, WebhookStore as _};
use crate::store::{Cursor, Page, PageRequest, StoreError, WebhookKey};

/// How long deliveries are kept after they were delivered, in milliseconds: 3 days.
const KEEP_DELIVERED: i64 = 3 * 24 * 60 * 60 * 1000;

/// How long deliveries are kept after they failed, in milliseconds: 30 days.
const KEEP_FAILED: i64 = 30 * 24 * 60 * 60 * 1000;

#[derive(Serialize)]
struct TestData {
    webhook_id: WebhookId,
}

pub(super) async fn enqueue_test<D: Dialect>(
    organization: OrganizationId,
    id: WebhookId,
    delivery: DeliveryId,
    at: Timestamp,
    audit: Audit<'_>,
    sql: &Sql<D>,
) -> Result<EnqueueOutcome, StoreError> {
    let mut transaction = sql.write_audited(organization).await?;
    let active = lock_active::<D>(organization, &mut transaction).await?;
    if !active.iter().any(|webhook| webhook.id == id) {
        drop(transaction);
        return disabled_or_missing(organization, id, sql).await;
    }
    let kind = WebhookType::WebhookTest;
    let test = NewDelivery {
        id: delivery,
        webhook: id,
        kind,
        body: body_text(kind, at, &TestData { webhook_id: id })?,
        event: None,
        scan: None,
        ticket: None,
        sequence: 0,
    };
    insert_deliveries::<D>(organization, &[test], &mut transaction).await?;
    let change = webhook_change(AuditAction::WebhookTest, id);
    append::<D>(organization, change, audit, &mut transaction).await?;
    transaction.commit().await?;
    Ok(EnqueueOutcome::Accepted)
}

pub(super) async fn redeliver<D: Dialect>(
    organization: OrganizationId,
    id: WebhookId,
    delivery: DeliveryId,
    audit: Audit<'_>,
    sql: &Sql<D>,
) -> Result<EnqueueOutcome, StoreError> {
    let mut transaction = sql.write_audited(organization).await?;
    let active = lock_active::<D>(organization, &mut transaction).await?;
    if !active.iter().any(|webhook| webhook.id == id) {
        drop(transaction);
        return disabled_or_missing(organization, id, sql).await;
    }
    let now = now::<D>(&mut transaction).await?;
    let enqueued = query::<D>(statement!("webhooks/redeliver.sql"))
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .id(delivery.as_uuid())
        .time(now)
        .execute(&mut transaction)
        .await?;
    if enqueued > 0 {
        query::<D>(statement!("webhooks/advance_followers.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .id(delivery.as_uuid())
            .time(now)
            .execute(&mut transaction)
            .await?;
        let change = delivery_repeated(id, delivery);
        append::<D>(organization, change, audit, &mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(if enqueued > 0 {
        EnqueueOutcome::Accepted
    } else {
        EnqueueOutcome::Missing
    })
}

async fn disabled_or_missing<D: Dialect>(
    organization: OrganizationId,
    id: WebhookId,
    sql: &Sql<D>,
) -> Result<EnqueueOutcome, StoreError> {
    Ok(match sql.webhook(organization, id).await? {
        Some(_) => EnqueueOutcome::Disabled,
        None => EnqueueOutcome::Missing,
    })
}

pub(super) async fn find<D: Dialect>(
    organization: OrganizationId,
    id: WebhookId,
    found: DeliveryId,
    sql: &Sql<D>,
) -> Result<Option<WebhookDelivery>, StoreError> {
    let row = query::<D>(statement!("webhooks/find_delivery.sql"))
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .id(found.as_uuid())
        .fetch_optional(&mut *sql.read().await?)
        .await?;
    row.as_ref().map(delivery).transpose()
}

pub(super) async fn list<D: Dialect>(
    organization: OrganizationId,
    id: WebhookId,
    status: Option<DeliveryStatus>,
    page: &PageRequest,
    sql: &Sql<D>,
) -> Result<Page<WebhookDelivery>, StoreError> {
    let mut list = BoundedList::new(page, Cursor::MAX);
    while let Some((after, limit)) = list.next_read() {
        let (_permit, mut connection) = sql.read_bulk(organization).await?;
        let bound = if status.is_some() {
            query::<D>(statement!("webhooks/deliveries_bound.sql"))
                .id(organization.as_uuid())
                .id(id.as_uuid())
                .int(after.at)
                .id(&after.id)
                .int(ROWS_PER_READ - 1)
                .fetch_optional(&mut connection)
                .await?
        } else {
            None
        };
        let bound = bound.map(|row| cursor(&row, "inserted_at", "id")).transpose()?;
        let last = bound.unwrap_or(Cursor::MIN);
        let rows = query::<D>(statement!("webhooks/deliveries.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .int(after.at)
            .id(&after.id)
            .opt_text(status.map(DeliveryStatus::as_str))
            .int(last.at)
            .id(&last.id)
            .int(limit)
            .fetch_all(&mut connection)
            .await?;
        list.add(rows.iter().map(delivery), bound)?;
    }
    Ok(list.into_page(|delivery: &WebhookDelivery| Cursor {
        at: delivery.inserted_at.as_millis(),
        id: *delivery.id.as_uuid(),
    }))
}

fn delivery<D: Dialect>(row: &Row<D>) -> Result<WebhookDelivery, StoreError> {
    Ok(WebhookDelivery {
        id: row.id("id")?,
        kind: row.parse("type")?,
        status: row.parse("status")?,
        attempts: row.number("attempts")?,
        next_attempt_at: row.opt_time("next_attempt_at")?,
        last_status: row.opt_number("last_status")?,
        last_error: row.opt_text("last_error")?,
        inserted_at: row.time("inserted_at")?,
        delivered_at: row.opt_time("delivered_at")?,
    })
}

/// Gives up pending deliveries of a disabled webhook. Returns how many.
pub(super) async fn fail_pending<D: Dialect>(
    webhook: WebhookKey,
    limit: i64,
    connection: &mut D::Connection,
) -> Result<u64, StoreError> {
    let now = now::<D>(connection).await?;
    query::<D>(statement!("webhooks/fail_pending.sql"))
        .id(webhook.organization_id.as_uuid())
        .id(webhook.webhook_id.as_uuid())
        .time(now)
        .int(limit)
        .execute(connection)
        .await
}

pub(super) async fn delete_of_webhook<D: Dialect>(
    webhook: WebhookKey,
    limit: i64,
    sql: &Sql<D>,
) -> Result<u64, StoreError> {
    let mut transaction = sql.write().await?;
    let deleted = query::<D>(statement!("webhooks/delete_deliveries.sql"))
        .id(webhook.organization_id.as_uuid())
        .id(webhook.webhook_id.as_uuid())
        .int(limit)
        .execute(&mut transaction)
        .await?;
    if deleted == 0 {
        query::<D>(statement!("webhooks/delete.sql"))
            .id(webhook.organization_id.as_uuid())
            .id(webhook.webhook_id.as_uuid())
            .execute(&mut transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(deleted)
}

pub(super) async fn delete_old<D: Dialect>(
    organization: OrganizationId,
    limit: i64,
    sql: &Sql<D>,
) -> Result<u64, StoreError> {
    let mut transaction = sql.write().await?;
    let now = now::<D>(&mut transaction).await?.as_millis();
    let mut deleted = 0;
    for (statement, kept) in [
        (statement!("webhooks/delete_delivered.sql"), KEEP_DELIVERED),
        (statement!("webhooks/delete_failed.sql"), KEEP_FAILED),
    ] {
        deleted += query::<D>(statement)
            .id(organization.as_uuid())
            .int(now - kept)
            .int(limit)
            .execute(&mut transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(deleted)
}

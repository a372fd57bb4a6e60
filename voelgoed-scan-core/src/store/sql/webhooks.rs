//! Webhooks. What they are told is written by `feed` (scans) and by `enqueue` (all else, in its own transaction).
//!
//! Invariant: nothing is written for a webhook that is not active. Who writes a delivery locks the webhook first, so that
//! the delivery comes before the webhook is disabled or deleted. Only the head of the audit log is locked later.

mod conflicts;
mod deliveries;
mod enqueue;
mod feed;
mod patch;

use async_trait::async_trait;

use crate::audit::Audit;
use crate::model::{
    AuditAction, DeliveryId, DeliveryStatus, DisabledReason, EventId, OrganizationId, Timestamp, Webhook,
    WebhookDelivery, WebhookDescription, WebhookId, WebhookPatch, WebhookStatus,
};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::{webhook_change, webhook_created};
use crate::store::sql::retry::retry_contended;
use crate::store::sql::{Dialect, Row, Sql, query, statement};
use crate::store::webhooks::{EnqueueOutcome, FeedPage, MAX_WEBHOOKS, WebhookState, WebhookStore};
use crate::store::{Cursor, Page, PageRequest, PutOutcome, StoreError, WebhookKey};
use crate::token::SealedSecret;

pub(crate) use conflicts::{enqueue_conflicts, enqueue_quarantined};
pub(crate) use enqueue::enqueue;
use enqueue::{NewDelivery, insert_deliveries};
use patch::set_cursors;

/// The name of a webhook among the readers of feeds.
fn consumer(webhook: WebhookId) -> String {
    format!("webhook:{}", webhook.as_uuid().simple())
}

#[async_trait]
impl<D: Dialect> WebhookStore for Sql<D> {
    async fn create_webhook(
        &self,
        organization: OrganizationId,
        webhook: &Webhook,
        secret: &SealedSecret,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<()>, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        // Of two creations at once, the second one sees the first.
        query::<D>(statement!("organizations/lock.sql"))
            .id(organization.as_uuid())
            .execute(&mut transaction)
            .await?;
        let count = query::<D>(statement!("webhooks/count.sql"))
            .id(organization.as_uuid())
            .fetch_optional(&mut transaction)
            .await?;
        if count.map_or(Ok(0), |row| row.int("webhooks"))? >= MAX_WEBHOOKS {
            return Ok(PutOutcome::Conflict("The organization has 20 webhooks."));
        }
        query::<D>(statement!("webhooks/insert.sql"))
            .id(organization.as_uuid())
            .id(webhook.id.as_uuid())
            .text(webhook.url.as_str())
            .json(&webhook.types)
            .opt_json(webhook.event_ids.as_ref())
            .bool(webhook.codes)
            .opt_text(webhook.description.as_ref().map(WebhookDescription::as_str))
            .bytes(secret.as_bytes())
            .time(webhook.inserted_at)
            .execute(&mut transaction)
            .await?;
        set_cursors::<D>(organization, webhook.id, &mut transaction).await?;
        append::<D>(organization, webhook_created(webhook), audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(PutOutcome::Created(()))
    }

    async fn webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
    ) -> Result<Option<Webhook>, StoreError> {
        let row = query::<D>(statement!("webhooks/find.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.as_ref().map(webhook).transpose()
    }

    async fn webhooks(
        &self,
        organization: OrganizationId,
        page: &PageRequest,
    ) -> Result<Page<Webhook>, StoreError> {
        let rows = query::<D>(statement!("webhooks/list.sql"))
            .id(organization.as_uuid())
            .opt_id(page.after.as_ref().map(|after| &after.id))
            .int(i64::from(page.limit) + 1)
            .fetch_all(&mut *self.read().await?)
            .await?;
        let webhooks = rows.iter().map(webhook).collect::<Result<_, _>>()?;
        Ok(Page::truncate(webhooks, page.limit, |webhook: &Webhook| {
            Cursor::of_id(*webhook.id.as_uuid())
        }))
    }

    async fn patch_webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        patch: &WebhookPatch,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<Option<Webhook>, StoreError> {
        retry_contended("change a webhook", || {
            self.patch_webhook_once(organization, id, patch, now, audit)
        })
        .await
    }

    async fn disable_webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        reason: DisabledReason,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let now = now::<D>(&mut transaction).await?;
        let disabled = query::<D>(statement!("webhooks/disable.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .text(reason.as_str())
            .time(now)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(disabled > 0)
    }

    async fn rotate_webhook_secret(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        secret: &SealedSecret,
        former_until: Timestamp,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        let rotated = query::<D>(statement!("webhooks/rotate.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .bytes(secret.as_bytes())
            .time(former_until)
            .time(now)
            .execute(&mut transaction)
            .await?;
        if rotated > 0 {
            let change = webhook_change(AuditAction::WebhookRotate, id);
            append::<D>(organization, change, audit, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(rotated > 0)
    }

    async fn delete_webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        let deleted = query::<D>(statement!("webhooks/mark_deleted.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .bytes(&[])
            .time(now)
            .execute(&mut transaction)
            .await?;
        query::<D>(statement!("webhooks/delete_cursors.sql"))
            .id(organization.as_uuid())
            .text(&consumer(id))
            .execute(&mut transaction)
            .await?;
        if deleted > 0 {
            let change = webhook_change(AuditAction::WebhookDelete, id);
            append::<D>(organization, change, audit, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(deleted > 0)
    }

    async fn enqueue_webhook_test(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        delivery: DeliveryId,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<EnqueueOutcome, StoreError> {
        deliveries::enqueue_test(organization, id, delivery, now, audit, self).await
    }

    async fn redeliver(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        delivery: DeliveryId,
        audit: Audit<'_>,
    ) -> Result<EnqueueOutcome, StoreError> {
        // A sender that notes a failure locks the delivery before the webhook.
        retry_contended("send a delivery again", || {
            deliveries::redeliver(organization, id, delivery, audit, self)
        })
        .await
    }

    async fn webhook_delivery(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Option<WebhookDelivery>, StoreError> {
        deliveries::find(organization, id, delivery, self).await
    }

    async fn webhook_deliveries(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        status: Option<DeliveryStatus>,
        page: &PageRequest,
    ) -> Result<Page<WebhookDelivery>, StoreError> {
        deliveries::list(organization, id, status, page, self).await
    }

    async fn listening_organizations(&self) -> Result<Vec<OrganizationId>, StoreError> {
        let rows = query::<D>(statement!("webhooks/listening.sql"))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(|row| row.id("organization_id")).collect()
    }

    async fn active_webhooks(&self, organization: OrganizationId) -> Result<Vec<Webhook>, StoreError> {
        let page = PageRequest {
            limit: u16::try_from(MAX_WEBHOOKS).unwrap_or(u16::MAX),
            after: None,
        };
        let mut webhooks = self.webhooks(organization, &page).await?.data;
        webhooks.retain(|webhook| webhook.status == WebhookStatus::Active);
        Ok(webhooks)
    }

    async fn webhook_feeds_ahead(&self, limit: u16) -> Result<Vec<(WebhookKey, EventId)>, StoreError> {
        let rows = query::<D>(D::SQL.webhook_feeds_ahead)
            .int(limit.into())
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter()
            .map(|row| Ok((key(row)?, row.id("event_id")?)))
            .collect()
    }

    async fn read_feed_page(
        &self,
        webhook: WebhookKey,
        event: EventId,
        limit: usize,
    ) -> Result<FeedPage, StoreError> {
        feed::read_page(webhook, event, limit, self).await
    }

    async fn webhook_states(&self) -> Result<Vec<(WebhookKey, WebhookState)>, StoreError> {
        let rows = query::<D>(statement!("webhooks/all.sql"))
            .fetch_all(&mut *self.read().await?)
            .await?;
        let state = |row: &Row<D>| -> Result<_, StoreError> {
            Ok(match row.text("status")?.as_str() {
                "active" => WebhookState::Active,
                "disabled" => WebhookState::Disabled,
                _ => WebhookState::Deleted,
            })
        };
        rows.iter().map(|row| Ok((key(row)?, state(row)?))).collect()
    }

    async fn count_pending_deliveries(&self, webhook: WebhookKey, limit: i64) -> Result<i64, StoreError> {
        let row = query::<D>(statement!("webhooks/count_pending.sql"))
            .id(webhook.organization_id.as_uuid())
            .id(webhook.webhook_id.as_uuid())
            .int(limit)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.map_or(Ok(0), |row| row.int("pending"))
    }

    async fn fail_pending_deliveries(&self, webhook: WebhookKey, limit: usize) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let failed = deliveries::fail_pending::<D>(webhook, row_limit(limit), &mut transaction).await?;
        transaction.commit().await?;
        Ok(failed)
    }

    async fn delete_deliveries(&self, webhook: WebhookKey, limit: usize) -> Result<u64, StoreError> {
        deliveries::delete_of_webhook(webhook, row_limit(limit), self).await
    }

    async fn delete_old_deliveries(
        &self,
        organization: OrganizationId,
        limit: usize,
    ) -> Result<u64, StoreError> {
        deliveries::delete_old(organization, row_limit(limit), self).await
    }
}

/// The active webhooks of an organization. Those who change them wait until the transaction ends.
async fn lock_active<D: Dialect>(
    organization: OrganizationId,
    connection: &mut D::Connection,
) -> Result<Vec<Webhook>, StoreError> {
    let rows = query::<D>(D::SQL.lock_active_webhooks)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?;
    rows.iter().map(webhook).collect()
}

/// The time by the clock of the database, which says when deliveries are due.
pub(crate) async fn now<D: Dialect>(connection: &mut D::Connection) -> Result<Timestamp, StoreError> {
    let row = query::<D>(D::SQL.now).fetch_optional(connection).await?;
    row.ok_or_else(|| StoreError::failed("the database has no clock"))?
        .time("now")
}

fn row_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn key<D: Dialect>(row: &Row<D>) -> Result<WebhookKey, StoreError> {
    Ok(WebhookKey {
        organization_id: row.id("organization_id")?,
        webhook_id: row.id("id")?,
    })
}

fn webhook<D: Dialect>(row: &Row<D>) -> Result<Webhook, StoreError> {
    Ok(Webhook {
        id: row.id("id")?,
        url: row.parse("url")?,
        types: row.json("types")?,
        event_ids: row.opt_json("event_ids")?,
        codes: row.bool("codes")?,
        description: row.opt_parse("description")?,
        status: row.parse("status")?,
        disabled_reason: row.opt_parse("disabled_reason")?,
        inserted_at: row.time("inserted_at")?,
        updated_at: row.time("updated_at")?,
    })
}

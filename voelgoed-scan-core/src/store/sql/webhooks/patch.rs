//! Changes a webhook.

use super::{consumer, deliveries, webhook};
use crate::audit::Audit;
use crate::model::{
    DisabledReason, OrganizationId, Timestamp, Webhook, WebhookDescription, WebhookId, WebhookPatch,
    WebhookStatus,
};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::webhook_patched;
use crate::store::sql::{Dialect, Sql, query, statement};
use crate::store::{StoreError, WebhookKey};

impl<D: Dialect> Sql<D> {
    pub(super) async fn patch_webhook_once(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        patch: &WebhookPatch,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<Option<Webhook>, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        let row = query::<D>(statement!("webhooks/lock.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .fetch_optional(&mut transaction)
            .await?;
        let Some(before) = row.as_ref().map(webhook).transpose()? else {
            return Ok(None);
        };
        let mut after = before.clone();
        after.apply(patch, now);
        query::<D>(statement!("webhooks/update.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .text(after.url.as_str())
            .json(&after.types)
            .opt_json(after.event_ids.as_ref())
            .opt_text(after.description.as_ref().map(WebhookDescription::as_str))
            .text(after.status.as_str())
            .opt_text(after.disabled_reason.map(DisabledReason::as_str))
            .time(after.updated_at)
            .execute(&mut transaction)
            .await?;
        let key = WebhookKey {
            organization_id: organization,
            webhook_id: id,
        };
        if before.status == WebhookStatus::Disabled && after.status == WebhookStatus::Active {
            // The rest, if a server ended before it had given all up.
            deliveries::fail_pending::<D>(key, i64::MAX, &mut transaction).await?;
        }
        let was_told =
            |webhook: &Webhook| webhook.status == WebhookStatus::Active && webhook.types.include_scans();
        if was_told(&after) && !was_told(&before) {
            set_cursors::<D>(organization, id, &mut transaction).await?;
        }
        if let Some(change) = webhook_patched(&before, &after) {
            append::<D>(organization, change, audit, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(Some(after))
    }
}

/// Moves the cursors of a webhook to the ends of all feeds.
pub(super) async fn set_cursors<D: Dialect>(
    organization: OrganizationId,
    webhook: WebhookId,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>(statement!("webhooks/set_cursors.sql"))
        .id(organization.as_uuid())
        .text(&consumer(webhook))
        .execute(connection)
        .await?;
    Ok(())
}

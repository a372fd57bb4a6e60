//! Creates, changes and deletes webhooks.

use std::time::Duration;

use super::Admin;
use crate::model::{
    AuditContext, DeliveryId, OrganizationId, Timestamp, Webhook, WebhookCreate, WebhookId, WebhookPatch,
    WebhookSecret, WebhookStatus,
};
use crate::store::{EnqueueOutcome, PutOutcome, StoreError, WebhookKey};
use crate::token::SealedSecret;

/// How long a secret signs after its rotation.
const FORMER_SECRET_LIFETIME: Duration = Duration::from_hours(24);

impl Admin {
    /// Creates a webhook. Its secret is returned only here.
    pub async fn create_webhook(
        &self,
        organization: OrganizationId,
        create: &WebhookCreate,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<PutOutcome<(Webhook, WebhookSecret)>, StoreError> {
        let webhook = Webhook {
            id: WebhookId::generate(now),
            url: create.url.clone(),
            types: create.types.clone(),
            event_ids: create.event_ids.clone(),
            codes: create.codes,
            description: create.description.clone(),
            status: WebhookStatus::Active,
            disabled_reason: None,
            inserted_at: now,
            updated_at: now,
        };
        let secret = create.secret.clone().unwrap_or_else(WebhookSecret::generate);
        let sealed = SealedSecret::seal(self.keyrings.master(), organization, webhook.id, &secret);
        let created = self
            .store
            .create_webhook(organization, &webhook, &sealed, self.audit(by, now))
            .await?;
        self.webhooks.follow().await;
        Ok(created.map(|()| (webhook, secret)))
    }

    /// Changes a webhook. `None` if it does not exist. What one that becomes disabled had pending has failed when this
    /// returns.
    pub async fn patch_webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        patch: &WebhookPatch,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<Option<Webhook>, StoreError> {
        let key = WebhookKey {
            organization_id: organization,
            webhook_id: id,
        };
        if patch.status == Some(WebhookStatus::Active) {
            // In chunks. The change itself would give up all at once.
            let before = self.store.webhook(organization, id).await?;
            if before.is_some_and(|before| before.status == WebhookStatus::Disabled) {
                self.webhooks.fail_pending(key).await?;
            }
        }
        let webhook = self
            .store
            .patch_webhook(organization, id, patch, now, self.audit(by, now))
            .await?;
        self.webhooks.follow().await;
        if webhook
            .as_ref()
            .is_some_and(|webhook| webhook.status == WebhookStatus::Disabled)
        {
            self.webhooks.fail_pending(key).await?;
        }
        Ok(webhook)
    }

    /// Gives a webhook a new secret. The one before signs as well for 24 hours. `None` if the webhook does not exist.
    pub async fn rotate_webhook_secret(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<Option<WebhookSecret>, StoreError> {
        let secret = WebhookSecret::generate();
        let sealed = SealedSecret::seal(self.keyrings.master(), organization, id, &secret);
        let former_until = now.plus(FORMER_SECRET_LIFETIME);
        let rotated = self
            .store
            .rotate_webhook_secret(organization, id, &sealed, former_until, now, self.audit(by, now))
            .await?;
        Ok(rotated.then_some(secret))
    }

    /// Deletes a webhook. Returns false if it does not exist.
    pub async fn delete_webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let deleted = self
            .store
            .delete_webhook(organization, id, now, self.audit(by, now))
            .await?;
        self.webhooks.follow().await;
        Ok(deleted)
    }

    /// Sends a test to a webhook. Returns the delivery.
    pub async fn test_webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<(EnqueueOutcome, DeliveryId), StoreError> {
        let delivery = DeliveryId::generate(now);
        let outcome = self
            .store
            .enqueue_webhook_test(organization, id, delivery, now, self.audit(by, now))
            .await?;
        self.webhooks.notify_enqueued();
        Ok((outcome, delivery))
    }

    /// Sends a delivery again, under the same id.
    pub async fn redeliver(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        delivery: DeliveryId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<EnqueueOutcome, StoreError> {
        let outcome = self
            .store
            .redeliver(organization, id, delivery, self.audit(by, now))
            .await?;
        self.webhooks.notify_enqueued();
        Ok(outcome)
    }
}

//! Webhooks, what they are told, and what is sent to them.

use async_trait::async_trait;

use crate::audit::Audit;
use crate::model::{
    DeliveryId, DeliveryStatus, DisabledReason, EventId, OrganizationId, Timestamp, Webhook, WebhookDelivery,
    WebhookId, WebhookPatch,
};
use crate::store::{Page, PageRequest, PutOutcome, StoreError};
use crate::token::SealedSecret;

/// The maximum number of webhooks of an organization.
pub const MAX_WEBHOOKS: i64 = 20;

/// A webhook with its organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookKey {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The webhook.
    pub webhook_id: WebhookId,
}

/// What has to be done for a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookState {
    /// It is told what it wants.
    Active,
    /// Its pending deliveries have to be given up.
    Disabled,
    /// Its deliveries have to be deleted, and then its row.
    Deleted,
}

/// What was made of a page of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedPage {
    /// Deliveries were written for some entries of the page.
    Read {
        /// How many entries the page had.
        entries: usize,
        /// How many deliveries were written.
        deliveries: u64,
        /// Whether the feed had more entries when it was read.
        has_more: bool,
    },
    /// There was nothing to read, or the webhook is told nothing.
    End,
    /// Another node was faster. The page has to be read again.
    Lost,
}

/// The result of a request to send something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnqueueOutcome {
    /// It will be sent.
    Accepted,
    /// The webhook is disabled.
    Disabled,
    /// The webhook or the delivery does not exist.
    Missing,
}

/// Webhooks and their deliveries.
///
/// A delivery of a scan is written by [`read_feed_page`](Self::read_feed_page), which moves the cursor of the webhook in the
/// feed in the same transaction. So each entry is told once. Nothing is written for a webhook that is disabled.
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// Creates a webhook, which is told what is recorded from now on. `Conflict` if the organization has
    /// [`MAX_WEBHOOKS`].
    async fn create_webhook(
        &self,
        organization: OrganizationId,
        webhook: &Webhook,
        secret: &SealedSecret,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<()>, StoreError>;
    /// A webhook.
    async fn webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
    ) -> Result<Option<Webhook>, StoreError>;
    /// A page of the webhooks, in the order of their ids.
    async fn webhooks(
        &self,
        organization: OrganizationId,
        page: &PageRequest,
    ) -> Result<Page<Webhook>, StoreError>;
    /// Changes a webhook. One that becomes active is told what is recorded from now on. The pending deliveries of one that
    /// becomes disabled remain to be given up. `None` if it does not exist.
    async fn patch_webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        patch: &WebhookPatch,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<Option<Webhook>, StoreError>;
    /// Disables a webhook for a reason of the server. False if it is not active. Its pending deliveries remain to be given
    /// up.
    async fn disable_webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        reason: DisabledReason,
    ) -> Result<bool, StoreError>;
    /// Replaces the secret. The one before signs as well until `former_until`. False if the webhook does not exist.
    async fn rotate_webhook_secret(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        secret: &SealedSecret,
        former_until: Timestamp,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<bool, StoreError>;
    /// Deletes a webhook. Its deliveries remain to be deleted. False if it does not exist.
    async fn delete_webhook(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<bool, StoreError>;

    /// Enqueues a test of a webhook.
    async fn enqueue_webhook_test(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        delivery: DeliveryId,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<EnqueueOutcome, StoreError>;
    /// Enqueues a delivery again, under the same id.
    async fn redeliver(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        delivery: DeliveryId,
        audit: Audit<'_>,
    ) -> Result<EnqueueOutcome, StoreError>;
    /// A delivery of a webhook.
    async fn webhook_delivery(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        delivery: DeliveryId,
    ) -> Result<Option<WebhookDelivery>, StoreError>;
    /// A page of the deliveries of a webhook, newest first.
    async fn webhook_deliveries(
        &self,
        organization: OrganizationId,
        id: WebhookId,
        status: Option<DeliveryStatus>,
        page: &PageRequest,
    ) -> Result<Page<WebhookDelivery>, StoreError>;

    /// The organizations with active webhooks that want scans.
    async fn listening_organizations(&self) -> Result<Vec<OrganizationId>, StoreError>;
    /// The active webhooks of an organization.
    async fn active_webhooks(&self, organization: OrganizationId) -> Result<Vec<Webhook>, StoreError>;
    /// Feeds, at most `limit`, that are ahead of a webhook, in a random order.
    async fn webhook_feeds_ahead(&self, limit: u16) -> Result<Vec<(WebhookKey, EventId)>, StoreError>;
    /// Writes the deliveries of the next entries of a feed for a webhook, at most `limit` entries, and moves its cursor past
    /// them.
    async fn read_feed_page(
        &self,
        webhook: WebhookKey,
        event: EventId,
        limit: usize,
    ) -> Result<FeedPage, StoreError>;

    /// All webhooks with what has to be done for them.
    async fn webhook_states(&self) -> Result<Vec<(WebhookKey, WebhookState)>, StoreError>;
    /// How many deliveries of a webhook are pending, at most `limit`.
    async fn count_pending_deliveries(&self, webhook: WebhookKey, limit: i64) -> Result<i64, StoreError>;
    /// Gives up pending deliveries of a disabled webhook, at most `limit`. Returns how many.
    async fn fail_pending_deliveries(&self, webhook: WebhookKey, limit: usize) -> Result<u64, StoreError>;
    /// Deletes deliveries of a deleted webhook, at most `limit`, and with the last one the webhook. Returns how many.
    async fn delete_deliveries(&self, webhook: WebhookKey, limit: usize) -> Result<u64, StoreError>;
    /// Deletes deliveries that were delivered 3 days ago or failed 30 days ago, at most `limit` of each. Returns how many.
    async fn delete_old_deliveries(
        &self,
        organization: OrganizationId,
        limit: usize,
    ) -> Result<u64, StoreError>;
}

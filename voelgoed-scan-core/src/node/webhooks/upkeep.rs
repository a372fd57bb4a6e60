//! What one node does for the webhooks of all: tells what was left untold, gives up what disabled webhooks had pending, and
//! deletes old deliveries. All of it goes in chunks that yield to scans. What fails for one webhook keeps no other waiting.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Webhooks;
use super::reader::PageRead;
use crate::model::{DisabledReason, EventId, OrganizationId};
use crate::node::write_queue::BulkKind;
use crate::store::{StoreError, WebhookKey, WebhookState};

/// The pause between two runs.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// How many feeds a run reads at most.
const FEEDS_PER_RUN: u16 = 200;

/// In how many runs the pending deliveries are counted once.
pub(super) const RUNS_PER_COUNT: u32 = 10;

/// In how many runs old deliveries are deleted once.
const RUNS_PER_DELETION: u32 = 60;

/// A webhook with more pending deliveries is disabled.
pub(super) const MAX_PENDING: i64 = 100_000;

impl Webhooks {
    /// Does what there is to do. Returns an error of what failed.
    pub(super) async fn keep_up(&self, run: u32) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for (webhook, event) in self.store.webhook_feeds_ahead(FEEDS_PER_RUN).await? {
            outcome = outcome.and(self.read_feed(webhook, event).await);
        }
        let states = self.store.webhook_states().await?;
        for (webhook, state) in &states {
            outcome = outcome.and(match state {
                WebhookState::Active if run.is_multiple_of(RUNS_PER_COUNT) => {
                    self.disable_if_behind(*webhook).await
                }
                WebhookState::Active => Ok(()),
                WebhookState::Disabled => self.fail_pending(*webhook).await,
                WebhookState::Deleted => self.delete_all(*webhook).await,
            });
        }
        if run.is_multiple_of(RUNS_PER_DELETION) {
            let organizations: BTreeSet<_> = states
                .iter()
                .map(|(webhook, _)| webhook.organization_id)
                .collect();
            for organization in organizations {
                outcome = outcome.and(self.delete_old(organization).await);
            }
        }
        outcome
    }

    async fn read_feed(&self, webhook: WebhookKey, event: EventId) -> Result<(), StoreError> {
        while self.read_page(webhook, event).await? == PageRead::More {}
        Ok(())
    }

    async fn disable_if_behind(&self, webhook: WebhookKey) -> Result<(), StoreError> {
        let pending = self
            .store
            .count_pending_deliveries(webhook, MAX_PENDING + 1)
            .await?;
        if pending > MAX_PENDING {
            let WebhookKey {
                organization_id,
                webhook_id,
            } = webhook;
            let reason = DisabledReason::Backlog;
            if self
                .store
                .disable_webhook(organization_id, webhook_id, reason)
                .await?
            {
                tracing::warn!(%organization_id, %webhook_id, "a webhook was disabled, because too much was pending");
            }
            self.fail_pending(webhook).await?;
        }
        Ok(())
    }

    /// Gives up what a disabled webhook has pending.
    pub(crate) async fn fail_pending(&self, webhook: WebhookKey) -> Result<(), StoreError> {
        // Most disabled webhooks have nothing, and no chunk has to wait for its turn to find that out.
        while self.store.count_pending_deliveries(webhook, 1).await? > 0 {
            let permit = self.start_chunk(webhook.organization_id).await;
            let limit = permit.max_items();
            let failed = self.store.fail_pending_deliveries(webhook, limit).await?;
            permit.complete(count(failed));
        }
        Ok(())
    }

    async fn delete_all(&self, webhook: WebhookKey) -> Result<(), StoreError> {
        loop {
            let permit = self.start_chunk(webhook.organization_id).await;
            let deleted = self.store.delete_deliveries(webhook, permit.max_items()).await?;
            permit.complete(count(deleted));
            if deleted == 0 {
                return Ok(());
            }
        }
    }

    async fn delete_old(&self, organization: OrganizationId) -> Result<(), StoreError> {
        loop {
            let permit = self.start_chunk(organization).await;
            let deleted = self
                .store
                .delete_old_deliveries(organization, permit.max_items())
                .await?;
            permit.complete(count(deleted));
            if deleted == 0 {
                return Ok(());
            }
        }
    }

    async fn start_chunk(&self, organization: OrganizationId) -> crate::node::write_queue::BulkPermit {
        self.bulk_writes
            .start_chunk(organization, BulkKind::Background)
            .await
    }
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

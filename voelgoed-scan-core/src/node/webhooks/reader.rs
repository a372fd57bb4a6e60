//! Reads the feeds of events whose scans this node records, right after the writes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::Webhooks;
use crate::bus::EventKey;
use crate::model::EventId;
use crate::node::write_queue::BulkKind;
use crate::store::{FeedPage, StoreError, WebhookKey};

/// The pause between two rounds. Scans gather meanwhile.
const ROUND_INTERVAL: Duration = Duration::from_millis(20);

/// The pause after a failed round.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// How many events are read at a time.
const CONCURRENT_READS: usize = 4;

/// While scans wait, the feeds of a webhook with so many pending deliveries are not read: it could not send them yet. So a receiver
/// that hangs, or that is slower than the scans, costs them little.
pub(super) const PENDING_WHILE_BUSY: i64 = 1_000;

/// How long the feeds of such a webhook are left alone.
const POSTPONEMENT: Duration = Duration::from_millis(250);

/// How often a node looks which organizations have webhooks.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// What came of reading a page of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageRead {
    /// There may be more.
    More,
    /// The feed was read to its end.
    End,
    /// The feed has to wait until fewer deliveries are pending, or fewer scans wait.
    Postponed,
}

impl Webhooks {
    pub(super) async fn read_new_scans(self: Arc<Self>) {
        let unread = self.feed.unread_by_webhooks();
        loop {
            tokio::select! {
                () = unread.marked() => {}
                () = self.feed.closed() => return,
            }
            let reads = stream::iter(unread.take()).map(async |event| {
                let read = self.read_event(event).await;
                if let Err(error) = &read {
                    tracing::debug!(%error, "scans could not be read for webhooks");
                    unread.mark(event);
                }
                read.is_ok()
            });
            let round = reads
                .buffer_unordered(CONCURRENT_READS)
                .fold(true, async |all, one| all && one);
            let all_read = tokio::select! {
                all_read = round => all_read,
                () = self.feed.closed() => return,
            };
            sleep(if all_read { ROUND_INTERVAL } else { RETRY_INTERVAL }).await;
        }
    }

    /// Reads a page of an event for each webhook that is told of it. The rest waits for the next round.
    async fn read_event(&self, (organization_id, event): EventKey) -> Result<(), StoreError> {
        for webhook in self.store.active_webhooks(organization_id).await? {
            let is_event_wanted = webhook.types.include_scans()
                && webhook
                    .event_ids
                    .as_ref()
                    .is_none_or(|events| events.contains(&event));
            if !is_event_wanted {
                continue;
            }
            let key = WebhookKey {
                organization_id,
                webhook_id: webhook.id,
            };
            // A feed that is postponed is read after its next scan, or by the upkeep.
            if self.read_page(key, event).await? == PageRead::More {
                self.feed.unread_by_webhooks().mark((organization_id, event));
            }
        }
        Ok(())
    }

    /// Reads a page of a feed for a webhook.
    pub(super) async fn read_page(
        &self,
        webhook: WebhookKey,
        event: EventId,
    ) -> Result<PageRead, StoreError> {
        if self.is_postponed(webhook) {
            return Ok(PageRead::Postponed);
        }
        let permit = self
            .bulk_writes
            .start_chunk(webhook.organization_id, BulkKind::Background)
            .await;
        if permit.delays_scans() && self.has_much_pending(webhook).await? {
            self.postpone(webhook);
            return Ok(PageRead::Postponed);
        }
        let limit = permit.max_items();
        Ok(match self.store.read_feed_page(webhook, event, limit).await? {
            FeedPage::Read {
                entries,
                deliveries,
                has_more,
            } => {
                permit.complete(entries);
                if deliveries > 0 {
                    self.notify_enqueued();
                }
                if has_more { PageRead::More } else { PageRead::End }
            }
            FeedPage::Lost => PageRead::More,
            FeedPage::End => PageRead::End,
        })
    }

    fn is_postponed(&self, webhook: WebhookKey) -> bool {
        let postponed = self.postponed.lock();
        postponed
            .get(&webhook)
            .is_some_and(|since| since.elapsed() < POSTPONEMENT)
    }

    fn postpone(&self, webhook: WebhookKey) {
        let mut postponed = self.postponed.lock();
        postponed.retain(|_, since| since.elapsed() < POSTPONEMENT);
        postponed.insert(webhook, Instant::now());
    }

    async fn has_much_pending(&self, webhook: WebhookKey) -> Result<bool, StoreError> {
        let pending = self
            .store
            .count_pending_deliveries(webhook, PENDING_WHILE_BUSY)
            .await?;
        Ok(pending >= PENDING_WHILE_BUSY)
    }

    /// Looks from time to time which organizations have webhooks, because other nodes change them too.
    pub(super) async fn follow_webhooks(self: Arc<Self>) {
        let mut ticks = interval(FOLLOW_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.feed.closed() => return,
            }
            self.follow().await;
        }
    }

    /// Looks which organizations have webhooks that want scans.
    pub(crate) async fn follow(&self) {
        match self.store.listening_organizations().await {
            Ok(organizations) => self.feed.unread_by_webhooks().set_listening(organizations),
            Err(error) => tracing::debug!(%error, "the webhooks could not be read"),
        }
    }
}

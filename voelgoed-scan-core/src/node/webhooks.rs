//! Webhooks on a running node: what is recorded becomes deliveries.
//!
//! Scans are read from the feeds, in the background. A write of this node wakes the reader at once, and one node looks for
//! what was left ([`upkeep`]): scans of a node that died, or that did not know the webhook yet. The cursor of a webhook in a
//! feed decides which node tells an entry, so that each is told once.
//!
//! Invariants:
//! - Without a webhook that wants scans, a scan costs one comparison.
//! - The writes yield to scans, as uploads and imports do.

mod reader;
#[cfg(feature = "sqlite")]
#[cfg(test)]
mod tests;
mod unread;
mod upkeep;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::node::background::OneNodeTask;
use crate::node::feed::Feed;
use crate::node::write_queue::BulkWrites;
use crate::store::{Store, WebhookKey};
pub(crate) use unread::UnreadFeeds;

/// The webhooks of this node.
pub struct Webhooks {
    store: Arc<dyn Store>,
    feed: Arc<Feed>,
    bulk_writes: BulkWrites,
    /// The webhooks whose feeds wait, and since when.
    postponed: Mutex<HashMap<WebhookKey, Instant>>,
    /// Something may be due.
    enqueued: Notify,
}

impl Webhooks {
    /// Starts the tasks, which end with the node.
    pub(crate) fn start(store: Arc<dyn Store>, feed: Arc<Feed>, bulk_writes: BulkWrites) -> Arc<Self> {
        let webhooks = Arc::new(Self {
            store,
            feed,
            bulk_writes,
            postponed: Mutex::default(),
            enqueued: Notify::new(),
        });
        tokio::spawn(Arc::clone(&webhooks).read_new_scans());
        tokio::spawn(Arc::clone(&webhooks).follow_webhooks());
        webhooks.keep_up_on_one_node();
        webhooks
    }

    fn keep_up_on_one_node(self: &Arc<Self>) {
        let task = OneNodeTask {
            name: "webhooks",
            interval: upkeep::INTERVAL,
            wake: Arc::new(Notify::new()),
            node: uuid::Uuid::new_v4(),
            store: Arc::clone(&self.store),
            feed: Arc::clone(&self.feed),
        };
        let webhooks = Arc::clone(self);
        let mut run = 0_u32;
        task.start(move || {
            run = run.wrapping_add(1);
            let webhooks = Arc::clone(&webhooks);
            async move { webhooks.keep_up(run).await }
        });
    }

    /// Waits until this node has enqueued deliveries. Other nodes do not wake it.
    pub async fn enqueued(&self) {
        self.enqueued.notified().await;
    }

    /// Deliveries were enqueued, or may have been.
    pub(crate) fn notify_enqueued(&self) {
        self.enqueued.notify_one();
    }
}

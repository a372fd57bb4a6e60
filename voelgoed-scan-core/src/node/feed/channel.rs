//! The subscribers of one event, each with its queue.
//!
//! Invariant: the items of a queue weigh at most [`MAX_QUEUED`]. A subscriber whose queue would hold more is cut off.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::item::FeedItem;
use super::subscription::Backlog;

/// How many entries a subscriber may be behind.
const MAX_QUEUED: usize = 2048;

/// The queue of a subscriber, seen from the publisher.
struct Queue {
    items: mpsc::UnboundedSender<FeedItem>,
    backlog: Arc<Backlog>,
}

impl Queue {
    /// Queues an item. Returns whether the subscriber stays.
    fn push(&self, item: &FeedItem) -> bool {
        self.backlog.add(item.weight(), MAX_QUEUED) && self.items.send(item.clone()).is_ok()
    }
}

/// The subscribers of an event on this node.
pub(super) struct Channel {
    /// The position of the last entry that was published.
    position: i64,
    /// Whether the database may hold entries after it.
    pub(super) has_unread: bool,
    queues: Vec<Queue>,
}

impl Channel {
    /// A channel that starts after a position. The database may hold later entries already.
    pub(super) fn new(position: i64) -> Self {
        Self {
            position,
            has_unread: true,
            queues: Vec::new(),
        }
    }

    pub(super) fn position(&self) -> i64 {
        self.position
    }

    /// Adds a subscriber, which receives every item from now on.
    pub(super) fn subscribe(&mut self, backlog: Arc<Backlog>) -> mpsc::UnboundedReceiver<FeedItem> {
        let (items, receiver) = mpsc::unbounded_channel();
        self.queues.push(Queue { items, backlog });
        receiver
    }

    pub(super) fn publish(&mut self, item: &FeedItem) {
        if let FeedItem::Scans(scans) = item {
            self.position = self.position.max(scans.last_position());
        }
        self.queues.retain(|queue| queue.push(item));
    }

    /// How many subscribers are left.
    pub(super) fn subscribers(&self) -> usize {
        self.queues
            .iter()
            .filter(|queue| !queue.items.is_closed())
            .count()
    }

    /// Whether a subscriber is left. Forgets those that went.
    pub(super) fn has_subscribers(&mut self) -> bool {
        self.queues.retain(|queue| !queue.items.is_closed());
        !self.queues.is_empty()
    }
}

//! Distributes the scans and the occupancy of an event to the subscribers on this node.
//!
//! Invariants:
//! - A publisher never waits for a subscriber. A subscriber that is too slow receives [`FeedItem::Lagged`].
//! - Scans are published as they are recorded. Occupancy follows them, at most once in [`OCCUPANCY_INTERVAL`].
//! - While the bus works, a subscriber receives everything that happens on any node after [`Feed::subscribe`] returned.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, watch};

use crate::bus::{Bus, EventKey};
use crate::model::{EventId, EventOccupancy, OrganizationId, ScanRecord, Timestamp};

/// How long occupancy waits for more scans before it is published.
const OCCUPANCY_INTERVAL: Duration = Duration::from_millis(100);

/// How long a new subscription waits until the bus delivers the scans of other nodes.
const BUS_SUBSCRIBE_TIMEOUT: Duration = Duration::from_millis(250);

/// How many items a subscriber may be behind.
const SUBSCRIBER_CAPACITY: usize = 1024;

/// An item of the feed.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedItem {
    /// A scan was recorded or undone.
    Scan(Box<ScanRecord>),
    /// The present occupancy.
    Occupancy(Box<EventOccupancy>),
    /// The subscriber was too slow and missed this many items.
    Lagged(u64),
}

/// A change of an event's occupancy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OccupancyChange {
    pub(crate) at: Timestamp,
    /// Whether a scan of this node caused it. This node then publishes the occupancy to the other nodes.
    pub(crate) is_local: bool,
}

#[derive(Default)]
struct Channels {
    open: HashMap<EventKey, broadcast::Sender<Arc<FeedItem>>>,
    /// Changes whose occupancy is not published yet.
    occupancy_changes: HashMap<EventKey, OccupancyChange>,
    closed: bool,
}

/// The feed of this node.
pub struct Feed {
    channels: Mutex<Channels>,
    occupancy_changed: Notify,
    closed: watch::Sender<bool>,
    bus: Option<Arc<dyn Bus>>,
}

/// A subscription to an event.
pub struct Subscription(broadcast::Receiver<Arc<FeedItem>>);

impl Subscription {
    /// Waits for the next item; `None` when the feed is closed.
    pub async fn next(&mut self) -> Option<Arc<FeedItem>> {
        match self.0.recv().await {
            Ok(item) => Some(item),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Arc::new(FeedItem::Lagged(missed))),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

fn event_of(record: &ScanRecord) -> EventKey {
    (record.organization_id, record.event_id)
}

fn scan_item(record: &ScanRecord) -> FeedItem {
    FeedItem::Scan(Box::new(record.clone()))
}

impl Feed {
    pub(crate) fn new(bus: Option<Arc<dyn Bus>>) -> Self {
        Self {
            channels: Mutex::default(),
            occupancy_changed: Notify::new(),
            closed: watch::Sender::new(false),
            bus,
        }
    }

    /// Subscribes to an event. If the bus is down, the subscription starts without the scans of other nodes, which follow
    /// when the bus works again.
    pub async fn subscribe(&self, organization: OrganizationId, event: EventId) -> Subscription {
        let subscription = self.open_subscription(organization, event);
        if let Some(bus) = &self.bus {
            let subscribed = bus.scans_subscribed(organization, event);
            let _ = tokio::time::timeout(BUS_SUBSCRIBE_TIMEOUT, subscribed).await;
        }
        subscription
    }

    fn open_subscription(&self, organization: OrganizationId, event: EventId) -> Subscription {
        let mut channels = self.channels.lock();
        if channels.closed {
            // A receiver without a sender ends at once.
            return Subscription(broadcast::channel(1).1);
        }
        let channel = channels.open.entry((organization, event)).or_insert_with(|| {
            if let Some(bus) = &self.bus {
                bus.subscribe_scans(organization, event);
            }
            broadcast::channel(SUBSCRIBER_CAPACITY).0
        });
        Subscription(channel.subscribe())
    }

    pub(crate) fn has_subscribers(&self, organization: OrganizationId, event: EventId) -> bool {
        self.channels.lock().open.contains_key(&(organization, event))
    }

    /// How many subscriptions exist.
    pub(crate) fn subscriptions(&self) -> usize {
        self.channels
            .lock()
            .open
            .values()
            .map(broadcast::Sender::receiver_count)
            .sum()
    }

    /// Publishes a scan of this node.
    pub(crate) fn publish_scan(&self, record: &ScanRecord) {
        self.publish_scans(&[record]);
    }

    /// Publishes scans of this node.
    pub(crate) fn publish_scans(&self, records: &[&ScanRecord]) {
        for records in records.chunk_by(|one, next| event_of(one) == event_of(next)) {
            let [first, ..] = records else { continue };
            let event = event_of(first);
            let at = records
                .iter()
                .fold(first.received_at, |at, record| at.max(record.received_at));
            let has_subscribers = self.send(event, records.iter().map(|record| scan_item(record)));
            if has_subscribers || self.bus.is_some() {
                self.occupancy_changed(event, OccupancyChange { at, is_local: true });
            }
        }
    }

    /// Publishes a scan of another node, which also publishes the occupancy.
    pub(crate) fn publish_remote_scan(&self, record: &ScanRecord) {
        self.send(event_of(record), [record].into_iter().map(scan_item));
    }

    /// Publishes the occupancy of an event.
    pub(crate) fn publish_occupancy(&self, event: EventKey, occupancy: EventOccupancy) {
        self.send(event, [FeedItem::Occupancy(Box::new(occupancy))]);
    }

    /// Sends items to the subscribers of an event. Returns whether there are any; without them no item is made.
    fn send(&self, event: EventKey, items: impl IntoIterator<Item = FeedItem>) -> bool {
        let mut channels = self.channels.lock();
        let Some(channel) = channels.open.get(&event) else {
            return false;
        };
        if channel.receiver_count() == 0 {
            channels.open.remove(&event);
            if let Some(bus) = &self.bus {
                bus.unsubscribe_scans(event.0, event.1);
            }
            return false;
        }
        items.into_iter().all(|item| channel.send(Arc::new(item)).is_ok())
    }

    /// Records that the occupancy of an event changed.
    pub(crate) fn occupancy_changed(&self, event: EventKey, change: OccupancyChange) {
        let mut channels = self.channels.lock();
        let pending = channels.occupancy_changes.entry(event).or_insert(change);
        pending.at = pending.at.max(change.at);
        pending.is_local |= change.is_local;
        drop(channels);
        self.occupancy_changed.notify_one();
    }

    /// Waits for events whose occupancy changed since the last call; `None` when the feed is closed.
    pub(crate) async fn next_occupancy_changes(&self) -> Option<Vec<(EventKey, OccupancyChange)>> {
        loop {
            tokio::select! {
                () = self.occupancy_changed.notified() => {}
                () = self.closed() => return None,
            }
            tokio::time::sleep(OCCUPANCY_INTERVAL).await;
            let changes: Vec<_> = self.channels.lock().occupancy_changes.drain().collect();
            if !changes.is_empty() {
                return Some(changes);
            }
        }
    }

    /// Waits until the feed is closed.
    pub(crate) async fn closed(&self) {
        // The sender lives as long as the feed, so that the wait ends only when the value is true.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Ends every subscription, and the tasks of this node.
    pub(crate) fn close(&self) {
        let mut channels = self.channels.lock();
        channels.closed = true;
        channels.open.clear();
        self.closed.send_replace(true);
    }
}

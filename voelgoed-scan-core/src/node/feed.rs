//! Distributes the scans and the occupancy of an event to the subscribers on this node.
//!
//! The feed reads the scans of a watched event from the database, in the order of their recording ([`FeedStore`]). It
//! reads when a scan is recorded here, when the bus tells of one elsewhere, and where other nodes share the database also
//! several times a second, so that a lost message delays a scan a little.
//!
//! Invariants:
//! - A subscriber gets every entry after the position at which it started exactly once and in order, or its
//!   subscription ends.
//! - A publisher never waits for a subscriber. A subscriber that is too far behind is cut off.
//! - An item is shared by all subscribers, and so is each of its renderings.
//! - Occupancy follows the scans, at most once in [`OCCUPANCY_INTERVAL`].
//!
//! [`FeedStore`]: crate::store::FeedStore

mod channel;
mod item;
mod reader;
mod subscription;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};

pub use item::{FeedItem, OccupancyItem, Rendering, ScansItem};
pub use subscription::{Backlog, Subscription};

use crate::bus::{Bus, EventKey};
use crate::model::{EventId, EventOccupancy, OrganizationId, ScanRecord, Timestamp};
use crate::node::webhooks::UnreadFeeds;
use crate::store::{FeedEntry, Store, StoreError};
use channel::Channel;

/// How long occupancy waits for more scans before it is published.
const OCCUPANCY_INTERVAL: Duration = Duration::from_millis(100);

/// How long a new subscription waits until the bus delivers the scans of other nodes.
const BUS_SUBSCRIBE_TIMEOUT: Duration = Duration::from_millis(250);

/// How many pages of past scans are read at a time. The subscribers that need one wait.
const CONCURRENT_CATCH_UPS: usize = 2;

/// A change of an event's occupancy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OccupancyChange {
    pub(crate) at: Timestamp,
    /// Whether a scan of this node caused it. This node then publishes the occupancy to the other nodes.
    pub(crate) is_local: bool,
}

#[derive(Default)]
struct Channels {
    open: HashMap<EventKey, Channel>,
    /// Changes whose occupancy is not published yet.
    occupancy_changes: HashMap<EventKey, OccupancyChange>,
    closed: bool,
}

/// The feed of this node.
pub struct Feed {
    channels: Mutex<Channels>,
    scans_recorded: Notify,
    occupancy_changed: Notify,
    closed: watch::Sender<bool>,
    bus: Option<Arc<dyn Bus>>,
    store: Arc<dyn Store>,
    catch_ups: Semaphore,
    unread_by_webhooks: UnreadFeeds,
}

impl Feed {
    pub(crate) fn new(store: Arc<dyn Store>, bus: Option<Arc<dyn Bus>>) -> Self {
        Self {
            channels: Mutex::default(),
            scans_recorded: Notify::new(),
            occupancy_changed: Notify::new(),
            closed: watch::Sender::new(false),
            bus,
            store,
            catch_ups: Semaphore::new(CONCURRENT_CATCH_UPS),
            unread_by_webhooks: UnreadFeeds::default(),
        }
    }

    /// Subscribes to an event. The subscription delivers every scan that is recorded on any node after this returned.
    /// With `after`, it first delivers the entries after this position; without such a position in the feed it starts at
    /// the end and is not [resumed](Subscription::is_resumed).
    pub async fn subscribe(
        self: &Arc<Self>,
        organization: OrganizationId,
        event: EventId,
        after: Option<i64>,
    ) -> Result<Subscription, StoreError> {
        let subscription = Subscription::start(self, (organization, event), after).await?;
        if let Some(bus) = &self.bus {
            let subscribed = bus.scans_subscribed(organization, event);
            let _ = tokio::time::timeout(BUS_SUBSCRIBE_TIMEOUT, subscribed).await;
        }
        Ok(subscription)
    }

    /// How many subscriptions exist.
    pub(crate) fn subscriptions(&self) -> usize {
        self.channels.lock().open.values().map(Channel::subscribers).sum()
    }

    /// Scans of this node were recorded or changed. Without a bus and a subscriber this does nothing.
    pub(crate) fn scans_recorded<'a>(
        &self,
        records: impl IntoIterator<Item = &'a ScanRecord>,
        at: Timestamp,
    ) {
        let mut last = None;
        for record in records {
            let event = (record.organization_id, record.event_id);
            let at = at.max(record.received_at);
            if last == Some((event, at)) {
                continue;
            }
            last = Some((event, at));
            self.unread_by_webhooks.mark(event);
            let has_subscribers = self.mark_unread(event);
            if has_subscribers || self.bus.is_some() {
                self.occupancy_changed(event, OccupancyChange { at, is_local: true });
            }
        }
    }

    /// The feeds that webhooks have to read.
    pub(crate) fn unread_by_webhooks(&self) -> &UnreadFeeds {
        &self.unread_by_webhooks
    }

    /// Scans of another node were recorded or changed. That node also publishes the occupancy.
    pub(crate) fn scans_recorded_elsewhere(&self, event: EventKey) {
        self.mark_unread(event);
    }

    /// Has the reader read the new scans of an event. Returns whether it has subscribers.
    fn mark_unread(&self, event: EventKey) -> bool {
        let mut channels = self.channels.lock();
        let Some(channel) = channels.open.get_mut(&event) else {
            return false;
        };
        channel.has_unread = true;
        drop(channels);
        self.scans_recorded.notify_one();
        true
    }

    /// Publishes the entries that the reader read.
    fn publish_entries(&self, event: EventKey, entries: Vec<FeedEntry>) {
        let item = FeedItem::Scans(Arc::new(ScansItem::new(entries)));
        self.publish(event, &item);
    }

    /// Publishes the occupancy of an event.
    pub(crate) fn publish_occupancy(&self, event: EventKey, occupancy: EventOccupancy) {
        let position = self.channels.lock().open.get(&event).map(Channel::position);
        if let Some(position) = position {
            let item = FeedItem::Occupancy(Arc::new(OccupancyItem::new(position, occupancy)));
            self.publish(event, &item);
        }
    }

    fn publish(&self, event: EventKey, item: &FeedItem) {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.open.get_mut(&event) {
            channel.publish(item);
        }
    }

    /// Closes the channels without subscribers. Returns the events that have some.
    fn watched_events(&self) -> Vec<EventKey> {
        let mut channels = self.channels.lock();
        channels.open.retain(|event, channel| {
            let is_watched = channel.has_subscribers();
            if !is_watched && let Some(bus) = &self.bus {
                bus.unsubscribe_scans(event.0, event.1);
            }
            is_watched
        });
        channels.open.keys().copied().collect()
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

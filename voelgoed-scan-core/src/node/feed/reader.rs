//! Reads the new scans of watched events from the database and publishes them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{Feed, OccupancyChange};
use crate::bus::EventKey;
use crate::store::FeedEntry;

/// How many entries are read at once. An event with more waits for its next turn.
const PAGE_SIZE: u16 = 200;

/// How many events are read at a time.
const CONCURRENT_READS: usize = 2;

/// The pause between two rounds. Scans gather meanwhile.
const MIN_INTERVAL: Duration = Duration::from_millis(15);

/// The pause where there are many subscribers: waking them costs more than reading.
const MAX_INTERVAL: Duration = Duration::from_millis(120);

/// How much longer the pause is for each subscriber.
const INTERVAL_PER_SUBSCRIBER: Duration = Duration::from_micros(25);

/// The pause after a failed read.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// How often the positions of the watched events are read where other nodes share the database, and how often channels
/// without subscribers are closed.
const POLL_INTERVAL: Duration = Duration::from_millis(150);

impl Feed {
    /// Starts the tasks of the feed. They end when the feed is closed.
    pub(crate) fn start(self: &Arc<Self>) {
        tokio::spawn(Arc::clone(self).read_new_scans());
        tokio::spawn(Arc::clone(self).poll_positions());
    }

    async fn read_new_scans(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.scans_recorded.notified() => {}
                () = self.closed() => return,
            }
            let reads = stream::iter(self.take_unread()).map(|(event, after)| self.read(event, after));
            let all_read = reads
                .buffer_unordered(CONCURRENT_READS)
                .fold(true, async |all, one| all && one)
                .await;
            sleep(if all_read {
                self.read_interval()
            } else {
                RETRY_INTERVAL
            })
            .await;
        }
    }

    /// The pause until the next round of reads.
    fn read_interval(&self) -> Duration {
        let subscribers = u32::try_from(self.subscriptions()).unwrap_or(u32::MAX);
        MAX_INTERVAL.min(MIN_INTERVAL + INTERVAL_PER_SUBSCRIBER.saturating_mul(subscribers))
    }

    /// Reads a page of an event's new entries and publishes it. Returns whether the database answered.
    async fn read(&self, (organization, event): EventKey, after: i64) -> bool {
        let read = self
            .store
            .feed_entries(organization, event, after, PAGE_SIZE)
            .await;
        match read {
            Ok(entries) => {
                let has_more = entries.len() == usize::from(PAGE_SIZE);
                if !entries.is_empty() {
                    self.occupancy_changed_elsewhere((organization, event), &entries);
                    self.publish_entries((organization, event), entries);
                }
                if has_more {
                    self.mark_unread((organization, event));
                }
                true
            }
            Err(error) => {
                tracing::warn!(%error, "scans could not be read for the feed");
                self.mark_unread((organization, event));
                false
            }
        }
    }

    /// While the bus is down, no other node tells the occupancy.
    fn occupancy_changed_elsewhere(&self, event: EventKey, entries: &[FeedEntry]) {
        if let (Some(bus), Some(last)) = (&self.bus, entries.last())
            && !bus.is_up()
        {
            let at = last.record.received_at;
            self.occupancy_changed(event, OccupancyChange { at, is_local: false });
        }
    }

    /// The events that may have new entries, each with the position of the last entry that was published.
    fn take_unread(&self) -> Vec<(EventKey, i64)> {
        let mut channels = self.channels.lock();
        let unread = channels.open.iter_mut().filter(|(_, channel)| channel.has_unread);
        unread
            .map(|(event, channel)| {
                channel.has_unread = false;
                (*event, channel.position())
            })
            .collect()
    }

    async fn poll_positions(self: Arc<Self>) {
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.closed() => return,
            }
            let events = self.watched_events();
            if events.is_empty() || !self.store.is_shared() {
                continue;
            }
            match self.store.feed_positions(&events).await {
                Ok(positions) => {
                    for (event, position) in positions {
                        self.mark_unread_up_to(event, position);
                    }
                }
                Err(error) => tracing::debug!(%error, "the positions of feeds could not be read"),
            }
        }
    }

    /// Has the reader read an event whose feed has reached a position.
    fn mark_unread_up_to(&self, event: EventKey, position: i64) {
        let is_behind = self
            .channels
            .lock()
            .open
            .get(&event)
            .is_some_and(|channel| channel.position() < position);
        if is_behind {
            self.mark_unread(event);
        }
    }
}

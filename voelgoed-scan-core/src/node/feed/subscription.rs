//! A subscription to an event: past entries from the database, in pages, then the items as they are published.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::channel::Channel;
use super::item::{FeedItem, ScansItem};
use super::{Channels, Feed};
use crate::bus::EventKey;
use crate::store::StoreError;

/// How many past entries are read at once. A client that does not read holds one page.
const PAGE_SIZE: u16 = 100;

/// The pause after a failed read of past entries.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// How far a subscriber is behind.
#[derive(Debug, Default)]
pub struct Backlog {
    queued: AtomicUsize,
    is_cut_off: AtomicBool,
}

impl Backlog {
    /// Counts items in the queue. Returns whether they fit.
    pub(super) fn add(&self, weight: usize, limit: usize) -> bool {
        let queued = self.queued.fetch_add(weight, Ordering::Relaxed) + weight;
        // A single large item fits into an empty queue.
        let fits = queued <= limit.max(weight);
        if !fits {
            self.is_cut_off.store(true, Ordering::Relaxed);
        }
        fits
    }

    pub(super) fn remove(&self, weight: usize) {
        self.queued.fetch_sub(weight, Ordering::Relaxed);
    }

    /// Whether the subscriber was too far behind and gets no more items.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.is_cut_off.load(Ordering::Relaxed)
    }
}

/// A subscription to an event.
pub struct Subscription {
    feed: Arc<Feed>,
    event: EventKey,
    items: mpsc::UnboundedReceiver<FeedItem>,
    backlog: Arc<Backlog>,
    /// The position of the last entry that the subscriber has.
    position: i64,
    /// The position up to which entries are read from the database. `items` hold all later ones.
    live_after: i64,
    is_resumed: bool,
}

impl Subscription {
    pub(super) async fn start(
        feed: &Arc<Feed>,
        event: EventKey,
        after: Option<i64>,
    ) -> Result<Self, StoreError> {
        let backlog = Arc::new(Backlog::default());
        let (items, mut live_after) = join(feed, event, &backlog).await?;
        let mut is_resumed = false;
        if let Some(after) = after {
            // The channel may not have read the last entries yet. They are past, too.
            live_after = live_after.max(feed.last_position(event).await?);
            is_resumed = (0..=live_after).contains(&after);
        }
        Ok(Self {
            feed: Arc::clone(feed),
            event,
            items,
            backlog,
            position: after.filter(|_| is_resumed).unwrap_or(live_after),
            live_after,
            is_resumed,
        })
    }

    /// Whether the subscription continues after the position that the subscriber named.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// The position of the last entry that the subscriber has.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Whether past entries are still to be delivered.
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.position < self.live_after
    }

    /// How far the subscriber is behind.
    #[must_use]
    pub fn backlog(&self) -> Arc<Backlog> {
        Arc::clone(&self.backlog)
    }

    /// Waits for the next item. `None` when the feed is closed, and when the subscriber was too far behind. May be
    /// cancelled.
    pub async fn next(&mut self) -> Option<FeedItem> {
        loop {
            while self.is_catching_up() {
                if let Some(scans) = self.next_past_entries().await? {
                    return Some(FeedItem::Scans(scans));
                }
            }
            if self.backlog.is_cut_off() {
                return None;
            }
            let item = self.items.recv().await?;
            self.backlog.remove(item.weight());
            match item {
                FeedItem::Scans(scans) => {
                    if let Some(scans) = scans.after(self.position) {
                        self.position = scans.last_position();
                        return Some(FeedItem::Scans(scans));
                    }
                }
                FeedItem::Occupancy(item) => return Some(FeedItem::Occupancy(item.at_least(self.position))),
            }
        }
    }

    /// Reads the next page of past entries. `Some(None)` if it has none, `None` if the feed is closed.
    async fn next_past_entries(&mut self) -> Option<Option<Arc<ScansItem>>> {
        let feed = Arc::clone(&self.feed);
        loop {
            let read = tokio::select! {
                read = self.read_page() => read,
                () = feed.closed() => return None,
            };
            match read {
                Ok(scans) => return Some(scans),
                Err(error) => tracing::debug!(%error, "past scans could not be read for a stream"),
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY_INTERVAL) => {}
                () = feed.closed() => return None,
            }
        }
    }

    async fn read_page(&mut self) -> Result<Option<Arc<ScansItem>>, StoreError> {
        let _turn = self.feed.catch_ups.acquire().await;
        if self.backlog.is_cut_off() {
            // The queue overflowed while past entries were delivered. A new one starts at a later position.
            let backlog = Arc::new(Backlog::default());
            (self.items, self.live_after) = join(&self.feed, self.event, &backlog).await?;
            self.backlog = backlog;
        }
        let (organization, event) = self.event;
        let entries = self
            .feed
            .store
            .feed_entries(organization, event, self.position, PAGE_SIZE)
            .await?;
        let is_last = entries.len() < usize::from(PAGE_SIZE);
        let scans = ScansItem::new(entries);
        self.position = self.position.max(scans.last_position());
        if is_last {
            // What the queue starts after was committed before it was opened, so that the read saw it.
            self.position = self.position.max(self.live_after);
        }
        Ok((!scans.entries().is_empty()).then(|| Arc::new(scans)))
    }
}

/// Opens a queue for the items of an event. Returns it with the position after which its items start.
async fn join(
    feed: &Feed,
    event: EventKey,
    backlog: &Arc<Backlog>,
) -> Result<(mpsc::UnboundedReceiver<FeedItem>, i64), StoreError> {
    if let Some(joined) = feed.join(event, backlog) {
        return Ok(joined);
    }
    let position = feed.last_position(event).await?;
    Ok(feed.open(event, position, backlog))
}

impl Feed {
    /// Joins the channel of an event, if it is open.
    fn join(
        &self,
        event: EventKey,
        backlog: &Arc<Backlog>,
    ) -> Option<(mpsc::UnboundedReceiver<FeedItem>, i64)> {
        let mut channels = self.channels.lock();
        let channel = channels.open.get_mut(&event)?;
        Some((channel.subscribe(Arc::clone(backlog)), channel.position()))
    }

    /// Joins the channel of an event. Opens it at a position that the database had, if it is not open.
    fn open(
        &self,
        event: EventKey,
        position: i64,
        backlog: &Arc<Backlog>,
    ) -> (mpsc::UnboundedReceiver<FeedItem>, i64) {
        let mut channels = self.channels.lock();
        let Channels { open, closed, .. } = &mut *channels;
        if *closed {
            // A receiver without a sender ends at once.
            return (mpsc::unbounded_channel().1, position);
        }
        let channel = open.entry(event).or_insert_with(|| {
            if let Some(bus) = &self.bus {
                bus.subscribe_scans(event.0, event.1);
            }
            Channel::new(position)
        });
        let joined = (channel.subscribe(Arc::clone(backlog)), channel.position());
        drop(channels);
        self.scans_recorded.notify_one();
        joined
    }

    /// The position of the last entry of an event in the database.
    async fn last_position(&self, event: EventKey) -> Result<i64, StoreError> {
        let positions = self.store.feed_positions(&[event]).await?;
        Ok(positions.first().map_or(0, |(_, last)| *last))
    }
}

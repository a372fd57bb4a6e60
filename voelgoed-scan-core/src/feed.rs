//! Who is watching? Scans and occupancy of an event, to everybody who listens on this node.
//!
//! Invariants: nothing waits for a listener, who is told ([`FeedItem::Lagged`]) where it was too slow; scans come as
//! they are recorded, occupancy at most once in [`PACE`], after them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};

use crate::{EventId, EventOccupancy, OrganizationId, ScanRecord, Timestamp};

/// How long occupancy waits for more scans before it is told.
const PACE: Duration = Duration::from_millis(100);

/// How many items a listener may be behind.
const BACKLOG: usize = 1024;

/// What listeners are told.
#[derive(Debug, Clone, PartialEq)]
pub enum FeedItem {
    /// A scan was recorded, or undone.
    Scan(Box<ScanRecord>),
    /// How many are inside now.
    Occupancy(Box<EventOccupancy>),
    /// The listener was too slow, and missed this many items.
    Lagged(u64),
}

type Place = (OrganizationId, EventId);

#[derive(Default)]
struct Channels {
    open: HashMap<Place, Channel>,
    closed: bool,
}

struct Channel {
    sender: broadcast::Sender<Arc<FeedItem>>,
    /// Since when occupancy has changed and was not told.
    changed_at: Option<Timestamp>,
}

/// The feed of this node.
pub struct Feed {
    channels: Mutex<Channels>,
    changed: Notify,
}

/// A listener.
pub struct Subscription(broadcast::Receiver<Arc<FeedItem>>);

impl Subscription {
    /// The next item; `None` once the feed is closed.
    pub async fn next(&mut self) -> Option<Arc<FeedItem>> {
        match self.0.recv().await {
            Ok(item) => Some(item),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Arc::new(FeedItem::Lagged(missed))),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            channels: Mutex::new(Channels::default()),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to an event from now on.
    #[must_use]
    pub fn subscribe(&self, organization: OrganizationId, event: EventId) -> Subscription {
        let mut channels = self.lock();
        if channels.closed {
            // A receiver without a sender: it ends at once.
            return Subscription(broadcast::channel(1).1);
        }
        let channel = channels
            .open
            .entry((organization, event))
            .or_insert_with(|| Channel {
                sender: broadcast::channel(BACKLOG).0,
                changed_at: None,
            });
        Subscription(channel.sender.subscribe())
    }

    /// Tells a scan; free where nobody listens.
    pub(crate) fn tell_scan(&self, record: &ScanRecord) {
        let place = (record.organization_id, record.event_id);
        let mut channels = self.lock();
        let Some(channel) = channels.open.get_mut(&place) else {
            return;
        };
        if channel
            .sender
            .send(Arc::new(FeedItem::Scan(Box::new(record.clone()))))
            .is_err()
        {
            channels.open.remove(&place);
            return;
        }
        channel.changed_at = Some(record.received_at);
        self.changed.notify_one();
    }

    /// Events whose occupancy changed since they were last told; waits until there is one. `None` once the feed is
    /// closed.
    pub(crate) async fn changed(&self) -> Option<Vec<(Place, Timestamp)>> {
        loop {
            self.changed.notified().await;
            tokio::time::sleep(PACE).await;
            let mut channels = self.lock();
            if channels.closed {
                return None;
            }
            let places: Vec<_> = channels
                .open
                .iter_mut()
                .filter_map(|(place, channel)| channel.changed_at.take().map(|at| (*place, at)))
                .collect();
            if !places.is_empty() {
                return Some(places);
            }
        }
    }

    /// Tells occupancy.
    pub(crate) fn tell_occupancy(&self, place: Place, occupancy: EventOccupancy) {
        if let Some(channel) = self.lock().open.get(&place) {
            // No listener left: the next scan clears the channel away.
            let _ = channel
                .sender
                .send(Arc::new(FeedItem::Occupancy(Box::new(occupancy))));
        }
    }

    /// Ends every subscription.
    pub(crate) fn close(&self) {
        let mut channels = self.lock();
        channels.closed = true;
        channels.open.clear();
        self.changed.notify_one();
    }
}

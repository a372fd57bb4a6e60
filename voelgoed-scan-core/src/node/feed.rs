//! Who is watching? Scans and occupancy of an event, to everybody who listens on this node.
//!
//! Invariants: nothing waits for a listener, who is told ([`FeedItem::Lagged`]) where it was too slow; scans come as
//! they are recorded, occupancy at most once in [`PACE`], after them. What happens after [`Feed::subscribe`] returned
//! is told, on whichever node it happens, as long as the bus is up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};

use crate::bus::{Bus, Place};
use crate::model::{EventId, EventOccupancy, OrganizationId, ScanRecord, Timestamp};

/// How long occupancy waits for more scans before it is told.
const PACE: Duration = Duration::from_millis(100);

/// How long a new listener waits for the bus to bring what other nodes tell.
const HEARING: Duration = Duration::from_millis(250);

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

/// People moved at an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    /// When.
    pub(crate) at: Timestamp,
    /// Whether by a scan that this node decided: then it tells the others.
    pub(crate) here: bool,
}

#[derive(Default)]
struct Channels {
    open: HashMap<Place, broadcast::Sender<Arc<FeedItem>>>,
    moved: HashMap<Place, Moved>,
    closed: bool,
}

/// The feed of this node.
pub struct Feed {
    channels: Mutex<Channels>,
    moved: Notify,
    closed: watch::Sender<bool>,
    bus: Option<Arc<dyn Bus>>,
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

fn place_of(record: &ScanRecord) -> Place {
    (record.organization_id, record.event_id)
}

fn scan_item(record: &ScanRecord) -> FeedItem {
    FeedItem::Scan(Box::new(record.clone()))
}

impl Feed {
    pub(crate) fn new(bus: Option<Arc<dyn Bus>>) -> Self {
        Self {
            channels: Mutex::default(),
            moved: Notify::new(),
            closed: watch::Sender::new(false),
            bus,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to an event from now on; a bus that is down is not waited for.
    pub async fn subscribe(&self, organization: OrganizationId, event: EventId) -> Subscription {
        let subscription = self.enlist(organization, event);
        if let Some(bus) = &self.bus {
            // Past it, what other nodes tell comes when the bus does.
            let _ = tokio::time::timeout(HEARING, bus.hears_scans(organization, event)).await;
        }
        subscription
    }

    fn enlist(&self, organization: OrganizationId, event: EventId) -> Subscription {
        let mut channels = self.lock();
        if channels.closed {
            // A receiver without a sender: it ends at once.
            return Subscription(broadcast::channel(1).1);
        }
        let channel = channels.open.entry((organization, event)).or_insert_with(|| {
            if let Some(bus) = &self.bus {
                bus.want_scans(organization, event, true);
            }
            broadcast::channel(BACKLOG).0
        });
        Subscription(channel.subscribe())
    }

    pub(crate) fn has_listeners(&self, organization: OrganizationId, event: EventId) -> bool {
        self.lock().open.contains_key(&(organization, event))
    }

    /// How many listen.
    pub(crate) fn listeners(&self) -> usize {
        self.lock()
            .open
            .values()
            .map(broadcast::Sender::receiver_count)
            .sum()
    }

    /// Tells a scan that this node decided.
    pub(crate) fn tell_scan(&self, record: &ScanRecord) {
        self.tell_scans(&[record]);
    }

    /// Tells scans that this node decided.
    pub(crate) fn tell_scans(&self, records: &[&ScanRecord]) {
        for records in records.chunk_by(|one, next| place_of(one) == place_of(next)) {
            let [first, ..] = records else { continue };
            let place = place_of(first);
            let at = records
                .iter()
                .fold(first.received_at, |at, record| at.max(record.received_at));
            let listened = self.send(place, records.iter().map(|record| scan_item(record)));
            if listened || self.bus.is_some() {
                self.mark_moved(place, Moved { at, here: true });
            }
        }
    }

    /// Tells a scan that another node decided; that node tells occupancy too.
    pub(crate) fn tell_scan_of_another_node(&self, record: &ScanRecord) {
        self.send(place_of(record), [record].into_iter().map(scan_item));
    }

    /// Tells occupancy.
    pub(crate) fn tell_occupancy(&self, place: Place, occupancy: EventOccupancy) {
        self.send(place, [FeedItem::Occupancy(Box::new(occupancy))]);
    }

    /// Sends where somebody listens; whether somebody does. Items are made only then.
    fn send(&self, place: Place, items: impl IntoIterator<Item = FeedItem>) -> bool {
        let mut channels = self.lock();
        let Some(channel) = channels.open.get(&place) else {
            return false;
        };
        if channel.receiver_count() == 0 {
            channels.open.remove(&place);
            if let Some(bus) = &self.bus {
                bus.want_scans(place.0, place.1, false);
            }
            return false;
        }
        items.into_iter().all(|item| channel.send(Arc::new(item)).is_ok())
    }

    /// Notes that people moved at an event.
    pub(crate) fn mark_moved(&self, place: Place, moved: Moved) {
        let mut channels = self.lock();
        let held = channels.moved.entry(place).or_insert(moved);
        held.at = held.at.max(moved.at);
        held.here |= moved.here;
        drop(channels);
        self.moved.notify_one();
    }

    /// Events where people moved since they were last told of; waits until there is one. `None` once the feed is
    /// closed.
    pub(crate) async fn moved(&self) -> Option<Vec<(Place, Moved)>> {
        loop {
            tokio::select! {
                () = self.moved.notified() => {}
                () = self.closed() => return None,
            }
            tokio::time::sleep(PACE).await;
            let moved: Vec<_> = self.lock().moved.drain().collect();
            if !moved.is_empty() {
                return Some(moved);
            }
        }
    }

    /// Waits until the feed is closed.
    pub(crate) async fn closed(&self) {
        // The sender lives as long as the feed: the wait ends only by the value.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Ends every subscription and the tasks of this node.
    pub(crate) fn close(&self) {
        let mut channels = self.lock();
        channels.closed = true;
        channels.open.clear();
        self.closed.send_replace(true);
    }
}

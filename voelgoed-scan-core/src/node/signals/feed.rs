//! Distributes signals that open and end to the subscribers on this node.
//!
//! One reader polls the positions of the organizations that have subscribers. So a stream learns of a signal whichever node
//! found it, and a lost message loses none.
//!
//! Invariant: a subscriber gets every change after its start exactly once. A subscriber that resumes from a time first gets the
//! signals of its event that changed since, each as it is now; it may know some of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, broadcast};
use tokio::time::timeout;

use crate::model::{EventId, OrganizationId, Signal, Timestamp};
use crate::node::Feed;
use crate::store::{SignalChange, Store, StoreError};

/// How often the positions are read.
const POLL_INTERVAL: Duration = Duration::from_millis(400);

/// How many changes are read at once, and how many signals a subscriber that resumes gets.
const PAGE_SIZE: u16 = 200;

/// How many changes a subscriber may be behind before it reads them from the database.
const MAX_QUEUED: usize = 256;

/// The subscribers of one organization.
struct Channel {
    /// The position of the last change that was published.
    position: i64,
    changes: broadcast::Sender<Arc<SignalChange>>,
}

/// The signals of this node's subscribers.
pub struct SignalFeed {
    channels: Mutex<HashMap<OrganizationId, Channel>>,
    changed: Notify,
    store: Arc<dyn Store>,
    /// The reader ends when it is closed.
    feed: Arc<Feed>,
}

impl SignalFeed {
    pub(crate) fn new(store: Arc<dyn Store>, feed: Arc<Feed>) -> Self {
        Self {
            channels: Mutex::default(),
            changed: Notify::new(),
            store,
            feed,
        }
    }

    /// Starts the reader. It ends when the feed is closed.
    pub(crate) fn start(self: &Arc<Self>) {
        let signals = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = timeout(POLL_INTERVAL, signals.changed.notified()) => {}
                    () = signals.feed.closed() => return,
                }
                if let Err(error) = signals.publish_new().await {
                    tracing::debug!(%error, "signals could not be read for streams");
                }
            }
        });
    }

    /// This node changed signals.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Subscribes to the signals of an event. With `since`, the subscription first delivers those that changed at or after
    /// this time.
    pub async fn subscribe(
        &self,
        organization: OrganizationId,
        event: EventId,
        since: Option<Timestamp>,
    ) -> Result<SignalSubscription, StoreError> {
        let last = self.store.signal_position(organization).await?;
        let (position, changes) = self.join(organization, last);
        let mut subscription = SignalSubscription {
            organization,
            event,
            position,
            missed: VecDeque::new(),
            is_behind: false,
            changes,
            store: Arc::clone(&self.store),
        };
        if let Some(since) = since {
            let read = self
                .store
                .signals_changed_since(organization, event, since, PAGE_SIZE);
            for change in read.await? {
                subscription.position = subscription.position.max(change.position);
                subscription.missed.push_back(change.signal);
            }
        }
        Ok(subscription)
    }

    /// Joins the channel of an organization. Opens it at a position that the database had, if it is not open.
    fn join(&self, organization: OrganizationId, last: i64) -> (i64, broadcast::Receiver<Arc<SignalChange>>) {
        let mut channels = self.channels.lock();
        let channel = channels.entry(organization).or_insert_with(|| Channel {
            position: last,
            changes: broadcast::Sender::new(MAX_QUEUED),
        });
        (last.max(channel.position), channel.changes.subscribe())
    }

    /// Closes the channels without subscribers. Returns the positions of the others.
    fn open_channels(&self) -> Vec<(OrganizationId, i64)> {
        let mut channels = self.channels.lock();
        channels.retain(|_, channel| channel.changes.receiver_count() > 0);
        channels
            .iter()
            .map(|(organization, channel)| (*organization, channel.position))
            .collect()
    }

    async fn publish_new(&self) -> Result<(), StoreError> {
        let open = self.open_channels();
        if open.is_empty() {
            return Ok(());
        }
        let last: HashMap<_, _> = self.store.signal_positions().await?.into_iter().collect();
        for (organization, mut position) in open {
            while last.get(&organization).is_some_and(|last| *last > position) {
                let changes = self
                    .store
                    .signal_changes(organization, position, PAGE_SIZE)
                    .await?;
                let Some(read_to) = changes.last().map(|change| change.position) else {
                    break;
                };
                position = read_to;
                let mut channels = self.channels.lock();
                let Some(channel) = channels.get_mut(&organization) else {
                    break;
                };
                channel.position = read_to;
                for change in changes {
                    // Without a subscriber left, nobody misses it.
                    let _ = channel.changes.send(Arc::new(change));
                }
            }
        }
        Ok(())
    }
}

/// A subscription to the signals of an event.
pub struct SignalSubscription {
    organization: OrganizationId,
    event: EventId,
    /// The position of the last change that was delivered or passed over.
    position: i64,
    missed: VecDeque<Signal>,
    /// Whether changes left the queue before they were delivered.
    is_behind: bool,
    changes: broadcast::Receiver<Arc<SignalChange>>,
    store: Arc<dyn Store>,
}

impl SignalSubscription {
    /// The next signal of the event that opened or ended. `None` when the node ends. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Signal> {
        loop {
            if let Some(signal) = self.missed.pop_front() {
                return Some(signal);
            }
            if self.is_behind {
                self.catch_up().await;
                continue;
            }
            match self.changes.recv().await {
                Ok(change) => self.take(&change),
                Err(RecvError::Lagged(_)) => self.is_behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn take(&mut self, change: &SignalChange) {
        if change.position > self.position {
            self.position = change.position;
            if change.signal.event_id == Some(self.event) {
                self.missed.push_back(change.signal.clone());
            }
        }
    }

    /// Reads what left the queue.
    async fn catch_up(&mut self) {
        let read = self
            .store
            .signal_changes(self.organization, self.position, PAGE_SIZE);
        match read.await {
            Ok(changes) => {
                self.is_behind = changes.len() == usize::from(PAGE_SIZE);
                for change in &changes {
                    self.take(change);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "signals could not be read for a stream");
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }
}

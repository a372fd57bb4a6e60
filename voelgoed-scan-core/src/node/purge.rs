//! Deletes the rows of deleted events in the background.
//!
//! A denial that a cache answered just before an event was deleted may be recorded after it, on any node. So an event is
//! purged a second time after a while, and only then it counts as purged. A crash in between begins anew.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use crate::bus::EventKey;
use crate::node::Feed;
use crate::node::background::OneNodeTask;
use crate::node::write_queue::{BulkKind, WriteQueue};
use crate::store::{PurgeProgress, Store, StoreError};

/// How often deleted events are looked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long after the first purge the second one begins.
const SETTLED_AFTER: Duration = Duration::from_mins(1);

/// The task.
pub(crate) struct Purge {
    store: Arc<dyn Store>,
    write_queue: WriteQueue,
    /// When this node purged an event for the first time.
    purged_at: Mutex<HashMap<EventKey, Instant>>,
}

impl Purge {
    /// Starts the task. `wake` starts a turn before its time.
    pub(crate) fn start(store: Arc<dyn Store>, write_queue: WriteQueue, feed: Arc<Feed>, wake: Arc<Notify>) {
        let purge = Arc::new(Self {
            store: Arc::clone(&store),
            write_queue,
            purged_at: Mutex::default(),
        });
        let mut node = [0; 16];
        crate::model::random::fill(&mut node);
        let task = OneNodeTask {
            name: "purge",
            interval: INTERVAL,
            wake,
            node: Uuid::from_bytes(node),
            store,
            feed,
        };
        task.start(move || Arc::clone(&purge).run());
    }

    async fn run(self: Arc<Self>) -> Result<(), StoreError> {
        for event in self.store.events_to_purge().await? {
            let first = self.purged_at.lock().get(&event).copied();
            match first {
                None => {
                    self.purge(event).await?;
                    self.purged_at.lock().insert(event, Instant::now());
                }
                Some(first) if first.elapsed() >= SETTLED_AFTER => {
                    self.purge(event).await?;
                    self.store.mark_purged(event.0, event.1).await?;
                    self.purged_at.lock().remove(&event);
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    async fn purge(&self, (organization, event): EventKey) -> Result<(), StoreError> {
        let bulk_writes = self.write_queue.bulk_writes();
        let mut after = None;
        loop {
            let permit = bulk_writes.start_chunk(organization, BulkKind::Background).await;
            let limit = permit.max_items();
            match self.store.purge_chunk(organization, event, after, limit).await? {
                PurgeProgress::More(rows) => permit.complete(usize::try_from(rows).unwrap_or(limit)),
                PurgeProgress::ScansUpTo(last, _) => {
                    after = Some(last);
                    permit.complete(limit);
                }
                PurgeProgress::Done => return Ok(()),
            }
        }
    }
}

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
use crate::model::{EventId, OrganizationId};
use crate::node::Feed;
use crate::node::background::OneNodeTask;
use crate::node::write_queue::{BulkKind, WriteQueue};
use crate::store::{PurgeProgress, Store, StoreError};

/// How often deleted events are looked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long after the first purge the second one begins.
const SETTLED_AFTER: Duration = Duration::from_mins(1);

/// Comes before every event.
const FIRST: EventKey = (
    OrganizationId::from_uuid(Uuid::nil()),
    EventId::from_uuid(Uuid::nil()),
);

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

    /// Purges what is due. An event that cannot be purged does not keep the others waiting.
    async fn run(self: Arc<Self>) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        let mut after = FIRST;
        loop {
            let events = self.store.events_to_purge(after).await?;
            let Some(last) = events.last() else { return outcome };
            after = *last;
            for event in events {
                outcome = outcome.and(self.purge_if_due(event).await);
            }
        }
    }

    async fn purge_if_due(&self, event: EventKey) -> Result<(), StoreError> {
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

#[cfg(feature = "sqlite")]
#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Executor as _, SqliteConnection};
    use tokio::task::yield_now;

    use super::*;
    use crate::node::Setup;
    use crate::token::MasterSecret;

    /// More deleted events than are read at once, each with a row that is left. Only the row of the last one can be deleted.
    const EVENTS: u128 = 40;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_event_that_cannot_be_purged_does_not_keep_the_others_waiting() {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("gate.db").display());
        let setup = Setup {
            store: crate::store::open(&url, true).await.expect("a database"),
            master: MasterSecret::from_bytes(&[7; 32]).expect("a master secret"),
            phoenix: None,
            window: Duration::from_mins(5),
            #[cfg(feature = "redis")]
            redis: None,
        };
        let (scanner, _admin) = setup.open().await.expect("a node");
        let mut database = SqliteConnection::connect(&url).await.expect("the file opens");
        let id = |number| format!("x'{}'", Uuid::from_u128(number).simple());
        let (organization, last) = (id(1), id(EVENTS));
        let trigger = format!(
            "create trigger stays before delete on feed_cursors when old.event_id <> {last}
            begin select raise(abort, 'it stays'); end;"
        );
        let rows = (1..=EVENTS).map(id).map(|event| {
            format!(
                "insert into feed_cursors values ({organization}, 'signals', {event}, 1);
                insert into deleted_events (organization_id, event_id, deleted_at) values ({organization}, {event}, 1);"
            )
        });
        let sql: String = std::iter::once(trigger).chain(rows).collect();
        database
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)))
            .await
            .expect("they are inserted");
        let mut left = None;
        while left != Some(EVENTS - 1) {
            yield_now().await;
            let rows: i64 =
                sqlx::query_scalar("select count(*) from feed_cursors where consumer = 'signals'")
                    .fetch_one(&mut database)
                    .await
                    .expect("they are counted");
            left = u128::try_from(rows).ok();
        }
        scanner.shutdown().await;
    }
}

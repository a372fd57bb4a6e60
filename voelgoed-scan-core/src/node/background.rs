//! Runs tasks in the background, each on one node at a time.
//!
//! A lease in the database says which node runs a task. It spares work and decides nothing: what a task writes is safe when
//! two nodes run it at once (`BackgroundStore`).

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use crate::node::Feed;
use crate::node::write_queue::panic_message;
use crate::store::{Store, StoreError};

/// How long a lease holds. Another node takes the task over after that, if its node dies.
const LEASE_DURATION: Duration = Duration::from_secs(3);

/// How often a lease is renewed during a long run.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(1);

/// A task that one node runs.
pub(crate) struct OneNodeTask {
    /// The name of its lease.
    pub(crate) name: &'static str,
    /// The pause between two runs. It is at most the time after which another node may take over.
    pub(crate) interval: Duration,
    /// Starts a run before its time.
    pub(crate) wake: Arc<Notify>,
    /// This node, by an id of this start.
    pub(crate) node: Uuid,
    pub(crate) store: Arc<dyn Store>,
    /// The task ends when it is closed.
    pub(crate) feed: Arc<Feed>,
}

impl OneNodeTask {
    /// Starts the task. `run` does what there is to do; after an error or a panic it is called again at the next turn.
    pub(crate) fn start<R>(self, mut run: impl FnMut() -> R + Send + 'static)
    where
        R: Future<Output = Result<(), StoreError>> + Send,
    {
        tokio::spawn(async move {
            loop {
                let wait = timeout(self.interval, self.wake.notified());
                tokio::select! {
                    _ = wait => {}
                    () = self.feed.closed() => break,
                }
                if !self.hold_lease().await {
                    continue;
                }
                let ended = tokio::select! {
                    () = self.run_once(&mut run) => false,
                    () = self.feed.closed() => true,
                };
                if ended {
                    break;
                }
            }
            if let Err(error) = self.store.release_lease(self.name, self.node).await {
                tracing::debug!(%error, task = self.name, "a lease could not be given up");
            }
        });
    }

    async fn run_once<R>(&self, run: &mut impl FnMut() -> R)
    where
        R: Future<Output = Result<(), StoreError>>,
    {
        let turn = AssertUnwindSafe(async { self.renew_during(run()).await });
        match turn.catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, task = self.name, "a task in the background failed"),
            Err(panic) => {
                let panic = panic_message(&*panic);
                tracing::error!(panic, task = self.name, "a task in the background panicked");
            }
        }
    }

    /// Whether this node has the lease now. While the database is out of reach, no node has it.
    async fn hold_lease(&self) -> bool {
        let held = self.store.hold_lease(self.name, self.node, LEASE_DURATION).await;
        held.unwrap_or_else(|error| {
            tracing::debug!(%error, task = self.name, "a lease could not be taken");
            false
        })
    }

    async fn renew_during<T>(&self, run: impl Future<Output = T>) -> T {
        let mut renewals = interval(RENEWAL_INTERVAL);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        renewals.tick().await;
        let renew = async {
            loop {
                renewals.tick().await;
                self.hold_lease().await;
            }
        };
        // The run goes on while a renewal waits for the database: it may hold locks.
        tokio::select! {
            result = run => result,
            never = renew => never,
        }
    }
}

#[cfg(feature = "sqlite")]
#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_runs_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("gate.db").display());
        let store = crate::store::open(&url, true).await.expect("a database");
        let feed = Arc::new(Feed::new(Arc::clone(&store), None));
        let task = OneNodeTask {
            name: "a test",
            interval: Duration::from_millis(1),
            wake: Arc::default(),
            node: Uuid::from_u128(1),
            store,
            feed: Arc::clone(&feed),
        };
        let runs = Arc::new(AtomicUsize::new(0));
        let (counter, again) = (Arc::clone(&runs), Arc::new(Notify::new()));
        let ran_again = Arc::clone(&again);
        task.start(move || {
            let run = counter.fetch_add(1, Ordering::SeqCst);
            assert!(run > 0, "the first run panics before it returns a future");
            let again = Arc::clone(&again);
            async move {
                assert!(run > 1, "the second run panics in its future");
                again.notify_one();
                Ok(())
            }
        });
        ran_again.notified().await;
        assert!(runs.load(Ordering::SeqCst) >= 3);
        feed.close();
    }
}

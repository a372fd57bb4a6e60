//! Changes run to their end, even if their client disconnects.
//!
//! A handler that changes something commits first and then tells the caches of all nodes. hyper drops a handler whose client
//! has gone. If that happened between both steps, a revoked token would stay valid in the caches.
//!
//! Invariants: a change that began is polled until it ends: by the connection, or by a task of its own once the connection
//! has dropped it; a stop of the server waits for these tasks.
//!
//! Reads that are given up run to their end in the same way: a statement under way keeps its connection, so the shares that
//! limit its caller must not be free before.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The changes that go on without the connection that requested them.
pub(crate) struct Changes {
    tasks: TaskTracker,
    runtime: Handle,
}

impl Changes {
    /// Must be called within the runtime that runs the tasks.
    pub(crate) fn new() -> Self {
        Self {
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
        }
    }

    /// A future with the output of `change`. If it is dropped before its end, `change` goes on in a task of its own, and
    /// `name` and the request id name it in the log.
    pub(crate) fn complete<T: Send + 'static>(
        &self,
        name: &'static str,
        request_id: &str,
        change: impl Future<Output = T> + Send + 'static,
    ) -> Completing<T> {
        Completing {
            change: Some(Box::pin(change)),
            name,
            request_id: request_id.to_owned(),
            tasks: self.tasks.clone(),
            runtime: self.runtime.clone(),
        }
    }

    /// Waits until no change goes on by itself. Changes that are dropped afterwards are not waited for.
    pub(crate) async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// A change that runs to its end even if this future is dropped.
pub(crate) struct Completing<T: Send + 'static> {
    /// Absent at the end, and after a panic, because a future that panicked must not be polled again.
    change: Option<Boxed<T>>,
    name: &'static str,
    request_id: String,
    tasks: TaskTracker,
    runtime: Handle,
}

impl<T: Send + 'static> Future for Completing<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(mut change) = self.change.take() else {
            return Poll::Pending;
        };
        let polled = change.as_mut().poll(context);
        if polled.is_pending() {
            self.change = Some(change);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Completing<T> {
    fn drop(&mut self) {
        let Some(change) = self.change.take() else {
            return;
        };
        let (name, request_id) = (self.name, std::mem::take(&mut self.request_id));
        let task = async move {
            drop(change.await);
            tracing::info!(operation = name, request_id, "completed without its client");
        };
        drop(self.tasks.spawn_on(task, &self.runtime));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_change_that_is_dropped_after_its_first_step_runs_to_its_end() {
        let changes = Changes::new();
        let told = Arc::new(AtomicBool::new(false));
        let (commit, committed) = oneshot::channel::<()>();
        let mut change = changes.complete("test", "r", {
            let told = Arc::clone(&told);
            async move {
                let _ = committed.await;
                told.store(true, Ordering::SeqCst);
            }
        });
        assert!((&mut change).now_or_never().is_none());
        drop(change);
        commit.send(()).expect("the change still waits");
        changes.finished().await;
        assert!(told.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_stop_waits_for_the_changes_that_go_on_by_themselves() {
        let changes = Changes::new();
        let (commit, committed) = oneshot::channel::<()>();
        drop(changes.complete("test", "r", async move { drop(committed.await) }));
        assert!(changes.finished().now_or_never().is_none());
        commit.send(()).expect("the change still waits");
        changes.finished().await;
    }

    #[tokio::test]
    async fn a_change_that_ends_or_panics_before_the_drop_leaves_no_task() {
        let changes = Changes::new();
        assert_eq!(changes.complete("test", "r", async { 7 }).await, 7);
        let panicking = changes.complete("test", "r", async { panic!("a defect") });
        let outcome = std::panic::AssertUnwindSafe(panicking).catch_unwind().await;
        assert!(outcome.is_err());
        assert!(changes.tasks.is_empty());
    }
}

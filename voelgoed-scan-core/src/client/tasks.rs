//! Runs work to its end, even if the call that it belongs to is dropped.
//!
//! The caller itself runs the work as long as it waits, because an app's transport may be called only while the app awaits
//! a call. When the caller is gone, a task runs the rest.
//!
//! Invariant: the work ends with the client. When the app drops the client, the rest of the work stops, as it would in a
//! crash, and the next start continues from the phone's database.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// The tasks of one client.
#[derive(Default)]
pub(super) struct Tasks(Mutex<JoinSet<()>>);

impl Tasks {
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static, runtime: &Handle) {
        let mut tasks = self.0.lock();
        // A set keeps its finished tasks until somebody takes them.
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(work, runtime);
    }

    /// Returns a future that does the work, and leaves the rest of it to a task when it is dropped. Must be called in a
    /// tokio runtime.
    pub(super) fn keep_running<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> KeptRunning<T> {
        KeptRunning {
            work: Some(work.boxed()),
            tasks: Arc::clone(self),
            // The future may be dropped outside of the runtime.
            runtime: Handle::current(),
        }
    }
}

/// Work that a task continues when this is dropped.
pub(super) struct KeptRunning<T: Send + 'static> {
    work: Option<BoxFuture<'static, T>>,
    tasks: Arc<Tasks>,
    runtime: Handle,
}

impl<T: Send + 'static> Future for KeptRunning<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // A future is not polled after its end.
        let Some(work) = &mut self.work else {
            return Poll::Pending;
        };
        let result = std::task::ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(result)
    }
}

impl<T: Send + 'static> Drop for KeptRunning<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            let rest = work.map(drop);
            self.tasks.spawn(rest, &self.runtime);
        }
    }
}

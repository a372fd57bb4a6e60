//! Cuts off a client that does not read its answer.
//!
//! hyper asks for more of an answer only when the client has read what it has. So an answer cannot end itself while its
//! client does not read. A [`CutHandle`] ends the task that serves the answer: the connection on HTTP/1.1, the stream on
//! HTTP/2. The client sees that the answer is incomplete.

use hyper::rt::Executor;
use tokio_util::sync::CancellationToken;

tokio::task_local! {
    static HANDLE: CutHandle;
}

/// Ends the task that serves an answer.
#[derive(Debug, Clone)]
pub(crate) struct CutHandle(CancellationToken);

impl CutHandle {
    /// The handle of the running task. `None` outside of [`cuttable`].
    pub(crate) fn current() -> Option<Self> {
        HANDLE.try_with(Clone::clone).ok()
    }

    /// Ends the task.
    pub(crate) fn cut(&self) {
        self.0.cancel();
    }
}

/// Runs a task until it ends or is cut off.
pub(crate) async fn cuttable(task: impl Future) {
    let handle = CutHandle(CancellationToken::new());
    let cut = handle.0.clone();
    tokio::select! {
        _ = HANDLE.scope(handle, task) => {}
        () = cut.cancelled() => {}
    }
}

/// Runs each HTTP/2 stream as a task that can be cut off.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CuttableExecutor;

impl<F> Executor<F> for CuttableExecutor
where
    F: Future + Send + 'static,
{
    fn execute(&self, stream: F) {
        tokio::spawn(cuttable(stream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_ends_when_its_handle_cuts_it_and_only_then() {
        let (send, receive) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(cuttable(async {
            let handle = CutHandle::current().expect("the task can be cut off");
            send.send(handle).expect("the test waits");
            std::future::pending::<()>().await;
        }));
        let handle = receive.await.expect("a handle");
        assert!(!task.is_finished());
        handle.cut();
        task.await.expect("it ends without a panic");
        assert!(CutHandle::current().is_none());
    }
}

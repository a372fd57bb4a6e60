//! Runs the work that follows a write, and answers the callers, while the next write runs.
//!
//! Invariants: post-commit work starts in the order of the writes; callers are answered after the work of their batch,
//! even if that work panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot};

use super::Outcome;
use crate::model::Recorded;
use crate::rules::NewScan;

/// Asynchronous post-commit work that the answers of a batch wait for. Its implementor limits its duration.
pub(crate) type PostCommitTask = Option<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// The work that follows a durable batch and precedes its answers.
pub(crate) trait PostCommit: Send + Sync + 'static {
    /// State from before the batch read the database.
    type Context: Send;

    /// Called before the database is asked.
    fn before_write(&self) -> Self::Context;

    /// Called with what a batch recorded, batch by batch. The answers wait for the returned task; the next write does not.
    fn after_write<'a>(
        &self,
        context: Self::Context,
        denials: Vec<NewScan>,
        recorded: impl Iterator<Item = &'a Recorded>,
    ) -> PostCommitTask;
}

/// A written batch whose callers are not answered yet.
pub(super) struct CompletedBatch<C> {
    pub(super) context: C,
    /// The denials that were written.
    pub(super) denials: Vec<NewScan>,
    /// The outcomes of the scans.
    pub(super) outcomes: Vec<Outcome>,
    /// The reply channels of the scans, in the same order.
    pub(super) replies: Vec<oneshot::Sender<Outcome>>,
}

/// Does the post-commit work of each batch in their order, then answers its callers.
pub(super) async fn run_post_commit<P: PostCommit>(
    post_commit: Arc<P>,
    mut batches: mpsc::Receiver<CompletedBatch<P::Context>>,
) {
    let mut unanswered = FuturesUnordered::new();
    loop {
        let batch = tokio::select! {
            biased;
            Some(()) = unanswered.next() => continue,
            batch = batches.recv() => batch,
        };
        let Some(CompletedBatch {
            context,
            denials,
            outcomes,
            replies,
        }) = batch
        else {
            break;
        };
        let recorded = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok());
        let work = AssertUnwindSafe(|| post_commit.after_write(context, denials, recorded));
        let task = catch_unwind(work).unwrap_or_else(|panic| {
            log_panic(&*panic);
            None
        });
        unanswered.push(async move {
            if let Some(task) = task
                && let Err(panic) = AssertUnwindSafe(task).catch_unwind().await
            {
                log_panic(&*panic);
            }
            for (reply, outcome) in replies.into_iter().zip(outcomes) {
                // A caller that went away needs no answer.
                let _ = reply.send(outcome);
            }
        });
    }
    while unanswered.next().await.is_some() {}
}

fn log_panic(panic: &(dyn Any + Send)) {
    tracing::error!(panic = panic_message(panic), "the work after a write failed");
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text")
}

//! The writer: one task on its own thread, which takes batches from the queues and writes them one after another.

use std::sync::Arc;
use std::{io, thread};

use tokio::runtime;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::post_commit::{CompletedBatch, PostCommit};
use super::queues::{Command, Queues};
use super::{Outcome, RETRY_DELAY, RecordError};
use crate::model::{Attempt, RuleSettings};
use crate::node::health::WriteStats;
use crate::store::{ScanStore, StoreError};

/// The writer's dependencies.
pub(super) struct Writer<S: ?Sized, P: PostCommit> {
    pub(super) store: Arc<S>,
    pub(super) rules: RuleSettings,
    pub(super) post_commit: Arc<P>,
    pub(super) completed: mpsc::Sender<CompletedBatch<P::Context>>,
    pub(super) stats: Arc<WriteStats>,
}

/// A batch left denials unwritten, or found the database unavailable.
struct BatchFailed {
    /// The error, where the database is unavailable.
    unavailable: Option<Arc<StoreError>>,
}

/// Runs a future on a new thread with a runtime of its own.
pub(super) fn spawn_thread(work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new()
        .name("scan-writer".to_owned())
        .spawn(move || runtime.block_on(work))?;
    Ok(())
}

impl<S: ScanStore + ?Sized, P: PostCommit> Writer<S, P> {
    /// Writes batches until the channel is closed and the queues are empty.
    pub(super) async fn run(self, mut queues: Queues, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut open = true;
        while open || queues.has_work() {
            if open && !queues.has_waiting_callers() {
                let next = async {
                    match queues.denials_due() {
                        Some(due) => tokio::time::timeout_at(due, commands.recv()).await.ok(),
                        None => Some(commands.recv().await),
                    }
                };
                match next.await {
                    Some(Some(command)) => queues.apply(command),
                    Some(None) => open = false,
                    None => {}
                }
            }
            while let Ok(command) = commands.try_recv() {
                queues.apply(command);
            }
            let denials_due = queues.denials_due().is_some_and(|due| due <= Instant::now());
            if queues.has_waiting_callers() || denials_due || !open {
                let written = self.write_batch(&mut queues).await;
                if let Err(BatchFailed {
                    unavailable: Some(error),
                }) = &written
                {
                    while let Ok(command) = commands.try_recv() {
                        queues.apply(command);
                    }
                    queues.fail_scans(error);
                }
                if !open && written.is_err() {
                    tracing::error!(
                        lost = queues.pending_denials(),
                        "denials could not be written before the process ends"
                    );
                    return;
                }
            }
        }
    }

    /// Writes one batch.
    async fn write_batch(&self, queues: &mut Queues) -> Result<(), BatchFailed> {
        let (denials, requests) = queues.next_batch(Instant::now());
        if denials.is_empty() && requests.is_empty() {
            return Ok(());
        }
        let context = self.post_commit.before_write();
        // Denials first, so that the retry of one finds it.
        let all_denials = denials.len();
        let (denials, unwritten, mut unavailable) = self.write_denials(denials).await;
        let denials_failed = !unwritten.is_empty();
        let none_written = unwritten.len() == all_denials;
        queues.requeue_denials(unwritten, none_written.then(|| Instant::now() + RETRY_DELAY));
        let (attempts, replies): (Vec<Attempt>, Vec<_>) = requests
            .into_iter()
            .map(|request| (*request.attempt, request.reply))
            .unzip();
        let outcomes = match &unavailable {
            // No caller waits for two failing writes.
            Some(error) => attempts
                .iter()
                .map(|_| Err(RecordError::Store(Arc::clone(error))))
                .collect(),
            None => self.write_scans(&attempts).await,
        };
        unavailable = unavailable.or_else(|| outcomes.iter().find_map(unavailable_error));
        let batch = CompletedBatch {
            context,
            denials,
            outcomes,
            replies,
        };
        // The receiver is dropped only when the process ends.
        let _ = self.completed.send(batch).await;
        if denials_failed || unavailable.is_some() {
            return Err(BatchFailed { unavailable });
        }
        Ok(())
    }
}

/// The error of an outcome that shows that the database is unavailable.
fn unavailable_error(outcome: &Outcome) -> Option<Arc<StoreError>> {
    match outcome {
        Err(RecordError::Store(error)) if matches!(**error, StoreError::Unavailable { .. }) => {
            Some(Arc::clone(error))
        }
        _ => None,
    }
}

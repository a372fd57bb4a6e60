//! The database calls of a batch: the whole batch in one call. If that call fails and the database is available, the batch
//! is written one scan at a time, until the database is unavailable: each further call would wait in vain while the
//! organization's other scans wait behind it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::lane::PendingDenial;
use super::post_commit::{PostCommit, panic_message};
use super::writer::Writer;
use super::{Outcome, RecordError};
use crate::model::{Attempt, Recorded};
use crate::rules::NewScan;
use crate::store::{ScanStore, StoreError};

/// The denials that were written, those that were not, and the error where the database is unavailable.
type DenialOutcomes = (Vec<NewScan>, Vec<(u64, PendingDenial)>, Option<Arc<StoreError>>);

impl<S: ScanStore + ?Sized, P: PostCommit> Writer<S, P> {
    /// Writes denials.
    pub(super) async fn write_denials(&self, denials: Vec<(u64, PendingDenial)>) -> DenialOutcomes {
        if denials.is_empty() {
            return (Vec::new(), Vec::new(), None);
        }
        let (scans, queue_entries): (Vec<NewScan>, Vec<_>) =
            denials.into_iter().map(PendingDenial::split).unzip();
        let error = match self.store_denials(&scans).await {
            Ok(()) => return (scans, Vec::new(), None),
            Err(error) => error,
        };
        let mut written = Vec::new();
        let mut unwritten = Vec::new();
        let one_by_one = matches!(error, StoreError::Failed { .. }) && scans.len() > 1;
        if one_by_one {
            tracing::warn!(%error, denials = scans.len(), "a batch failed: writing its denials one by one");
        }
        let mut unavailable = only_unavailable(error);
        for (scan, queue_entry) in scans.into_iter().zip(queue_entries) {
            let mut is_written = false;
            if one_by_one && unavailable.is_none() {
                let result = self.store_denials(std::slice::from_ref(&scan)).await;
                is_written = result.is_ok();
                unavailable = result.err().and_then(only_unavailable);
            }
            if is_written {
                written.push(scan);
            } else {
                unwritten.push(PendingDenial::join(scan, queue_entry));
            }
        }
        (written, unwritten, unavailable)
    }

    async fn store_denials(&self, denials: &[NewScan]) -> Result<(), StoreError> {
        let started = Instant::now();
        let result = catch_panic(self.store.record_denials(denials)).await;
        let duration = started.elapsed();
        self.stats.record_write(denials.len(), result.is_ok(), duration);
        if result.is_ok() {
            self.denial_batch_size.record(denials.len(), duration);
        }
        result
    }

    /// Writes scans. Returns one outcome per scan, in their order.
    pub(super) async fn write_scans(&self, attempts: &[Attempt]) -> Vec<Outcome> {
        if attempts.is_empty() {
            return Vec::new();
        }
        match self.store_scans(attempts).await {
            Ok(recorded) => recorded.into_iter().map(Ok).collect(),
            Err(StoreError::Failed { reason, .. }) if attempts.len() > 1 => {
                tracing::warn!(
                    reason,
                    scans = attempts.len(),
                    "a batch failed: writing its scans one by one"
                );
                self.write_one_by_one(attempts).await
            }
            Err(error) => {
                let error = RecordError::Store(Arc::new(error));
                attempts.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    /// Writes scans one by one. Those after the first that finds the database unavailable share its error.
    async fn write_one_by_one(&self, attempts: &[Attempt]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            let outcome = match self.store_scans(std::slice::from_ref(attempt)).await {
                Ok(recorded) => recorded.into_iter().next().ok_or(RecordError::Overloaded),
                Err(error) => Err(RecordError::Store(Arc::new(error))),
            };
            let unavailable = unavailable_error(&outcome);
            outcomes.push(outcome);
            if let Some(error) = unavailable {
                outcomes.resize(attempts.len(), Err(RecordError::Store(error)));
                break;
            }
        }
        outcomes
    }

    async fn store_scans(&self, attempts: &[Attempt]) -> Result<Vec<Recorded>, StoreError> {
        let started = Instant::now();
        let result = catch_panic(self.store.record(attempts, &self.rules)).await;
        self.stats
            .record_write(attempts.len(), result.is_ok(), started.elapsed());
        result
    }
}

/// The error of an outcome that shows that the database is unavailable.
pub(super) fn unavailable_error(outcome: &Outcome) -> Option<Arc<StoreError>> {
    match outcome {
        Err(RecordError::Store(error)) if matches!(**error, StoreError::Unavailable { .. }) => {
            Some(Arc::clone(error))
        }
        _ => None,
    }
}

fn only_unavailable(error: StoreError) -> Option<Arc<StoreError>> {
    matches!(error, StoreError::Unavailable { .. }).then(|| Arc::new(error))
}

/// Turns a panic of a database call into a [`StoreError::Failed`].
async fn catch_panic<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    AssertUnwindSafe(call)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            let reason = format!("a panic: {}", panic_message(&*panic));
            Err(StoreError::failed(reason))
        })
}

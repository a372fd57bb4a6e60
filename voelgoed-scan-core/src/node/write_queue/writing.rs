//! How is a write done? As a whole; where that fails, and the database is not away, one by one.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::waiting::PendingDenial;
use super::{Outcome, PostCommit, RecordError, Writer};
use crate::model::{Attempt, Recorded};
use crate::rules::NewScan;
use crate::store::{ScanStore, StoreError};

/// What became of denials.
pub(super) type Noted = (Vec<NewScan>, Vec<(u64, PendingDenial)>, Option<Arc<StoreError>>);

/// Writes denials: those that are on record now, those that are not, and how the database is away, where it is.
pub(super) async fn note_all<S: ScanStore + ?Sized, A: PostCommit>(
    desk: &Writer<S, A>,
    notes: Vec<(u64, PendingDenial)>,
) -> Noted {
    if notes.is_empty() {
        return (Vec::new(), Vec::new(), None);
    }
    let (scans, places): (Vec<NewScan>, Vec<_>) = notes.into_iter().map(PendingDenial::take_apart).unzip();
    let error = match note(desk, &scans).await {
        Ok(()) => return (scans, Vec::new(), None),
        Err(error) => error,
    };
    let mut noted = Vec::new();
    let mut kept = Vec::new();
    let one_by_one = matches!(error, StoreError::Failed { .. }) && scans.len() > 1;
    if one_by_one {
        tracing::warn!(%error, denials = scans.len(), "a write failed as a whole: writing its denials one by one");
    }
    for (scan, place) in scans.into_iter().zip(places) {
        if one_by_one && note(desk, std::slice::from_ref(&scan)).await.is_ok() {
            noted.push(scan);
        } else {
            kept.push(PendingDenial::put_together(scan, place));
        }
    }
    let away = matches!(error, StoreError::Unavailable { .. }).then(|| Arc::new(error));
    (noted, kept, away)
}

async fn note<S: ScanStore + ?Sized, A: PostCommit>(
    desk: &Writer<S, A>,
    denials: &[NewScan],
) -> Result<(), StoreError> {
    let started = Instant::now();
    let noted = whole(desk.store.record_denials(denials)).await;
    desk.tally.wrote(denials.len(), noted.is_ok(), started.elapsed());
    noted
}

/// Writes scans: what became of each.
pub(super) async fn record_all<S: ScanStore + ?Sized, A: PostCommit>(
    desk: &Writer<S, A>,
    batch: &[Attempt],
) -> Vec<Outcome> {
    if batch.is_empty() {
        return Vec::new();
    }
    match record(desk, batch).await {
        Ok(recorded) => recorded.into_iter().map(Ok).collect(),
        Err(StoreError::Failed { reason, .. }) if batch.len() > 1 => {
            tracing::warn!(
                reason,
                scans = batch.len(),
                "a write failed as a whole: writing its scans one by one"
            );
            let mut outcomes = Vec::with_capacity(batch.len());
            for attempt in batch {
                let one = record(desk, std::slice::from_ref(attempt)).await;
                outcomes.push(match one {
                    Ok(recorded) => recorded.into_iter().next().ok_or(RecordError::Overloaded),
                    Err(error) => Err(RecordError::Store(Arc::new(error))),
                });
            }
            outcomes
        }
        Err(error) => {
            let error = RecordError::Store(Arc::new(error));
            batch.iter().map(|_| Err(error.clone())).collect()
        }
    }
}

async fn record<S: ScanStore + ?Sized, A: PostCommit>(
    desk: &Writer<S, A>,
    batch: &[Attempt],
) -> Result<Vec<Recorded>, StoreError> {
    let started = Instant::now();
    let recorded = whole(desk.store.record(batch, &desk.rules)).await;
    desk.tally.wrote(batch.len(), recorded.is_ok(), started.elapsed());
    recorded
}

/// A call of the database; one that panics failed.
async fn whole<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    AssertUnwindSafe(call)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            let reason = format!("a panic: {}", said(&*panic));
            Err(StoreError::failed(reason))
        })
}

/// What a panic said.
pub(super) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("nothing that is a text")
}

//! Folds of long histories. They run on a thread for blocking work, so that the async workers serve other requests meanwhile.

use crate::store::StoreError;

/// The number of scans up to which a history is folded on the async worker, in about a millisecond.
const MAX_ON_WORKER: usize = 500;

/// Whether a history of so many scans is folded outside the async workers.
pub(super) const fn is_long(scans: usize) -> bool {
    scans > MAX_ON_WORKER
}

/// Runs the fold of so many scans, outside the async workers if they are many.
pub(super) async fn run_fold<T: Send + 'static>(
    scans: usize,
    fold: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    if !is_long(scans) {
        return Ok(fold());
    }
    let folded = tokio::task::spawn_blocking(fold).await;
    folded.map_err(|error| StoreError::failed(format!("the fold of a history ended: {error}")))
}

/// Lets other tasks run now and then, while the rows of a long history are read. `row` is the number of the row.
pub(super) async fn yield_between_rows(row: usize) {
    const ROWS_PER_YIELD: usize = 250;
    if row % ROWS_PER_YIELD == ROWS_PER_YIELD - 1 {
        tokio::task::yield_now().await;
    }
}

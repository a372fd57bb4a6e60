//! Repeats writes that concurrent writers kept from succeeding.

use crate::store::StoreError;

/// How often a contended write is tried.
const MAX_TRIES: usize = 8;

/// Runs a write, and runs it again while it fails with [`StoreError::Contended`], up to [`MAX_TRIES`] times. Each run
/// has to read again what it depends on. `operation` names the write in the log.
pub(crate) async fn retry_contended<T, F>(
    operation: &'static str,
    mut write: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut tries = 1;
    loop {
        match write().await {
            Err(StoreError::Contended { reason, .. }) if tries < MAX_TRIES => {
                tracing::debug!(operation, reason, tries, "a contended write is tried again");
            }
            done => return done,
        }
        tries += 1;
    }
}

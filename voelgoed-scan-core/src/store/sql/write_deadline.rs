//! Limits how long a write may take.
//!
//! After the deadline it is unknown whether the scans were written. A retry with the same scan ids finds out.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::store::StoreError;
use crate::store::sql::Dialect;

/// How long a write to a database over a network may take, including the wait for a connection.
const WRITE_TIMEOUT: Duration = Duration::from_millis(1500);

/// The deadline of a write. A file that one process uses has none.
#[derive(Clone, Copy)]
pub(crate) struct WriteDeadline(Option<Instant>);

impl WriteDeadline {
    /// The deadline of a write that starts now.
    pub(crate) fn start<D: Dialect>() -> Self {
        Self(D::SHARED.then(|| Instant::now() + WRITE_TIMEOUT))
    }

    /// Runs a part of the write. Returns [`StoreError::Unavailable`] when the deadline passes.
    pub(crate) async fn run<T>(
        self,
        part: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let Some(deadline) = self.0 else {
            return part.await;
        };
        let timed_out = |_| Err(StoreError::unavailable("no answer in time"));
        // Pinned in place: the future of a write has tens of kilobytes, which `timeout_at` would move.
        timeout_at(deadline, pin!(part)).await.unwrap_or_else(timed_out)
    }
}

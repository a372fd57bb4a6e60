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

    /// Runs the statements of the write. When the deadline passes, returns a [`StoreError::Unavailable`] that timed out:
    /// the rows may be locked.
    pub(crate) async fn run<T>(
        self,
        statements: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.limit(pin!(statements), || StoreError::timed_out("no answer in time"))
            .await
    }

    /// Takes the connection of the write, which waits for no row. When the deadline passes, returns a
    /// [`StoreError::Unavailable`] that did not time out: the database is out of reach.
    pub(crate) async fn connect<T>(
        self,
        connect: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.limit(pin!(connect), || StoreError::unavailable("no connection in time"))
            .await
    }

    /// `part` is pinned by the caller: the future of a write has tens of kilobytes, which each call would move.
    async fn limit<T>(
        self,
        part: impl Future<Output = Result<T, StoreError>> + Unpin,
        error: impl FnOnce() -> StoreError,
    ) -> Result<T, StoreError> {
        let Some(deadline) = self.0 else {
            return part.await;
        };
        timeout_at(deadline, part).await.unwrap_or_else(|_| Err(error()))
    }
}

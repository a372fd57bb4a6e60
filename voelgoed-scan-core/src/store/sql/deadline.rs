//! How long may a write take before whoever waits for it is told that the database is away?
//!
//! Past it nobody knows whether it was written: whoever asks again with the same scan ids is told.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::store::StoreError;
use crate::store::sql::Dialect;

/// How long a write may take on a database that is reached over a network, the wait for a connection included.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Until when a write may take; a file of one process answers when it can.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// The deadline of a write that begins now.
    pub(crate) fn of<D: Dialect>() -> Self {
        Self(D::SHARED.then(|| Instant::now() + PATIENCE))
    }

    /// Does a part of the write unless it is too late.
    pub(crate) async fn meet<T>(
        self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let Some(deadline) = self.0 else {
            return work.await;
        };
        let late = |_| {
            Err(StoreError::Unavailable {
                reason: "no answer in time".to_owned(),
            })
        };
        // Where it is: a write is tens of kilobytes, and `timeout_at` would move it.
        timeout_at(deadline, pin!(work)).await.unwrap_or_else(late)
    }
}

//! Which connection records the next scans? The one that recorded the last, where no other program waits for it.
//!
//! Invariants: only a connection on which everything went well is kept; any other goes back to its pool, which asks it
//! whether it lives and ends what it had begun. A pool asks so each time that it gets one back, and that round trip would
//! be paid by every write.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::pool::PoolConnection;
use tokio::time::{Instant, timeout};

use crate::store::StoreError;
use crate::store::sql::{Dialect, Sql};

/// How long a connection may have been idle and still be used unasked: asking costs a round trip, which in a busy
/// minute every write would pay.
pub(crate) const FRESH: Duration = Duration::from_millis(250);

/// How long one that was idle for longer may take to say that it lives, before another is opened.
const PATIENCE: Duration = Duration::from_millis(500);

struct Held<D: Dialect> {
    connection: PoolConnection<D>,
    since: Instant,
}

/// The place of the connection between two writes.
pub(crate) struct WriterConnection<D: Dialect>(Mutex<Option<Held<D>>>);

impl<D: Dialect> WriterConnection<D> {
    pub(crate) fn empty() -> Self {
        Self(Mutex::new(None))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held<D>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Dialect> Drop for WriterConnection<D> {
    fn drop(&mut self) {
        if let Some(held) = self.lock().take() {
            // To go back to its pool it would need a runtime, which may be gone already; the pool goes too.
            drop(held.connection.leak());
        }
    }
}

impl<D: Dialect> Sql<D> {
    /// A connection for recording scans.
    pub(crate) async fn recorder(&self) -> Result<PoolConnection<D>, StoreError> {
        let held = self.hand.lock().take();
        if let Some(Held {
            mut connection,
            since,
        }) = held
        {
            if since.elapsed() <= FRESH
                || timeout(PATIENCE, connection.ping())
                    .await
                    .is_ok_and(|alive| alive.is_ok())
            {
                return Ok(connection);
            }
            // Not back to its pool, which would wait for its answer for as long as that takes.
            connection.close_on_drop();
        }
        Ok(self.recorders.acquire().await?)
    }

    /// Takes back a connection that recorded scans, with nothing left to do on it.
    pub(crate) fn keep(&self, connection: PoolConnection<D>) {
        // In a file the one connection that writes is everybody's.
        if D::SHARED {
            let since = Instant::now();
            *self.hand.lock() = Some(Held { connection, since });
        }
    }
}

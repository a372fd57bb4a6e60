//! Keeps the connection that records scans between two batches.
//!
//! A pool checks a connection each time it is returned, which costs a round trip. The writer keeps its connection
//! instead and so saves this round trip on every batch.
//!
//! Invariant: a connection is kept only if its last statements succeeded. Any other goes back to its pool, which rolls
//! back an open transaction and checks that the connection works.

use std::time::Duration;

use parking_lot::Mutex;
use sqlx::Connection as _;
use sqlx::pool::PoolConnection;
use tokio::time::{Instant, timeout};

use crate::store::StoreError;
use crate::store::sql::{Dialect, Sql};

/// A connection that was idle for longer than this is pinged before use. A ping costs a round trip, which every write
/// would pay under load.
pub(crate) const PING_AFTER_IDLE: Duration = Duration::from_millis(250);

/// How long the kept connection may take to answer a ping. After that another one is opened.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

struct IdleConnection<D: Dialect> {
    connection: PoolConnection<D>,
    idle_since: Instant,
}

/// The idle connection of the writer. Empty while a batch uses it.
pub(crate) struct WriterConnection<D: Dialect>(Mutex<Option<IdleConnection<D>>>);

impl<D: Dialect> WriterConnection<D> {
    pub(crate) fn empty() -> Self {
        Self(Mutex::new(None))
    }

    /// Takes the connection out, if it is there and works.
    async fn take(&self) -> Option<PoolConnection<D>> {
        let IdleConnection {
            mut connection,
            idle_since,
        } = self.0.lock().take()?;
        if idle_since.elapsed() <= PING_AFTER_IDLE
            || timeout(PING_TIMEOUT, connection.ping())
                .await
                .is_ok_and(|answer| answer.is_ok())
        {
            return Some(connection);
        }
        // Its pool would wait for the answer to a ping without a timeout.
        connection.close_on_drop();
        None
    }

    fn put(&self, connection: PoolConnection<D>) {
        let idle_since = Instant::now();
        *self.0.lock() = Some(IdleConnection {
            connection,
            idle_since,
        });
    }
}

impl<D: Dialect> Drop for WriterConnection<D> {
    fn drop(&mut self) {
        if let Some(idle) = self.0.lock().take() {
            // Returning it to its pool needs a runtime, which may have shut down. The pool is dropped as well.
            drop(idle.connection.leak());
        }
    }
}

impl<D: Dialect> Sql<D> {
    /// A connection for recording scans.
    pub(crate) async fn acquire_writer(&self) -> Result<PoolConnection<D>, StoreError> {
        match self.writer_connection.take().await {
            Some(connection) => Ok(connection),
            None => Ok(self.scan_pool.acquire().await?),
        }
    }

    /// Keeps a connection whose statements have succeeded, with no transaction open.
    pub(crate) fn keep_writer(&self, connection: PoolConnection<D>) {
        // SQLite has one writing connection, which all writes share.
        if D::SHARED {
            self.writer_connection.put(connection);
        }
    }

    /// Releases the connection of a write by the result of the write.
    pub(crate) fn release_writer<T>(
        &self,
        mut connection: PoolConnection<D>,
        result: &Result<T, StoreError>,
    ) {
        match result {
            Ok(_) => self.keep_writer(connection),
            // A statement may still be running, or the server may be gone.
            Err(StoreError::Unavailable { .. }) => connection.close_on_drop(),
            Err(StoreError::Contended { .. } | StoreError::Failed { .. }) => {}
        }
    }
}

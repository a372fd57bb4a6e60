//! Keeps the connections that record scans between two batches, as many as writes run side by side.
//!
//! A pool checks a connection each time it is returned, which costs a round trip. The writer keeps its connections
//! instead and so saves this round trip on every batch. It takes the one that was used last, whose caches are warm.
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

/// How long a kept connection may take to answer a ping. After that another one is opened.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

struct IdleConnection<D: Dialect> {
    connection: PoolConnection<D>,
    idle_since: Instant,
}

/// The idle connections of the writer, the one used last at the end.
pub(crate) struct WriterConnections<D: Dialect>(Mutex<Vec<IdleConnection<D>>>);

impl<D: Dialect> WriterConnections<D> {
    pub(crate) fn empty() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Takes a connection out, if one is there and works.
    async fn take(&self) -> Option<PoolConnection<D>> {
        let IdleConnection {
            mut connection,
            idle_since,
        } = self.0.lock().pop()?;
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
        let mut idle = self.0.lock();
        if idle.len() < D::CONCURRENT_WRITES {
            idle.push(IdleConnection {
                connection,
                idle_since,
            });
        }
    }
}

impl<D: Dialect> Drop for WriterConnections<D> {
    fn drop(&mut self) {
        for idle in self.0.lock().drain(..) {
            // Returning it to its pool needs a runtime, which may have shut down. The pool is dropped as well.
            drop(idle.connection.leak());
        }
    }
}

impl<D: Dialect> Sql<D> {
    /// A connection for recording scans.
    pub(crate) async fn acquire_writer(&self) -> Result<PoolConnection<D>, StoreError> {
        match self.writer_connections.take().await {
            Some(connection) => Ok(connection),
            None => Ok(self.scan_pool.acquire().await?),
        }
    }

    /// Keeps a connection whose statements have succeeded, with no transaction open.
    pub(crate) fn keep_writer(&self, connection: PoolConnection<D>) {
        // SQLite has one writing connection, which all writes share.
        if D::SHARED {
            self.writer_connections.put(connection);
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

//! The connection to the phone's database, and its transactions.
//!
//! Invariants:
//! - A write takes the connection and gives it back only when it has succeeded. After a failed or cancelled write, the
//!   connection is closed with whatever transaction was open on it, and the next use opens a new one.
//! - A connection is closed completely before another is opened or the files are moved. A connection that is closed in the
//!   background would write its file and remove its WAL by name, which may be that of a new database by then.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Sqlite, SqliteConnection};

use crate::client::OfflineError;
use crate::client::offline::log::DeviceLog;

/// A statement with its parameters.
pub(super) type Statement<'a> = Query<'a, Sqlite, SqliteArguments>;

/// A transaction that writes. Dropping it rolls it back.
pub(in crate::client::offline) struct Transaction {
    connection: WritingConnection,
    disk: DiskState,
}

/// The connections of writes that failed or were cancelled. They are still to be closed.
#[derive(Debug, Clone, Default)]
pub(super) struct UnfinishedConnections(Arc<Mutex<Vec<SqliteConnection>>>);

/// The connection of a write that is under way.
struct WritingConnection {
    /// `None` once it was given back.
    connection: Option<SqliteConnection>,
    unfinished: UnfinishedConnections,
}

#[expect(
    clippy::expect_used,
    reason = "a connection that was given back has no owner left that could use it"
)]
impl WritingConnection {
    /// Gives the connection back after a write that succeeded.
    fn into_inner(mut self) -> SqliteConnection {
        self.connection.take().expect(IS_TAKEN)
    }
}

const IS_TAKEN: &str = "the connection is there until it is given back";

#[expect(
    clippy::expect_used,
    reason = "only `into_inner` takes the connection, and it consumes the owner"
)]
impl Deref for WritingConnection {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection.as_ref().expect(IS_TAKEN)
    }
}

#[expect(
    clippy::expect_used,
    reason = "only `into_inner` takes the connection, and it consumes the owner"
)]
impl DerefMut for WritingConnection {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect(IS_TAKEN)
    }
}

impl Drop for WritingConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.unfinished.lock().push(connection);
        }
    }
}

impl UnfinishedConnections {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn close(&self) {
        let connections = std::mem::take(&mut *self.lock());
        for connection in connections {
            close(connection).await;
        }
    }
}

/// Closes a connection after a failure. That of the close itself says nothing new.
async fn close(connection: SqliteConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "the database was not closed cleanly");
    }
}

/// Whether the last write found the disk full.
#[derive(Debug, Clone, Default)]
pub(super) struct DiskState(Arc<AtomicBool>);

impl DiskState {
    /// Takes note of the result of a write.
    fn noted<T>(&self, result: Result<T, sqlx::Error>) -> Result<T, OfflineError> {
        result.map_err(|error| {
            let error = OfflineError::from(error);
            if matches!(error, OfflineError::StorageFull(_)) {
                self.0.store(true, Ordering::Relaxed);
            }
            error
        })
    }

    fn written(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// How the database is opened. [`PRAGMAS`] follow, on a connection that is closed completely if they fail.
pub(super) fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(false)
}

/// The settings of a connection.
///
/// `exclusive` keeps the index of the WAL in memory instead of a file, so that a full disk does not prevent opening, and
/// no second connection can write. WAL with `full` syncs at every commit, so that a shown verdict survives a power failure.
/// `fullfsync` does that on Apple's systems, whose `fsync` leaves the data in the drive's cache; elsewhere it changes nothing.
/// A cache of 1,000 KiB holds the pages that scans use; the manifest, which is decoded once, would fill a larger one.
pub(super) const PRAGMAS: &str = "pragma locking_mode = exclusive; pragma journal_mode = wal; \
                                  pragma synchronous = full; pragma fullfsync = on; \
                                  pragma checkpoint_fullfsync = on; pragma cache_size = -1000";

impl DeviceLog {
    /// Returns the connection, for reading.
    pub(super) async fn reader(&mut self) -> Result<&mut SqliteConnection, OfflineError> {
        let connection = self.take().await?;
        Ok(self.connection.insert(connection))
    }

    async fn take(&mut self) -> Result<SqliteConnection, OfflineError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<SqliteConnection, OfflineError> {
        self.unfinished.close().await;
        let mut connection = self.writing(self.options.connect().await?);
        let pragmas = AssertSqlSafe(self.pragmas.to_string());
        let set = sqlx::raw_sql(pragmas).execute(&mut *connection).await;
        let connection = connection.into_inner();
        match set {
            Ok(_) => Ok(connection),
            Err(error) => {
                close(connection).await;
                Err(error.into())
            }
        }
    }

    fn writing(&self, connection: SqliteConnection) -> WritingConnection {
        WritingConnection {
            connection: Some(connection),
            unfinished: self.unfinished.clone(),
        }
    }

    /// Executes one statement that writes.
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<(), OfflineError> {
        let connection = self.take().await?;
        let mut connection = self.writing(connection);
        self.disk.noted(statement.execute(&mut *connection).await)?;
        self.disk.written();
        self.connection = Some(connection.into_inner());
        Ok(())
    }

    /// Begins a transaction that writes.
    pub(in crate::client::offline) async fn begin(&mut self) -> Result<Transaction, OfflineError> {
        let connection = self.take().await?;
        let mut connection = self.writing(connection);
        let begun = sqlx::query("begin immediate").execute(&mut *connection).await;
        self.disk.noted(begun)?;
        Ok(Transaction {
            connection,
            disk: self.disk.clone(),
        })
    }

    /// Commits a transaction. It is on disk before this returns.
    pub(in crate::client::offline) async fn commit(
        &mut self,
        mut transaction: Transaction,
    ) -> Result<(), OfflineError> {
        let committed = sqlx::query("commit").execute(&mut *transaction.connection).await;
        self.disk.noted(committed)?;
        self.disk.written();
        self.connection = Some(transaction.connection.into_inner());
        Ok(())
    }

    /// Makes the database look like one that a newer version migrated.
    #[cfg(test)]
    pub(in crate::client::offline) async fn pretend_newer(&mut self) {
        let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                     values (99, 'newer', true, x'00', 0)";
        self.execute(sqlx::query(newer)).await.expect("it is written");
    }

    /// Executes a statement of a test.
    #[cfg(test)]
    pub(in crate::client::offline) async fn execute_text(&mut self, statement: &'static str) {
        self.execute(sqlx::query(statement))
            .await
            .expect("it is executed");
    }

    /// Limits the size of the database from now on.
    #[cfg(test)]
    pub(in crate::client::offline) fn limit_pages(&mut self, pages: u32) {
        self.pragmas = format!("{PRAGMAS}; pragma max_page_count = {pages}").into();
        let connection = self.connection.take();
        self.unfinished.lock().extend(connection);
    }

    /// Returns whether the last write found the disk full.
    pub(in crate::client::offline) fn is_disk_full(&self) -> bool {
        self.disk.0.load(Ordering::Relaxed)
    }

    /// Closes the connection. The next use opens a new one.
    pub(in crate::client::offline) async fn disconnect(&mut self) {
        self.unfinished.close().await;
        if let Some(connection) = self.connection.take() {
            close(connection).await;
        }
    }

    /// Closes the database.
    pub(in crate::client::offline) async fn close(self) -> Result<(), OfflineError> {
        self.unfinished.close().await;
        match self.connection {
            Some(connection) => Ok(connection.close().await?),
            None => Ok(()),
        }
    }
}

impl Transaction {
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<(), OfflineError> {
        self.execute_counted(statement).await.map(drop)
    }

    /// Executes a statement and returns the number of rows that it wrote.
    pub(super) async fn execute_counted(&mut self, statement: Statement<'_>) -> Result<u64, OfflineError> {
        let done = statement.execute(&mut *self.connection).await;
        Ok(self.disk.noted(done)?.rows_affected())
    }
}

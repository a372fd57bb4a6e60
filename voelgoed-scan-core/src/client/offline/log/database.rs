//! The connection to the phone's database, and its transactions.
//!
//! Invariants: a write takes the connection and gives it back only when it has succeeded. A failed or cancelled write
//! therefore drops its connection with whatever transaction was open on it, and the next use opens a new one.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite, SqliteConnection};

use crate::client::OfflineError;
use crate::client::offline::log::DeviceLog;

/// A statement with its parameters.
pub(super) type Statement<'a> = Query<'a, Sqlite, SqliteArguments>;

/// A transaction that writes. Dropping it rolls it back.
pub(in crate::client::offline) struct Transaction {
    connection: SqliteConnection,
    disk: DiskState,
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

/// How the database is opened.
///
/// `exclusive` keeps the index of the WAL in memory instead of a file, so that a full disk does not prevent opening, and
/// no second connection can write.
pub(super) fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .locking_mode(SqliteLockingMode::Exclusive)
        .journal_mode(SqliteJournalMode::Wal)
        // WAL with `full` syncs at every commit, so that a shown verdict survives a power failure.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(false)
}

impl DeviceLog {
    /// Returns the connection, for reading.
    pub(super) async fn reader(&mut self) -> Result<&mut SqliteConnection, OfflineError> {
        let connection = self.take().await?;
        Ok(self.connection.insert(connection))
    }

    async fn take(&mut self) -> Result<SqliteConnection, OfflineError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Ok(self.options.connect().await?),
        }
    }

    /// Executes one statement that writes.
    pub(super) async fn execute(&mut self, statement: Statement<'_>) -> Result<(), OfflineError> {
        let mut connection = self.take().await?;
        self.disk.noted(statement.execute(&mut connection).await)?;
        self.disk.written();
        self.connection = Some(connection);
        Ok(())
    }

    /// Begins a transaction that writes.
    pub(in crate::client::offline) async fn begin(&mut self) -> Result<Transaction, OfflineError> {
        let mut connection = self.take().await?;
        let begun = sqlx::query("begin immediate").execute(&mut connection).await;
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
        let committed = sqlx::query("commit").execute(&mut transaction.connection).await;
        self.disk.noted(committed)?;
        self.disk.written();
        self.connection = Some(transaction.connection);
        Ok(())
    }

    /// Makes the database look like one that a newer version migrated.
    #[cfg(test)]
    pub(in crate::client::offline) async fn pretend_newer(&mut self) {
        let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                     values (99, 'newer', true, x'00', 0)";
        self.execute(sqlx::query(newer)).await.expect("it is written");
    }

    /// Limits the size of the database from now on.
    #[cfg(test)]
    pub(in crate::client::offline) fn limit_pages(&mut self, pages: u32) {
        let options = self.options.clone();
        self.options = options.pragma("max_page_count", pages.to_string());
        self.connection = None;
    }

    /// Returns whether the last write found the disk full.
    pub(in crate::client::offline) fn is_disk_full(&self) -> bool {
        self.disk.0.load(Ordering::Relaxed)
    }

    /// Closes the connection. The next use opens a new one.
    pub(in crate::client::offline) async fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "the database was not closed cleanly");
        }
    }

    /// Closes the database.
    pub(in crate::client::offline) async fn close(self) -> Result<(), OfflineError> {
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
        let done = statement.execute(&mut self.connection).await;
        Ok(self.disk.noted(done)?.rows_affected())
    }
}

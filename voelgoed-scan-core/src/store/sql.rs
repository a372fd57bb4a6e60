//! The storage interface on SQLite and PostgreSQL. What the databases share is written once against [`Dialect`]. What
//! differs is a constant, a method or a statement of the dialect.
//!
//! Every statement is a file below `statements/`, with a comment that describes it. `name.sqlite.sql` and
//! `name.postgres.sql` are variants of one statement. `organizations/` to `sync/` group them by subject.
//!
//! Invariants: SQL is static text, and values are only ever bound. Every error that leaves this module is a
//! [`StoreError`]. Locks are taken in one order everywhere: device, event, gates, occupancy, tickets.

mod batch;
mod bulk;
mod change_counters;
#[cfg(feature = "sqlite")]
mod database_file;
mod denials;
mod devices;
mod dialect;
mod enrollments;
mod errors;
mod events;
mod first_admission;
mod gates;
mod import;
mod keys;
mod lookup;
mod manifests;
mod mapping;
mod nodes;
mod occupancy;
mod open;
mod organizations;
#[cfg(feature = "postgres")]
mod postgres;
mod query;
mod retry;
mod row;
mod scan_row;
mod scans;
mod sessions;
#[cfg(feature = "sqlite")]
mod sqlite;
mod sync;
#[cfg(test)]
mod tests;
mod ticket_statuses;
mod tickets;
mod undo;
mod write_deadline;
mod writer_connection;

#[cfg(feature = "sqlite")]
pub use database_file::LockError;
pub use open::{OpenError, OpenMode, open, open_as};

pub(crate) use dialect::{Dialect, Statements, dialect_basics, statement};
pub(crate) use query::{Value, query};
pub(crate) use row::Row;

use sqlx::{Pool, Transaction};

use crate::store::StoreError;
use crate::store::sql::writer_connection::WriterConnection;

/// A database with its connection pools. On PostgreSQL `write_pool` and `read_pool` are the same pool. On SQLite
/// `scan_pool` and `write_pool` are the same pool, of one connection.
pub(crate) struct Sql<D: Dialect> {
    /// Connections that record scans.
    pub(crate) scan_pool: Pool<D>,
    /// The idle connection of `scan_pool` that recorded the last scans.
    pub(crate) writer_connection: WriterConnection<D>,
    /// Connections for all other writes.
    pub(crate) write_pool: Pool<D>,
    /// Connections for reading.
    pub(crate) read_pool: Pool<D>,
    /// The open files of a SQLite database. `None` on PostgreSQL.
    pub(crate) files: Option<OpenFiles<D>>,
}

/// What a process holds of a database that is a file.
pub(crate) struct OpenFiles<D: Dialect> {
    /// Whether the files are still there.
    #[cfg(feature = "sqlite")]
    pub(crate) names: database_file::DatabaseFiles,
    /// The lock of a server. Released when the server stops.
    #[cfg(feature = "sqlite")]
    pub(crate) lock: parking_lot::Mutex<Option<database_file::ServerLock>>,
    /// A connection without a transaction. While it is open, SQLite keeps the write-ahead log under its name.
    pub(crate) _connection: parking_lot::Mutex<D::Connection>,
}

impl<D: Dialect> Sql<D> {
    /// Fails if the files of the database were deleted or replaced. What is written to them is then lost.
    pub(crate) fn check_files(&self) -> Result<(), StoreError> {
        #[cfg(feature = "sqlite")]
        if let Some(files) = &self.files {
            files.names.check()?;
        }
        Ok(())
    }

    /// A connection for reading.
    pub(crate) async fn read(&self) -> Result<sqlx::pool::PoolConnection<D>, StoreError> {
        self.check_files()?;
        Ok(self.read_pool.acquire().await?)
    }

    /// A transaction for writing.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, D>, StoreError> {
        self.check_files()?;
        Ok(self.write_pool.begin_with(D::BEGIN_WRITE).await?)
    }
}

//! The storage interface on SQLite and PostgreSQL. What the databases share is written once against [`Dialect`]. What
//! differs is a constant, a method or a statement of the dialect.
//!
//! Every statement is a file below `statements/`, with a comment that describes it. `name.sqlite.sql` and
//! `name.postgres.sql` are variants of one statement. The folders group them by subject.
//!
//! Invariants: SQL is static text, and values are only ever bound. Every error that leaves this module is a
//! [`StoreError`]. Locks are taken in one order everywhere: the head of the audit log ([`Sql::write_audited`]), device,
//! event, gates, occupancy, tickets, positions of the feed, sessions, the row of the organization (change counters), webhooks.

mod audit;
mod audit_acts;
mod audited_changes;
mod background;
mod batch;
mod bounded_list;
mod bulk;
mod bulk_readers;
mod change_counters;
#[cfg(feature = "sqlite")]
mod database_file;
mod deliveries;
mod denials;
mod devices;
mod dialect;
mod enrollments;
mod errors;
mod events;
mod feed;
mod first_admission;
mod folded;
mod former_rules;
mod gates;
mod import;
mod keys;
mod live;
mod long_folds;
mod lookup;
mod manifests;
mod mapping;
mod media;
mod messages;
mod migrate;
mod nodes;
mod occupancy;
mod open;
mod organizations;
#[cfg(feature = "postgres")]
mod pooler;
#[cfg(feature = "postgres")]
mod postgres;
mod query;
mod report;
mod retention;
mod retry;
mod row;
mod scan_row;
mod scans;
mod sessions;
mod signals;
#[cfg(feature = "sqlite")]
mod sqlite;
mod sync;
#[cfg(test)]
mod tests;
mod ticket_statuses;
mod tickets;
mod transactions;
mod undo;
pub(crate) mod webhooks;
mod write_deadline;
mod writer_connection;

#[cfg(feature = "sqlite")]
pub use database_file::LockError;
pub use migrate::{AppliedMigration, LockHolder, Migrated};
pub use open::{OpenError, OpenMode, Opening, migrate, open, open_as, open_with};
pub use transactions::Pooler;

pub(crate) use dialect::{Dialect, Statements, dialect_basics, statement};
pub(crate) use import::ImportScratch;
pub(crate) use query::{Value, query};
pub(crate) use row::Row;

use std::time::Duration;

use sqlx::{Pool, Transaction};
use tokio::time::timeout;

use crate::model::OrganizationId;
use crate::shares::{SharePermit, Shares};
use crate::store::StoreError;
use crate::store::sql::bulk_readers::{BulkReadPermit, BulkReaders};
use crate::store::sql::transactions::{ReadConnection, Transactions};
use crate::store::sql::writer_connection::WriterConnections;

/// A database with its connection pools. On PostgreSQL `write_pool` and `read_pool` are the same pool. On SQLite
/// `scan_pool` and `write_pool` are the same pool, of one connection.
pub(crate) struct Sql<D: Dialect> {
    /// Connections that record scans.
    pub(crate) scan_pool: Pool<D>,
    /// The idle connections of `scan_pool` that recorded the last scans.
    pub(crate) writer_connections: WriterConnections<D>,
    /// Connections for all other writes.
    pub(crate) write_pool: Pool<D>,
    /// Connections for reading.
    pub(crate) read_pool: Pool<D>,
    /// How transactions begin.
    pub(crate) transactions: Transactions,
    /// Whether Citus distributes the tables. It splits the statement that admits first admissions, and reads the parts in another
    /// format than it wrote them (13.2), so that transactions decide all scans.
    pub(crate) is_citus: bool,
    /// The open files of a SQLite database. `None` on PostgreSQL.
    #[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "PostgreSQL has no file"))]
    pub(crate) files: Option<OpenFiles<D>>,
    /// Limits the connections of `read_pool` that read lists and manifests.
    pub(crate) bulk_readers: BulkReaders,
    /// Limits the changes of an organization that wait for the head of its audit log, each with a connection.
    pub(crate) audit_head_waiters: Shares<OrganizationId>,
    /// Limits the sessions that devices of an organization start or end and the undos, each with a connection.
    pub(crate) device_writes: Shares<OrganizationId>,
}

/// How many changes of an organization wait for the head of its audit log with a connection.
const AUDIT_HEAD_WAITERS: usize = 2;

/// How many sessions and undos of an organization are written at once. Most wait for the same rows.
const DEVICE_WRITES: usize = 3;

/// How long a change waits for others of its organization: as long as it may wait for a lock.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

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
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(
            clippy::unused_self,
            clippy::unnecessary_wraps,
            reason = "PostgreSQL has no file"
        )
    )]
    pub(crate) fn check_files(&self) -> Result<(), StoreError> {
        #[cfg(feature = "sqlite")]
        if let Some(files) = &self.files {
            files.names.check()?;
        }
        Ok(())
    }

    /// A connection for reading.
    pub(crate) async fn read(&self) -> Result<ReadConnection<D>, StoreError> {
        self.check_files()?;
        Ok(match self.transactions.read {
            None => ReadConnection::Plain(self.read_pool.acquire().await?),
            Some(begin) => ReadConnection::Transaction(self.read_pool.begin_with(begin).await?),
        })
    }

    /// A connection for reading a list or a manifest, with the permit that has to be kept as long. Such reads take longer
    /// than others, and leave a connection for those.
    pub(crate) async fn read_bulk(
        &self,
        organization: impl Into<Option<OrganizationId>>,
    ) -> Result<(BulkReadPermit<'_>, ReadConnection<D>), StoreError> {
        let permit = self.bulk_readers.acquire(organization.into()).await?;
        Ok((permit, self.read().await?))
    }

    /// The same for several statements that read one state.
    pub(crate) async fn read_snapshot(
        &self,
        organization: OrganizationId,
    ) -> Result<(BulkReadPermit<'_>, Transaction<'static, D>), StoreError> {
        let permit = self.bulk_readers.acquire(Some(organization)).await?;
        self.check_files()?;
        let transaction = self.read_pool.begin_with(self.transactions.snapshot).await?;
        Ok((permit, transaction))
    }

    /// A transaction for writing.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, D>, StoreError> {
        self.check_files()?;
        Ok(self.write_pool.begin_with(self.transactions.write).await?)
    }

    /// A transaction for a change that appends to the audit log of an organization. It holds nothing else while it waits for
    /// the head of the log, so that no scan waits with it. Few changes of an organization wait for it with a connection.
    pub(crate) async fn write_audited(
        &self,
        organization: OrganizationId,
    ) -> Result<Transaction<'static, D>, StoreError> {
        let Some(sql) = D::SQL.lock_audit_head else {
            return self.write().await;
        };
        let _turn = turn_of(&self.audit_head_waiters, organization).await?;
        let mut transaction = self.write().await?;
        query::<D>(sql)
            .id(organization.as_uuid())
            .fetch_all(&mut transaction)
            .await?;
        Ok(transaction)
    }

    /// A transaction for a session or an undo, with the permit that has to be kept as long. They do not pass the write queue,
    /// and without a limit those that wait for locked rows of one organization would take all connections.
    pub(crate) async fn write_for_device(
        &self,
        organization: OrganizationId,
    ) -> Result<(Option<SharePermit<OrganizationId>>, Transaction<'static, D>), StoreError> {
        let turn = turn_of(&self.device_writes, organization).await?;
        Ok((turn, self.write().await?))
    }
}

/// Waits for other changes of an organization.
async fn turn_of(
    shares: &Shares<OrganizationId>,
    organization: OrganizationId,
) -> Result<Option<SharePermit<OrganizationId>>, StoreError> {
    timeout(TURN_TIMEOUT, shares.acquire(organization, 1))
        .await
        .map_err(|_| StoreError::unavailable("other changes of the organization take too long"))
}

//! SQLite, the embedded default.
//!
//! Invariants: one connection writes. The journal mode is WAL, and every commit is synced to disk before it is
//! answered.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{
    Arguments as _, Connection as _, Executor as _, Row as _, SqlStr, Sqlite, SqliteConnection, SqlitePool,
};

use crate::migrations;
use crate::shares::Shares;
use crate::store::StoreError;
use crate::store::sql::bulk::BulkRow;
use crate::store::sql::bulk_readers::BulkReaders;
use crate::store::sql::database_file::{self, DatabaseFiles, ServerLock};
use crate::store::sql::migrate::{self, LockAttempt, Migrated, MigrationDialect};
use crate::store::sql::open::{OpenError, OpenMode};
use crate::store::sql::transactions::Transactions;
use crate::store::sql::writer_connection::WriterConnections;
use crate::store::sql::{
    AUDIT_HEAD_WAITERS, DEVICE_WRITES, Dialect, OpenFiles, Sql, Statements, dialect_basics, query, statement,
};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(migrations::sqlite);

/// How many connections read, besides the one that writes.
const READ_CONNECTIONS: u32 = 4;

/// How many of those connections may read lists and manifests at a time. The others stay free for scans and
/// authentication.
const BULK_READERS: usize = 3;

/// How many of these read for one organization.
const BULK_READERS_OF_ORGANIZATION: usize = 2;

/// How often opening is tried: another process may do the same at the same time.
const MAX_OPEN_TRIES: u32 = 20;

/// The pause between two tries.
const OPEN_RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Opens a database file. With `migrate`, creates a missing file.
pub(crate) async fn open(file: &Path, mode: OpenMode, is_migrating: bool) -> Result<Sql<Sqlite>, OpenError> {
    let unusable = |source| OpenError::File {
        file: file.to_owned(),
        source,
    };
    database_file::restrict_access(file, is_migrating).map_err(unusable)?;
    let lock = match mode {
        OpenMode::Server if file.exists() => Some(ServerLock::take(file)?),
        OpenMode::Server | OpenMode::Beside => None,
    };
    let options = connect_options(file);
    let write_pool = open_write_pool(&options).await?;
    {
        let mut connection = write_pool.acquire().await.map_err(StoreError::from)?;
        if is_migrating {
            migrate::migrate::<Sqlite>(&MIGRATIONS, &mut connection).await?;
        } else {
            migrate::check::<Sqlite>(&MIGRATIONS, &mut connection).await?;
        }
    }
    // The migrations were read through this connection's log, so the log exists.
    let mut kept = SqliteConnection::connect_with(&options)
        .await
        .map_err(StoreError::from)?;
    query::<Sqlite>(statement!("migrations/applied.sql"))
        .fetch_all(&mut kept)
        .await?;
    let names = DatabaseFiles::of(file).map_err(unusable)?;
    let read_pool = SqlitePoolOptions::new()
        .max_connections(READ_CONNECTIONS)
        .min_connections(0)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options.read_only(true))
        .await
        .map_err(StoreError::from)?;
    Ok(Sql {
        scan_pool: write_pool.clone(),
        writer_connections: WriterConnections::empty(),
        write_pool,
        read_pool,
        transactions: Sqlite::TRANSACTIONS,
        is_citus: false,
        files: Some(OpenFiles {
            names,
            lock: parking_lot::Mutex::new(lock),
            _connection: parking_lot::Mutex::new(kept),
        }),
        bulk_readers: BulkReaders::new(BULK_READERS, BULK_READERS_OF_ORGANIZATION),
        audit_head_waiters: Shares::new(AUDIT_HEAD_WAITERS),
        device_writes: Shares::new(DEVICE_WRITES),
    })
}

/// Switching a new file to WAL needs an exclusive lock, and SQLite does not wait for that lock.
async fn open_write_pool(options: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let mut tries = 1;
    loop {
        let opened = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(options.clone())
            .await;
        match opened.map_err(StoreError::from) {
            Err(StoreError::Unavailable { reason, .. }) if tries < MAX_OPEN_TRIES => {
                tracing::debug!(reason, tries, "opening the database is tried again");
                tokio::time::sleep(OPEN_RETRY_INTERVAL).await;
            }
            done => return done,
        }
        tries += 1;
    }
}

fn connect_options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        // A connection that is opened later must never create the file anew.
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // WAL with `full` syncs at every commit: an acknowledged admission survives power loss.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        // What is deleted is overwritten, so that no file holds deleted personal data.
        .pragma("secure_delete", "on")
        .foreign_keys(false)
}

/// Migrates a database file, which is created if it is missing.
pub(crate) async fn migrate(file: &Path) -> Result<Migrated, OpenError> {
    database_file::restrict_access(file, true).map_err(|source| OpenError::File {
        file: file.to_owned(),
        source,
    })?;
    let pool = open_write_pool(&connect_options(file)).await?;
    let mut connection = pool.acquire().await.map_err(StoreError::from)?;
    let migrated = migrate::migrate::<Sqlite>(&MIGRATIONS, &mut connection).await;
    drop(connection);
    pool.close().await;
    migrated
}

impl MigrationDialect for Sqlite {
    // Takes the write lock of the file, which no other process has then.
    const BEGIN_MIGRATION: &'static str = "begin immediate";
    const BEGIN_CHECK: &'static str = "begin";
    const TABLE_EXISTS: &'static str = statement!("migrations/table_exists.sqlite.sql");
    const CREATE_TABLE: &'static str = statement!("migrations/create_table.sqlite.sql");

    async fn try_lock(_: &mut SqliteConnection) -> Result<LockAttempt, StoreError> {
        Ok(LockAttempt::Locked)
    }

    async fn run_script(connection: &mut SqliteConnection, sql: SqlStr) -> Result<(), sqlx::Error> {
        connection.execute(sql).await?;
        Ok(())
    }
}

impl Dialect for Sqlite {
    const SHARES_POOL: bool = false;

    const TRANSACTIONS: Transactions = Transactions {
        // Takes the write lock at once, so that nothing changes between the reads and the writes of a transaction.
        write: "begin immediate",
        // In WAL mode a transaction sees what was committed before its first read.
        snapshot: "begin",
        read: None,
    };

    const SHARED: bool = false;

    const CONCURRENT_WRITES: usize = 1;
    const MAX_WRITES: usize = 1;

    const SQL: Statements = Statements {
        lock_occupancy: None,
        lock_audit_head: None,
        lock_tickets: None,
        lock_unlocked_devices: None,
        lock_event: None,
        lock_event_with_gates: None,
        // A call to SQLite is not a round trip, so the general path is as fast.
        admit_first: None,
        load_scans_for_retry: statement!("scans/load_for_retry.sqlite.sql"),
        load_sessions: statement!("sessions/load_with_facts.sqlite.sql"),
        load_desks: statement!("gates/load_desks.sqlite.sql"),
        load_tickets: statement!("tickets/load.sqlite.sql"),
        load_occupancy: statement!("occupancy/load.sqlite.sql"),
        insert_scans: statement!("scans/insert.sqlite.sql"),
        append_to_feed: statement!("feed/append.sqlite.sql"),
        insert_feed_batches: Some(statement!("feed/insert_batches.sqlite.sql")),
        feed_entries: statement!("feed/entries.sqlite.sql"),
        lock_active_webhooks: statement!("webhooks/active.sqlite.sql"),
        webhook_feeds_ahead: statement!("webhooks/feeds_ahead.sqlite.sql"),
        webhook_entries: statement!("webhooks/entries.sqlite.sql"),
        insert_webhook_deliveries: statement!("webhooks/insert_deliveries.sqlite.sql"),
        webhook_conflicts: statement!("webhooks/conflicts.sqlite.sql"),
        webhook_quarantined: statement!("webhooks/quarantined.sqlite.sql"),
        feed_positions: statement!("feed/positions.sqlite.sql"),
        now: statement!("webhooks/now.sqlite.sql"),
        insert_scan_changes: statement!("feed/insert_changes.sqlite.sql"),
        update_tickets: statement!("tickets/update_after_scans.sqlite.sql"),
        add_counts: statement!("occupancy/add_counts.sqlite.sql"),
        add_arrivals: statement!("occupancy/add_arrivals.sqlite.sql"),
        add_session_counts: statement!("sessions/add_scan_counts.sqlite.sql"),
        any_ticket_exists: None,
        load_import_tickets: statement!("import/load_tickets.sqlite.sql"),
        load_tickets_by_media: statement!("tickets/by_media.sqlite.sql"),
        insert_import_media: statement!("import/insert_media.sqlite.sql"),
        delete_import_media: statement!("import/delete_media.sqlite.sql"),
        insert_import_tickets: statement!("import/insert_tickets.sqlite.sql"),
        update_import_tickets: statement!("import/update_tickets.sqlite.sql"),
        commit_probe: statement!("scans/commit_probe.sqlite.sql"),
        // Each connection sets its own.
        durability: None,
        worker_durability: None,
        record_ticket_status: statement!("tickets/record_status.sqlite.sql"),
        load_former_event_rules: statement!("rules/load_former_event_rules.sqlite.sql"),
        load_former_entry_limits: statement!("rules/load_former_entry_limits.sqlite.sql"),
        keep_entry_limits: statement!("rules/keep_entry_limits.sqlite.sql"),
        clear_audit_addresses: statement!("audit/clear_addresses.sqlite.sql"),
        mark_cut_off: None,
        others_cut_off: None,
        hold_lease: None,
        release_lease: None,
        signal_scans: statement!("signals/scans.sqlite.sql"),
        load_signal_windows: statement!("signals/load_windows.sqlite.sql"),
        put_signal_windows: statement!("signals/put_windows.sqlite.sql"),
        claim_deliveries: statement!("deliveries/claim.sqlite.sql"),
        settle_deliveries: statement!("deliveries/settle.sqlite.sql"),
        delay_following_deliveries: statement!("deliveries/delay_followers.sqlite.sql"),
    };

    /// One process uses the file.
    fn bus(_: &sqlx::Pool<Self>) -> Option<std::sync::Arc<dyn crate::bus::Bus>> {
        None
    }

    fn bind_rows<R: BulkRow>(arguments: &mut Self::Arguments, rows: &[R]) -> Result<(), BoxDynError> {
        arguments.add(serde_json::to_string(rows)?)
    }

    dialect_basics!();
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::model::{OrganizationId, Timestamp};
    use crate::store::NodeStore as _;

    #[tokio::test]
    async fn reads_of_lists_leave_a_connection_for_scans_and_authentication() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = open(&directory.path().join("gate.db"), OpenMode::Beside, true)
            .await
            .expect("a database");
        let mut lists = Vec::new();
        let organizations: Vec<_> = (0..=BULK_READERS)
            .map(|_| OrganizationId::generate(Timestamp::from_millis(0)))
            .collect();
        for organization in &organizations[..BULK_READERS] {
            lists.push(database.read_bulk(*organization).await.expect("a connection"));
        }
        let last = organizations[BULK_READERS];
        assert!(database.read_bulk(last).now_or_never().is_none(), "it waits");
        database.read().await.expect("a free connection");
        lists.pop();
        lists.push(database.read_bulk(last).await.expect("a connection"));
    }

    #[tokio::test]
    async fn lists_of_one_organization_leave_room_for_those_of_others() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = open(&directory.path().join("gate.db"), OpenMode::Beside, true)
            .await
            .expect("a database");
        let [greedy, other] = [1, 2].map(|at| OrganizationId::generate(Timestamp::from_millis(at)));
        let mut lists = Vec::new();
        for _ in 0..BULK_READERS_OF_ORGANIZATION {
            lists.push(database.read_bulk(greedy).await.expect("a connection"));
        }
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(database.read_bulk(greedy))).collect();
        for one in &mut waiting {
            assert!(one.as_mut().now_or_never().is_none(), "it waits");
        }
        database.read_bulk(other).await.expect("a connection");
    }

    #[tokio::test]
    async fn readiness_does_not_wait_for_readers() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = open(&directory.path().join("gate.db"), OpenMode::Beside, true)
            .await
            .expect("a database");
        let mut readers = Vec::new();
        for _ in 0..READ_CONNECTIONS {
            readers.push(database.read().await.expect("a connection"));
        }
        assert!(database.read().now_or_never().is_none(), "all readers are taken");
        let now = Timestamp::from_millis(1_795_370_400_000);
        database
            .check_writable(now)
            .await
            .expect("a scan can be recorded");
    }
}

//! PostgreSQL, which several nodes share.
//!
//! Invariants: every node locks rows in the same order. Facts are read by a later statement than the one that locked
//! them: under READ COMMITTED a statement sees what was committed when it started, not when it got its locks.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Arguments as _, Connection as _, Executor as _, PgConnection, Postgres, Row as _};

use crate::bus::postgres::PostgresBus;
use crate::migrations;
use crate::shares::Shares;
use crate::store::StoreError;
use crate::store::sql::bulk::{BulkRow, Column};
use crate::store::sql::bulk_readers::BulkReaders;
use crate::store::sql::migrate::{self, Migrated};
use crate::store::sql::open::OpenError;
use crate::store::sql::pooler::{self, POOLED_TRANSACTIONS};
use crate::store::sql::transactions::{Pooler, Transactions};
use crate::store::sql::writer_connection::{PING_AFTER_IDLE, WriterConnections};
use crate::store::sql::{
    AUDIT_HEAD_WAITERS, DEVICE_WRITES, Dialect, Sql, Statements, dialect_basics, statement,
};

mod connect;
mod migration_lock;

use connect::{connect, connect_options};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(migrations::postgres);

/// The maximum number of connections of a node, apart from those that record scans.
const MAX_CONNECTIONS: u32 = 14;

/// How many of those connections may read lists and manifests at a time. The others stay free for scans and
/// authentication.
const BULK_READERS: usize = 6;

/// How many of these read for one organization.
const BULK_READERS_OF_ORGANIZATION: usize = 4;

/// How many writes of scans run side by side, each of another organization.
const CONCURRENT_WRITES: u32 = 4;

/// How many may run when some of them wait for locks, so that a few locked organizations do not stop the others.
const MAX_WRITES: u32 = 12;

/// The maximum number of connections that record scans. A connection that made the last write has warm caches in its
/// server process and in the processor. One more connection covers the moment in which one returns to the pool.
const MAX_SCAN_CONNECTIONS: u32 = MAX_WRITES + 1;

/// How long a call waits for a connection, including opening one. Callers learn within two seconds that the database is
/// unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1500);

/// Timeouts that the server enforces, so that a node that hangs or lost its network does not block others: of a
/// statement, of waiting for a lock, and of a transaction whose node is silent. The transactions of a pooler set the same.
const SESSION_TIMEOUTS: [&str; 3] = ["10s", "5s", "10s"];

/// Opens a database by its URL.
pub(crate) async fn open(url: &str, is_migrating: bool, pooler: Pooler) -> Result<Sql<Postgres>, OpenError> {
    let options = connect_options(url, pooler)?;
    let mut connection = connect(&options).await?;
    if pooler == Pooler::None {
        pooler::refuse_transaction_pooler(&mut connection, &options).await?;
    }
    // This connection has no timeouts, because a migration may take long.
    if is_migrating {
        migrate::migrate::<Postgres>(&MIGRATIONS, &mut connection).await?;
    } else {
        migrate::check::<Postgres>(&MIGRATIONS, &mut connection).await?;
    }
    let is_citus = is_citus(&mut connection).await?;
    connection.close().await.map_err(StoreError::from)?;
    let pool = pool_options(MAX_CONNECTIONS, pooler).connect_lazy_with(options.clone());
    // Opened now, so that a database that accepts no more connections is reported at the start.
    drop(pool.acquire().await.map_err(StoreError::from)?);
    Ok(Sql {
        scan_pool: pool_options(MAX_SCAN_CONNECTIONS, pooler).connect_lazy_with(options),
        writer_connections: WriterConnections::empty(),
        write_pool: pool.clone(),
        read_pool: pool,
        transactions: match pooler {
            Pooler::None => Postgres::TRANSACTIONS,
            Pooler::Transaction => POOLED_TRANSACTIONS,
        },
        is_citus,
        files: None,
        bulk_readers: BulkReaders::new(BULK_READERS, BULK_READERS_OF_ORGANIZATION),
        audit_head_waiters: Shares::new(AUDIT_HEAD_WAITERS),
        device_writes: Shares::new(DEVICE_WRITES),
    })
}

/// Migrates a database.
pub(crate) async fn migrate(url: &str, pooler: Pooler) -> Result<Migrated, OpenError> {
    let options = connect_options(url, pooler)?;
    let mut connection = connect(&options).await?;
    if pooler == Pooler::None {
        pooler::refuse_transaction_pooler(&mut connection, &options).await?;
    }
    let migrated = migrate::migrate::<Postgres>(&MIGRATIONS, &mut connection).await?;
    connection.close().await.map_err(StoreError::from)?;
    Ok(migrated)
}

/// Whether the database has the extension Citus, which distributes its tables.
async fn is_citus(connection: &mut PgConnection) -> Result<bool, StoreError> {
    // A simple query, because behind a pooler the messages of a prepared one may reach two sessions.
    let row = connection
        .fetch_one(sqlx::raw_sql(statement!("citus/is_installed.postgres.sql")))
        .await?;
    Ok(row.try_get(0)?)
}

fn pool_options(max_connections: u32, pooler: Pooler) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if pooler == Pooler::Transaction {
                    return Ok(());
                }
                // Not at the start of the connection, where poolers accept no settings. This statement is the first one that the
                // connection keeps prepared: see `keeps_statements`.
                let [statement, lock, idle] = SESSION_TIMEOUTS;
                sqlx::query(statement!("session_settings.postgres.sql"))
                    .bind(statement)
                    .bind(lock)
                    .bind(idle)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for <= PING_AFTER_IDLE || is_writable(connection).await?) })
        })
}

/// Whether a connection answers, and its session may write. A session keeps the read-only mode that it began with when the
/// mode of its database or role changes, so that it is replaced. A new one is used whatever its mode is: it can read.
async fn is_writable(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row = connection
        .fetch_one(sqlx::raw_sql("show transaction_read_only"))
        .await?;
    Ok(row.try_get::<&str, _>(0)? == "off")
}

impl Dialect for Postgres {
    const TRANSACTIONS: Transactions = Transactions {
        // The isolation level is explicit: after taking its locks, a batch must read the latest state, whatever the default
        // of the server is.
        write: "begin isolation level read committed",
        snapshot: "begin isolation level repeatable read, read only",
        read: None,
    };

    const SHARED: bool = true;

    const CONCURRENT_WRITES: usize = CONCURRENT_WRITES as usize;
    const MAX_WRITES: usize = MAX_WRITES as usize;

    const SQL: Statements = Statements {
        lock_occupancy: Some(statement!("occupancy/lock.postgres.sql")),
        lock_audit_head: Some(statement!("audit/wait_for_head.postgres.sql")),
        lock_tickets: Some(statement!("tickets/lock.postgres.sql")),
        lock_unlocked_devices: Some(statement!("devices/lock_unlocked.postgres.sql")),
        lock_event: Some(statement!("events/lock.postgres.sql")),
        lock_event_with_gates: Some(statement!("events/lock_with_gates.postgres.sql")),
        admit_first: Some(statement!("first_admission/admit.postgres.sql")),
        load_scans_for_retry: statement!("scans/load_for_retry.postgres.sql"),
        load_sessions: statement!("sessions/load_with_facts.postgres.sql"),
        load_desks: statement!("gates/load_desks.postgres.sql"),
        load_tickets: statement!("tickets/load.postgres.sql"),
        load_occupancy: statement!("occupancy/load.postgres.sql"),
        insert_scans: statement!("scans/insert.postgres.sql"),
        append_to_feed: statement!("feed/append.postgres.sql"),
        insert_feed_batches: None,
        feed_entries: statement!("feed/entries.postgres.sql"),
        lock_active_webhooks: statement!("webhooks/active.postgres.sql"),
        webhook_feeds_ahead: statement!("webhooks/feeds_ahead.postgres.sql"),
        webhook_entries: statement!("webhooks/entries.postgres.sql"),
        insert_webhook_deliveries: statement!("webhooks/insert_deliveries.postgres.sql"),
        webhook_conflicts: statement!("webhooks/conflicts.postgres.sql"),
        webhook_quarantined: statement!("webhooks/quarantined.postgres.sql"),
        feed_positions: statement!("feed/positions.postgres.sql"),
        now: statement!("webhooks/now.postgres.sql"),
        insert_scan_changes: statement!("feed/insert_changes.postgres.sql"),
        update_tickets: statement!("tickets/update_after_scans.postgres.sql"),
        add_counts: statement!("occupancy/add_counts.postgres.sql"),
        add_arrivals: statement!("occupancy/add_arrivals.postgres.sql"),
        add_session_counts: statement!("sessions/add_scan_counts.postgres.sql"),
        any_ticket_exists: Some(statement!("import/any_ticket_exists.postgres.sql")),
        load_import_tickets: statement!("import/load_tickets.postgres.sql"),
        load_tickets_by_media: statement!("tickets/by_media.postgres.sql"),
        insert_import_media: statement!("import/insert_media.postgres.sql"),
        delete_import_media: statement!("import/delete_media.postgres.sql"),
        insert_import_tickets: statement!("import/insert_tickets.postgres.sql"),
        update_import_tickets: statement!("import/update_tickets.postgres.sql"),
        commit_probe: statement!("scans/commit_probe.postgres.sql"),
        durability: Some(statement!("durability.postgres.sql")),
        worker_durability: Some(statement!("citus/worker_durability.postgres.sql")),
        record_ticket_status: statement!("tickets/record_status.postgres.sql"),
        load_former_event_rules: statement!("rules/load_former_event_rules.postgres.sql"),
        load_former_entry_limits: statement!("rules/load_former_entry_limits.postgres.sql"),
        keep_entry_limits: statement!("rules/keep_entry_limits.postgres.sql"),
        clear_audit_addresses: statement!("audit/clear_addresses.postgres.sql"),
        mark_cut_off: Some(statement!("nodes/mark_cut_off.postgres.sql")),
        others_cut_off: Some(statement!("nodes/others_cut_off.postgres.sql")),
        hold_lease: Some(statement!("background/hold_lease.postgres.sql")),
        release_lease: Some(statement!("background/release_lease.postgres.sql")),
        signal_scans: statement!("signals/scans.postgres.sql"),
        load_signal_windows: statement!("signals/load_windows.postgres.sql"),
        put_signal_windows: statement!("signals/put_windows.postgres.sql"),
        claim_deliveries: statement!("deliveries/claim.postgres.sql"),
        settle_deliveries: statement!("deliveries/settle.postgres.sql"),
        delay_following_deliveries: statement!("deliveries/delay_followers.postgres.sql"),
    };

    fn bus(pool: &sqlx::Pool<Self>) -> Option<std::sync::Arc<dyn crate::bus::Bus>> {
        Some(std::sync::Arc::new(PostgresBus::new(pool.clone())))
    }

    /// A connection whose first statement was prepared keeps them ([`pool_options`]). Behind a pooler, and while migrating, none
    /// is.
    fn keeps_statements(connection: &PgConnection) -> bool {
        connection.cached_statements_size() > 0
    }

    fn bind_rows<R: BulkRow>(arguments: &mut Self::Arguments, rows: &[R]) -> Result<(), BoxDynError> {
        for column in R::columns(rows) {
            match column {
                Column::Id(values) => arguments.add(values),
                Column::OptId(values) => arguments.add(values),
                Column::Int(values) => arguments.add(values),
                Column::OptInt(values) => arguments.add(values),
                Column::Text(values) => arguments.add(values),
                Column::OptText(values) => arguments.add(values),
                Column::Bytes(values) => arguments.add(values),
            }?;
        }
        Ok(())
    }

    dialect_basics!();
}

//! What differs between the databases.

use std::future::Future;

use sqlx::error::BoxDynError;
use sqlx::{Database, IntoArguments, Pool};
use uuid::Uuid;

use crate::store::sql::bulk::BulkRow;
use crate::store::sql::query::Value;
use crate::store::sql::transactions::Transactions;

/// The text of a statement file, by its path below `statements/`.
macro_rules! statement {
    ($path:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/store/sql/statements/",
            $path
        ))
    };
}

pub(crate) use statement;

/// What the shared code needs of a database.
pub(crate) trait Dialect: Database<Arguments: IntoArguments<Self>> + Sized {
    /// Whether one pool serves reads and writes.
    const SHARES_POOL: bool = true;
    /// The statements that begin transactions.
    const TRANSACTIONS: Transactions;
    /// Whether other processes may write to the same database.
    const SHARED: bool;
    /// How many writes of scans may run side by side, each of another organization.
    const CONCURRENT_WRITES: usize;
    /// How many writes of scans may run at a time, including those that wait for locks.
    const MAX_WRITES: usize;
    /// The statements that differ.
    const SQL: Statements;

    /// The bus to other nodes that the database itself offers, if it does.
    fn bus(pool: &Pool<Self>) -> Option<std::sync::Arc<dyn crate::bus::Bus>>;

    /// Whether the server keeps the statements of a connection prepared.
    fn keeps_statements(_connection: &Self::Connection) -> bool {
        true
    }

    fn bind(arguments: &mut Self::Arguments, value: Value<'_>) -> Result<(), BoxDynError>;

    /// Binds rows in the form that the set-based statements of this database read.
    fn bind_rows<R: BulkRow>(arguments: &mut Self::Arguments, rows: &[R]) -> Result<(), BoxDynError>;

    fn id(row: &Self::Row, column: &str) -> Result<Option<Uuid>, sqlx::Error>;
    fn int(row: &Self::Row, column: &str) -> Result<Option<i64>, sqlx::Error>;
    fn float(row: &Self::Row, column: &str) -> Result<Option<f64>, sqlx::Error>;
    fn bool(row: &Self::Row, column: &str) -> Result<bool, sqlx::Error>;
    fn text<'r>(row: &'r Self::Row, column: &str) -> Result<Option<&'r str>, sqlx::Error>;
    fn bytes(row: &Self::Row, column: &str) -> Result<Option<Vec<u8>>, sqlx::Error>;

    /// Runs a statement and returns how many rows it changed.
    fn execute(
        connection: &mut Self::Connection,
        sql: &'static str,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// Runs a statement and returns its rows.
    fn fetch_all(
        connection: &mut Self::Connection,
        sql: &'static str,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;
}

/// The set-based statements and the locks. An optional statement is `None` on a database that does not need it. The
/// statement files describe the parameters.
pub(crate) struct Statements {
    /// Locks the gate counters of events.
    pub(crate) lock_occupancy: Option<&'static str>,
    /// Locks the head of an audit log. Comes first.
    pub(crate) lock_audit_head: Option<&'static str>,
    /// Locks tickets. Comes after [`Self::lock_occupancy`].
    pub(crate) lock_tickets: Option<&'static str>,
    /// Locks devices that no other transaction has locked, and reads their ids.
    pub(crate) lock_unlocked_devices: Option<&'static str>,
    /// Locks an event against another import.
    pub(crate) lock_event: Option<&'static str>,
    /// Locks an event with its gates and counters against admissions.
    pub(crate) lock_event_with_gates: Option<&'static str>,
    /// Admits and records first admissions, and returns those that it admitted.
    pub(crate) admit_first: Option<&'static str>,
    /// Reads scans for their retries.
    pub(crate) load_scans_for_retry: &'static str,
    /// Reads sessions with device, event and gate.
    pub(crate) load_sessions: &'static str,
    pub(crate) load_desks: &'static str,
    /// Reads tickets.
    pub(crate) load_tickets: &'static str,
    /// Reads the gate counters of events.
    pub(crate) load_occupancy: &'static str,
    /// Inserts scans ([`BulkRow`]) and returns those whose id was new.
    pub(crate) insert_scans: &'static str,
    /// Appends entries to the feeds of events.
    pub(crate) append_to_feed: &'static str,
    /// Inserts the entries, where `append_to_feed` only reserves their positions.
    pub(crate) insert_feed_batches: Option<&'static str>,
    /// Reads the scans of entries.
    pub(crate) feed_entries: &'static str,
    /// Reads the last positions of the feeds of events.
    pub(crate) feed_positions: &'static str,
    /// Reads the active webhooks, and where others may change them meanwhile, locks them.
    pub(crate) lock_active_webhooks: &'static str,
    /// Reads which feeds are ahead of webhooks.
    pub(crate) webhook_feeds_ahead: &'static str,
    /// Reads the scans of all entries of a feed.
    pub(crate) webhook_entries: &'static str,
    /// Inserts deliveries of webhooks, except those that exist.
    pub(crate) insert_webhook_deliveries: &'static str,
    /// Reads the conflicts that scans have lost.
    pub(crate) webhook_conflicts: &'static str,
    /// Reads scans in quarantine as conflicts.
    pub(crate) webhook_quarantined: &'static str,
    /// Reads the clock of the database.
    pub(crate) now: &'static str,
    /// Notes the positions of changes of scans.
    pub(crate) insert_scan_changes: &'static str,
    /// Writes what scans change on tickets.
    pub(crate) update_tickets: &'static str,
    /// Adds to the counters of gates.
    pub(crate) add_counts: &'static str,
    /// Adds to the arrivals of events.
    pub(crate) add_arrivals: &'static str,
    /// Adds to the scan counts of sessions.
    pub(crate) add_session_counts: &'static str,
    /// Reads whether one of some tickets exists ([`BulkRow`]), where this costs less than reading them.
    pub(crate) any_ticket_exists: Option<&'static str>,
    /// Reads tickets with holder and order.
    pub(crate) load_import_tickets: &'static str,
    /// Reads the tickets that have media.
    pub(crate) load_tickets_by_media: &'static str,
    /// Gives media to tickets.
    pub(crate) insert_import_media: &'static str,
    /// Takes media from tickets.
    pub(crate) delete_import_media: &'static str,
    /// Inserts tickets ([`BulkRow`]).
    pub(crate) insert_import_tickets: &'static str,
    /// Writes what an import changes on tickets ([`BulkRow`]).
    pub(crate) update_import_tickets: &'static str,
    /// Commits something that no table holds.
    pub(crate) commit_probe: &'static str,
    /// Reads the settings that could lose an acknowledged commit, where the server has such settings.
    pub(crate) durability: Option<&'static str>,
    /// Reads whether a worker of Citus does not sync what it commits.
    pub(crate) worker_durability: Option<&'static str>,
    /// Records the statuses that staff gave to tickets.
    pub(crate) record_ticket_status: &'static str,
    /// Reads the former rules of events.
    pub(crate) load_former_event_rules: &'static str,
    /// Reads the former entry limits of tickets.
    pub(crate) load_former_entry_limits: &'static str,
    /// Keeps the entry limits that tickets had until now.
    pub(crate) keep_entry_limits: &'static str,
    /// Clears old addresses of the audit log.
    pub(crate) clear_audit_addresses: &'static str,
    /// Says that a node is cut off, where there may be several.
    pub(crate) mark_cut_off: Option<&'static str>,
    /// Reads whether another node is cut off.
    pub(crate) others_cut_off: Option<&'static str>,
    /// Takes or renews the lease of a task, where there may be several nodes.
    pub(crate) hold_lease: Option<&'static str>,
    /// Gives up a lease.
    pub(crate) release_lease: Option<&'static str>,
    /// Reads what a search for signals needs of scans ([`BulkRow`]).
    pub(crate) signal_scans: &'static str,
    /// Reads the windows of devices, from which signals are found.
    pub(crate) load_signal_windows: &'static str,
    /// Writes the windows of devices.
    pub(crate) put_signal_windows: &'static str,
    /// Leases deliveries that are due.
    pub(crate) claim_deliveries: &'static str,
    /// Writes how attempts of deliveries ended.
    pub(crate) settle_deliveries: &'static str,
    /// Has deliveries wait for an earlier one of their ticket.
    pub(crate) delay_following_deliveries: &'static str,
}

/// The methods of [`Dialect`] whose source text is the same for both databases.
macro_rules! dialect_basics {
    () => {
        fn bind(
            arguments: &mut Self::Arguments,
            value: crate::store::sql::Value<'_>,
        ) -> Result<(), sqlx::error::BoxDynError> {
            use crate::store::sql::Value;
            match value {
                Value::Id(id) => arguments.add(id),
                Value::Int(int) => arguments.add(int),
                Value::Float(float) => arguments.add(float),
                Value::Bool(bool) => arguments.add(bool),
                Value::Text(text) => arguments.add(text),
                Value::Bytes(bytes) => arguments.add(bytes),
            }
        }

        fn id(row: &Self::Row, column: &str) -> Result<Option<uuid::Uuid>, sqlx::Error> {
            row.try_get(column)
        }

        fn int(row: &Self::Row, column: &str) -> Result<Option<i64>, sqlx::Error> {
            row.try_get(column)
        }

        fn float(row: &Self::Row, column: &str) -> Result<Option<f64>, sqlx::Error> {
            row.try_get(column)
        }

        fn bool(row: &Self::Row, column: &str) -> Result<bool, sqlx::Error> {
            row.try_get(column)
        }

        fn text<'r>(row: &'r Self::Row, column: &str) -> Result<Option<&'r str>, sqlx::Error> {
            row.try_get(column)
        }

        fn bytes(row: &Self::Row, column: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
            row.try_get(column)
        }

        async fn execute(
            connection: &mut Self::Connection,
            sql: &'static str,
            arguments: Self::Arguments,
        ) -> Result<u64, sqlx::Error> {
            let done = sqlx::query_with::<Self, _>(sql, arguments)
                .persistent(Self::keeps_statements(connection))
                .execute(connection)
                .await?;
            Ok(done.rows_affected())
        }

        async fn fetch_all(
            connection: &mut Self::Connection,
            sql: &'static str,
            arguments: Self::Arguments,
        ) -> Result<Vec<Self::Row>, sqlx::Error> {
            sqlx::query_with::<Self, _>(sql, arguments)
                .persistent(Self::keeps_statements(connection))
                .fetch_all(connection)
                .await
        }
    };
}

pub(crate) use dialect_basics;

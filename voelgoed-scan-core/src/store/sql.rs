//! How is a statement run on either database? What SQLite and PostgreSQL share is written once against [`Dialect`];
//! what differs is a constant or a line of it.
//!
//! Invariants: SQL is static text; values are only ever bound. Errors leave this room as [`StoreError`].

mod batch;
mod change_counters;
mod columns;
mod deadline;
mod denials;
mod devices;
mod enrollments;
mod events;
mod first_admission;
mod import;
mod keys;
mod manifests;
mod nodes;
mod open;
mod organizations;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
mod scan_row;
mod scans;
mod sessions;
#[cfg(feature = "sqlite")]
mod sqlite;
mod sync;
mod tickets;
mod undo;
mod writer_connection;

pub use open::{OpenError, open};

use std::future::Future;
use std::str::FromStr;

use sqlx::error::BoxDynError;
use sqlx::{Database, IntoArguments, Pool, Transaction};
use uuid::Uuid;

use crate::model::Timestamp;
use crate::store::StoreError;
use crate::store::sql::columns::Columns;
use crate::store::sql::writer_connection::WriterConnection;

/// A value to be bound: its variant is its type, so that a null has one too.
pub(crate) enum Value<'a> {
    Id(Option<Uuid>),
    Int(Option<i64>),
    Float(Option<f64>),
    Bool(bool),
    Text(Option<&'a str>),
    Bytes(Option<&'a [u8]>),
}

/// What the shared code asks of a database.
pub(crate) trait Dialect: Database<Arguments: IntoArguments<Self>> + Sized {
    /// Whether one pool is for reading and for writing.
    const SHARES_POOL: bool = true;
    /// Starts a transaction that writes.
    const BEGIN_WRITE: &'static str;
    /// Whether other processes may write to the same database.
    const SHARED: bool;
    /// The statements that differ.
    const SQL: Statements;

    /// A way to other nodes that the database itself offers.
    fn bus(pool: &Pool<Self>) -> Option<std::sync::Arc<dyn crate::bus::Bus>>;

    fn bind(arguments: &mut Self::Arguments, value: Value<'_>) -> Result<(), BoxDynError>;

    /// Binds rows in the way that this database's set-based statements read them.
    fn bind_rows<R: Columns>(arguments: &mut Self::Arguments, rows: &[R]) -> Result<(), BoxDynError>;

    fn id(row: &Self::Row, column: &str) -> Result<Option<Uuid>, sqlx::Error>;
    fn int(row: &Self::Row, column: &str) -> Result<Option<i64>, sqlx::Error>;
    fn float(row: &Self::Row, column: &str) -> Result<Option<f64>, sqlx::Error>;
    fn bool(row: &Self::Row, column: &str) -> Result<bool, sqlx::Error>;
    fn text(row: &Self::Row, column: &str) -> Result<Option<String>, sqlx::Error>;
    fn bytes(row: &Self::Row, column: &str) -> Result<Option<Vec<u8>>, sqlx::Error>;

    fn execute(
        connection: &mut Self::Connection,
        sql: &'static str,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    fn fetch_all(
        connection: &mut Self::Connection,
        sql: &'static str,
        arguments: Self::Arguments,
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;
}

/// The set-based statements and locks, which each database has in its own words. Each takes `$1`, a JSON array; those
/// that write many columns take rows ([`Columns`]).
pub(crate) struct Statements {
    /// Locks what a batch of scans will change, in one order on every node: occupancy of `$1` (organization, event).
    pub(crate) lock_occupancy: Option<&'static str>,
    /// ... then tickets of `$1` (organization, code or id).
    pub(crate) lock_tickets: Option<&'static str>,
    /// Admits and records what is plainly admissible of `$1`; tells what it admitted.
    pub(crate) admit_fresh: Option<&'static str>,
    /// Scans of `$1` (organization, scan).
    pub(crate) known_scans: &'static str,
    /// Sessions of `$1` (organization, session) with device, event and gate.
    pub(crate) posts: &'static str,
    /// Tickets of `$1` (organization, code or id).
    pub(crate) tickets: &'static str,
    /// Occupancy rows of `$1` (organization, event).
    pub(crate) occupancy: &'static str,
    /// Writes scans (rows); does nothing for one whose id is taken, and tells the others.
    pub(crate) insert_scans: &'static str,
    /// Writes what scans change on the tickets of `$1`.
    pub(crate) update_tickets: &'static str,
    /// Adds the counts of `$1`.
    pub(crate) add_counts: &'static str,
    /// Adds the arrivals of `$1`.
    pub(crate) add_arrivals: &'static str,
    /// Adds the scan counts of `$1`.
    pub(crate) add_session_counts: &'static str,
    /// Whether any of some tickets (rows of organization, code or id) is there, where that costs less than to read them.
    pub(crate) any_ticket: Option<&'static str>,
    /// Locks event `$2` of organization `$1`, so that two imports do not both append to its classes; admissions go on.
    pub(crate) lock_event: Option<&'static str>,
    /// Locks event `$2` of organization `$1` with its gates and counters: admissions that were decided by what stands
    /// there are written, and those that come wait for what will.
    pub(crate) lock_doors: Option<&'static str>,
    /// Tickets of `$1` (organization, code or id) with holder and order.
    pub(crate) listings: &'static str,
    /// Writes new tickets (rows).
    pub(crate) insert_tickets: &'static str,
    /// Writes what an import changes on tickets (rows): never what scans write, save for the status.
    pub(crate) change_tickets: &'static str,
}

/// Writes the parts of [`Dialect`] that read the same on both databases.
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
                Value::Text(text) => arguments.add(text.map(str::to_owned)),
                Value::Bytes(bytes) => arguments.add(bytes.map(<[u8]>::to_vec)),
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

        fn text(row: &Self::Row, column: &str) -> Result<Option<String>, sqlx::Error> {
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
                .fetch_all(connection)
                .await
        }
    };
}

pub(crate) use dialect_basics;

/// A database behind a pool for recording scans, one for all else that writes and one for reading. On PostgreSQL the
/// last two are the same, on SQLite the first two.
pub(crate) struct Sql<D: Dialect> {
    pub(crate) recorders: Pool<D>,
    pub(crate) hand: WriterConnection<D>,
    pub(crate) writers: Pool<D>,
    pub(crate) readers: Pool<D>,
}

impl<D: Dialect> Sql<D> {
    /// A connection for reading.
    pub(crate) async fn read(&self) -> Result<sqlx::pool::PoolConnection<D>, StoreError> {
        Ok(self.readers.acquire().await?)
    }

    /// A transaction for writing.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, D>, StoreError> {
        Ok(self.writers.begin_with(D::BEGIN_WRITE).await?)
    }
}

/// A statement with its values.
pub(crate) struct Query<D: Dialect> {
    sql: &'static str,
    arguments: Result<D::Arguments, BoxDynError>,
}

/// Starts a statement.
pub(crate) fn query<D: Dialect>(sql: &'static str) -> Query<D> {
    Query {
        sql,
        arguments: Ok(D::Arguments::default()),
    }
}

impl<D: Dialect> Query<D> {
    fn bind(mut self, value: Value<'_>) -> Self {
        self.arguments = self.arguments.and_then(|mut arguments| {
            D::bind(&mut arguments, value)?;
            Ok(arguments)
        });
        self
    }

    pub(crate) fn id(self, id: &Uuid) -> Self {
        self.bind(Value::Id(Some(*id)))
    }

    pub(crate) fn opt_id(self, id: Option<&Uuid>) -> Self {
        self.bind(Value::Id(id.copied()))
    }

    pub(crate) fn int(self, int: i64) -> Self {
        self.bind(Value::Int(Some(int)))
    }

    pub(crate) fn opt_int(self, int: Option<i64>) -> Self {
        self.bind(Value::Int(int))
    }

    pub(crate) fn time(self, time: Timestamp) -> Self {
        self.int(time.as_millis())
    }

    pub(crate) fn opt_time(self, time: Option<Timestamp>) -> Self {
        self.opt_int(time.map(Timestamp::as_millis))
    }

    pub(crate) fn opt_float(self, float: Option<f64>) -> Self {
        self.bind(Value::Float(float))
    }

    pub(crate) fn bool(self, bool: bool) -> Self {
        self.bind(Value::Bool(bool))
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.bind(Value::Text(Some(text)))
    }

    pub(crate) fn opt_text(self, text: Option<&str>) -> Self {
        self.bind(Value::Text(text))
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        self.bind(Value::Bytes(Some(bytes)))
    }

    pub(crate) fn opt_bytes(self, bytes: Option<&[u8]>) -> Self {
        self.bind(Value::Bytes(bytes))
    }

    /// Binds a value as JSON text.
    pub(crate) fn json<T: serde::Serialize + ?Sized>(mut self, value: &T) -> Self {
        match serde_json::to_string(value) {
            Ok(text) => self.text(&text),
            Err(error) => {
                self.arguments = Err(error.into());
                self
            }
        }
    }

    /// Binds rows, as the last parameters.
    pub(crate) fn rows<R: Columns>(mut self, rows: &[R]) -> Self {
        self.arguments = self.arguments.and_then(|mut arguments| {
            D::bind_rows(&mut arguments, rows)?;
            Ok(arguments)
        });
        self
    }

    /// Binds a value as JSON text, or null.
    pub(crate) fn opt_json<T: serde::Serialize>(self, value: Option<&T>) -> Self {
        match value {
            Some(value) => self.json(value),
            None => self.opt_text(None),
        }
    }

    /// Runs the statement; how many rows it changed.
    pub(crate) async fn execute(self, connection: &mut D::Connection) -> Result<u64, StoreError> {
        let arguments = self.arguments.map_err(sqlx::Error::Encode)?;
        Ok(D::execute(connection, self.sql, arguments).await?)
    }

    /// Runs the statement; all rows.
    pub(crate) async fn fetch_all(self, connection: &mut D::Connection) -> Result<Vec<Row<D>>, StoreError> {
        let arguments = self.arguments.map_err(sqlx::Error::Encode)?;
        Ok(D::fetch_all(connection, self.sql, arguments)
            .await?
            .into_iter()
            .map(Row)
            .collect())
    }

    /// Runs the statement; its first row.
    pub(crate) async fn fetch_optional(
        self,
        connection: &mut D::Connection,
    ) -> Result<Option<Row<D>>, StoreError> {
        Ok(self.fetch_all(connection).await?.into_iter().next())
    }
}

/// A row that was read.
pub(crate) struct Row<D: Dialect>(D::Row);

impl<D: Dialect> Row<D> {
    pub(crate) fn id<T: From<Uuid>>(&self, column: &str) -> Result<T, StoreError> {
        self.opt_id(column)?.ok_or_else(|| missing(column))
    }

    pub(crate) fn opt_id<T: From<Uuid>>(&self, column: &str) -> Result<Option<T>, StoreError> {
        Ok(D::id(&self.0, column)?.map(T::from))
    }

    pub(crate) fn int(&self, column: &str) -> Result<i64, StoreError> {
        self.opt_int(column)?.ok_or_else(|| missing(column))
    }

    pub(crate) fn opt_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        Ok(D::int(&self.0, column)?)
    }

    /// An integer of a narrower type.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, StoreError> {
        self.opt_number(column)?.ok_or_else(|| missing(column))
    }

    pub(crate) fn opt_number<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, StoreError> {
        self.opt_int(column)?
            .map(|int| T::try_from(int).map_err(|_| wrong(column, "out of range")))
            .transpose()
    }

    pub(crate) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.int(column).map(Timestamp::from_millis)
    }

    pub(crate) fn opt_time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.opt_int(column)?.map(Timestamp::from_millis))
    }

    pub(crate) fn opt_float(&self, column: &str) -> Result<Option<f64>, StoreError> {
        Ok(D::float(&self.0, column)?)
    }

    pub(crate) fn bool(&self, column: &str) -> Result<bool, StoreError> {
        Ok(D::bool(&self.0, column)?)
    }

    pub(crate) fn text(&self, column: &str) -> Result<String, StoreError> {
        D::text(&self.0, column)?.ok_or_else(|| missing(column))
    }

    pub(crate) fn opt_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        Ok(D::text(&self.0, column)?)
    }

    pub(crate) fn bytes<const N: usize>(&self, column: &str) -> Result<[u8; N], StoreError> {
        self.opt_bytes(column)?.ok_or_else(|| missing(column))
    }

    pub(crate) fn opt_bytes<const N: usize>(&self, column: &str) -> Result<Option<[u8; N]>, StoreError> {
        let bytes = D::bytes(&self.0, column)?;
        bytes
            .map(|bytes| bytes.try_into().map_err(|_| wrong(column, "of another length")))
            .transpose()
    }

    /// A text that a type parses.
    pub(crate) fn parse<T: FromStr>(&self, column: &str) -> Result<T, StoreError> {
        self.text(column)?
            .parse()
            .map_err(|_| wrong(column, "not of its type"))
    }

    pub(crate) fn opt_parse<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError> {
        let text = self.opt_text(column)?;
        text.map(|text| text.parse().map_err(|_| wrong(column, "not of its type")))
            .transpose()
    }

    /// A text that holds JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|_| wrong(column, "not of its type"))
    }

    pub(crate) fn opt_json<T: serde::de::DeserializeOwned>(
        &self,
        column: &str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.opt_text(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|_| wrong(column, "not of its type")))
            .transpose()
    }
}

fn missing(column: &str) -> StoreError {
    wrong(column, "null")
}

fn wrong(column: &str, what: &str) -> StoreError {
    StoreError::Failed {
        reason: format!("column {column} is {what}"),
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let reason = error.to_string();
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable { reason },
            sqlx::Error::Database(database) if contended(database.code().as_deref()) => {
                Self::Contended { reason }
            }
            sqlx::Error::Database(database) if passing(database.code().as_deref()) => {
                Self::Unavailable { reason }
            }
            _ => Self::Failed { reason },
        }
    }
}

/// Codes of writers in each other's way: PostgreSQL's class 40 (rollback) and unique violations on both databases.
fn contended(code: Option<&str>) -> bool {
    code.is_some_and(|code| {
        code.starts_with("40") && code.len() == 5 || ["23505", "1555", "2067"].contains(&code)
    })
}

/// Codes of failures that pass: PostgreSQL's classes 08 (connection), 53 (resources), 55 (locks), 57 (operator
/// intervention), and SQLite's busy, locked, full and input/output errors.
fn passing(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    if code.len() == 5 {
        return ["08", "53", "55", "57"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    // SQLite's extended codes carry the primary code in their low byte.
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13))
}

//! Takes over what can be read of a database that was set aside.
//!
//! Invariants: rows are read one by one from both ends of a table, so that a damaged page costs only its own rows; a row
//! that this database has is left alone; the rows of the old database stay as they are.

use std::path::Path;

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteRow, SqliteValueRef};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection, TypeInfo as _, ValueRef as _};

use crate::client::offline::log::{DeviceLog, LogTail, Transaction, database, invalid_column};
use crate::client::{OfflineError, OfflineScannerSetup, StorageReplacement};
use crate::model::Timestamp;
use crate::sync::LinkHash;

/// What was taken over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::client::offline) struct Rescue {
    /// The number of scans that wait for upload.
    pub(in crate::client::offline) scans: u64,
    /// Whether every row of every table was read.
    pub(in crate::client::offline) complete: bool,
}

/// A table that is taken over: two statements that read it, from either end, and one that writes a row.
struct Table {
    forward: &'static str,
    backward: &'static str,
    insert: &'static str,
    /// Whether its rows are scans that wait for upload.
    is_waiting: bool,
    /// Whether earlier versions lack the table. Its absence is no loss.
    is_recent: bool,
}

macro_rules! table {
    ($name:literal, waiting: $waiting:literal, recent: $recent:literal) => {
        table!($name, $name, waiting: $waiting, recent: $recent)
    };
    ($read:literal, $written:literal, waiting: $waiting:literal, recent: $recent:literal) => {
        Table {
            forward: include_str!(concat!("../statements/rescue/select_", $read, ".sql")),
            backward: include_str!(concat!("../statements/rescue/select_", $read, "_backward.sql")),
            insert: include_str!(concat!("../statements/rescue/insert_", $written, ".sql")),
            is_waiting: $waiting,
            is_recent: $recent,
        }
    };
}

/// The scans as the first version of this database has them, with fewer columns.
const FIRST_SCANS: &[Table] = &[
    table!("first_scans", "scans", waiting: true, recent: false),
    table!("first_rejected", "rejected", waiting: false, recent: false),
];

const SCANS: &[Table] = &[
    table!("scans", waiting: true, recent: false),
    table!("rejected", waiting: false, recent: false),
];

/// All other tables, but for the device's own state, which a later attempt must not take over again.
const TABLES: &[Table] = &[
    table!("passages", waiting: false, recent: false),
    table!("conflicts", waiting: false, recent: false),
    table!("attempts", waiting: false, recent: true),
    table!("server_facts", waiting: false, recent: true),
    table!("refused_payloads", waiting: false, recent: true),
    table!("server_verdicts", waiting: false, recent: true),
    table!("manifest_parts", waiting: false, recent: true),
    table!("manifest_uses", waiting: false, recent: true),
    table!("replaced_databases", waiting: false, recent: true),
];

impl DeviceLog {
    /// Returns the end of the log in a database that was set aside. `None` if it cannot be read.
    pub(in crate::client::offline) async fn tail_of(file: &Path) -> Option<LogTail> {
        let mut old = open_old(file).await.ok()?;
        let continued = sqlx::query(include_str!("../statements/select_tail.sql"))
            .fetch_one(&mut old)
            .await;
        let row = match continued {
            Ok(row) => row,
            // An earlier version wrote it, which continued no other log.
            Err(_) => sqlx::query(include_str!("../statements/rescue/select_tail.sql"))
                .fetch_one(&mut old)
                .await
                .ok()?,
        };
        let _ = old.close().await;
        let sequence: i64 = row.try_get("sequence").ok()?;
        let link: Option<Vec<u8>> = row.try_get("link").ok()?;
        let link = link.map(TryInto::try_into).transpose().ok()?;
        Some(LogTail {
            sequence: u64::try_from(sequence).ok()?,
            link: link.map(LinkHash::new),
        })
    }

    /// Takes over what can be read of a database that was set aside.
    pub(in crate::client::offline) async fn rescue_from(
        &mut self,
        file: &Path,
    ) -> Result<Rescue, OfflineError> {
        let mut transaction = self.begin().await?;
        let rescue = transaction.rescue_from(file).await?;
        self.commit(transaction).await?;
        Ok(rescue)
    }

    /// Takes over what can be read of a database that was set aside, with the device's own state, and continues its log, in one
    /// transaction. Does nothing if that was done before.
    pub(in crate::client::offline) async fn take_over(
        &mut self,
        setup: &OfflineScannerSetup,
        file: &Path,
        replaced_at: Timestamp,
        code: &str,
        tail: &LogTail,
    ) -> Result<(), OfflineError> {
        let path = file.to_string_lossy().into_owned();
        let mut transaction = self.begin().await?;
        let statement = sqlx::query(include_str!("../statements/insert_replacement.sql"))
            .bind(path.clone())
            .bind(replaced_at.as_millis())
            .bind(code);
        if transaction.execute_counted(statement).await? == 0 {
            return self.commit(transaction).await;
        }
        transaction.take_over_device(setup, file).await?;
        let rescue = transaction.rescue_from(file).await?;
        transaction.record_rescue(path, rescue).await?;
        let statement = sqlx::query(include_str!("../statements/update_log_base.sql"))
            .bind(i64::try_from(tail.sequence).map_err(|_| invalid_column("sequence"))?)
            .bind(tail.link.as_ref().map(|link| link.as_bytes().as_slice()));
        transaction.execute(statement).await?;
        self.commit(transaction).await
    }

    /// Returns the databases that were set aside and that nobody has confirmed, oldest first.
    pub(in crate::client::offline) async fn replacements(
        &mut self,
    ) -> Result<Vec<StorageReplacement>, OfflineError> {
        let rows = sqlx::query(include_str!("../statements/select_replacements.sql"))
            .fetch_all(self.reader().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let rescued: i64 = row.try_get("rescued")?;
                Ok(StorageReplacement {
                    path: row.try_get::<String, _>("path")?.into(),
                    replaced_at: Timestamp::from_millis(row.try_get("replaced_at")?),
                    code: row.try_get("code")?,
                    rescued: u64::try_from(rescued).map_err(|_| invalid_column("rescued"))?,
                    complete: row.try_get("complete")?,
                })
            })
            .collect()
    }

    /// Returns when the last database was set aside of which a part is lost.
    pub(in crate::client::offline) async fn lost_at(&mut self) -> Result<Option<Timestamp>, OfflineError> {
        let row = sqlx::query(include_str!("../statements/select_lost_at.sql"))
            .fetch_one(self.reader().await?)
            .await?;
        let lost_at: Option<i64> = row.try_get("lost_at")?;
        Ok(lost_at.map(Timestamp::from_millis))
    }

    /// Records the result of another attempt to take over a database.
    pub(in crate::client::offline) async fn record_rescue(
        &mut self,
        path: &Path,
        rescue: Rescue,
    ) -> Result<(), OfflineError> {
        let mut transaction = self.begin().await?;
        let path = path.to_string_lossy().into_owned();
        transaction.record_rescue(path, rescue).await?;
        self.commit(transaction).await
    }

    pub(in crate::client::offline) async fn confirm_replacements(&mut self) -> Result<(), OfflineError> {
        let statement = sqlx::query(include_str!("../statements/confirm_replacements.sql"));
        self.execute(statement).await
    }
}

async fn open_old(file: &Path) -> Result<SqliteConnection, OfflineError> {
    let options = database::options(file).create_if_missing(false);
    let mut connection = options.connect().await?;
    for pragmas in [database::PRAGMAS, "pragma query_only = on"] {
        sqlx::raw_sql(pragmas).execute(&mut connection).await?;
    }
    Ok(connection)
}

async fn close_old(old: SqliteConnection) {
    if let Err(error) = old.close().await {
        tracing::debug!(%error, "the old database was not closed cleanly");
    }
}

/// Whether the first version wrote a database. If its schema cannot be read, nothing can.
async fn is_first_version(old: &mut SqliteConnection) -> bool {
    let column = "select 1 from pragma_table_info('scans') where name = 'event_id'";
    matches!(sqlx::query(column).fetch_optional(old).await, Ok(None))
}

impl Transaction {
    async fn record_rescue(&mut self, path: String, rescue: Rescue) -> Result<(), OfflineError> {
        let statement = sqlx::query(include_str!("../statements/update_replacement.sql"))
            .bind(path)
            .bind(i64::try_from(rescue.scans).unwrap_or(i64::MAX))
            .bind(rescue.complete);
        self.execute(statement).await
    }

    /// Takes over the device's own state: its clock, session, permissions, and whether the server refuses it. What cannot be read
    /// the server tells again.
    async fn take_over_device(
        &mut self,
        setup: &OfflineScannerSetup,
        file: &Path,
    ) -> Result<(), OfflineError> {
        let Ok(mut old) = open_old(file).await else {
            return Ok(());
        };
        let device = sqlx::query(include_str!("../statements/rescue/select_device.sql"))
            .bind(setup.organization_id.as_uuid())
            .bind(setup.device_id.as_uuid())
            .fetch_optional(&mut old)
            .await;
        if let Ok(Some(device)) = device {
            let update = include_str!("../statements/rescue/update_device.sql");
            self.copy_row(&device, update).await?;
            let scope = sqlx::query(include_str!("../statements/select_device_scope.sql"))
                .fetch_optional(&mut old)
                .await;
            if let Ok(Some(scope)) = scope {
                let upsert = include_str!("../statements/upsert_device_scope.sql");
                self.copy_row(&scope, upsert).await?;
            }
        }
        close_old(old).await;
        Ok(())
    }

    async fn rescue_from(&mut self, file: &Path) -> Result<Rescue, OfflineError> {
        let mut rescue = Rescue {
            scans: 0,
            complete: true,
        };
        let Ok(mut old) = open_old(file).await else {
            return Ok(Rescue::default());
        };
        let scans = if is_first_version(&mut old).await {
            FIRST_SCANS
        } else {
            SCANS
        };
        for table in scans.iter().chain(TABLES) {
            let (written, complete) = self.copy(&mut old, table).await?;
            if table.is_waiting {
                rescue.scans += written;
            }
            rescue.complete &= complete;
        }
        close_old(old).await;
        Ok(rescue)
    }

    /// Copies a table. Returns the number of rows that were written, and whether every row was read.
    async fn copy(&mut self, old: &mut SqliteConnection, table: &Table) -> Result<(u64, bool), OfflineError> {
        let (mut written, complete) = self.copy_rows(old, table.forward, table.insert).await?;
        if complete {
            return Ok((written, true));
        }
        let (more, complete) = self.copy_rows(old, table.backward, table.insert).await?;
        written += more;
        Ok((written, complete || table.is_recent && written == 0))
    }

    /// Copies rows until the table cannot be read further. Returns whether every row was copied: a damaged row may be
    /// readable and yet have values that this database does not accept.
    async fn copy_rows(
        &mut self,
        old: &mut SqliteConnection,
        select: &'static str,
        insert: &'static str,
    ) -> Result<(u64, bool), OfflineError> {
        let mut rows = sqlx::query(select).fetch(old);
        let (mut written, mut complete) = (0, true);
        loop {
            match rows.try_next().await {
                Ok(Some(row)) => match self.copy_row(&row, insert).await? {
                    Some(rows) => written += rows,
                    None => complete = false,
                },
                Ok(None) => return Ok((written, complete)),
                Err(error) => {
                    tracing::warn!(%error, "a table of the old database was read in part");
                    return Ok((written, false));
                }
            }
        }
    }

    /// Writes a row. Returns the number of rows that it added, or `None` if the row is damaged.
    async fn copy_row(&mut self, row: &SqliteRow, insert: &'static str) -> Result<Option<u64>, OfflineError> {
        let Ok(values) = values_of(row) else {
            return Ok(None);
        };
        let mut statement = sqlx::query(insert);
        for value in values {
            statement = match value {
                Value::Null => statement.bind(None::<i64>),
                Value::Integer(number) => statement.bind(number),
                Value::Text(text) => statement.bind(text),
                Value::Blob(bytes) => statement.bind(bytes),
            };
        }
        match self.execute_counted(statement).await {
            Ok(written) => Ok(Some(written)),
            Err(error) if error.is_constraint() => {
                tracing::warn!(%error, "a row of the old database was not taken over");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// A value of any of the types that the tables have.
enum Value {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

fn values_of(row: &SqliteRow) -> Result<Vec<Value>, sqlx::Error> {
    let value = |index: usize| {
        let raw: SqliteValueRef<'_> = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        match raw.type_info().name() {
            "INTEGER" | "BOOLEAN" => Ok(Value::Integer(row.try_get_unchecked(index)?)),
            "TEXT" => Ok(Value::Text(row.try_get_unchecked(index)?)),
            _ => Ok(Value::Blob(row.try_get_unchecked(index)?)),
        }
    };
    (0..row.len()).map(value).collect()
}

//! Applies the missing migrations.
//!
//! Invariants: each migration is applied and recorded in one transaction. On PostgreSQL this transaction holds a lock, so that
//! nodes that start together apply each migration once. The lock is part of the transaction: a pooler cannot keep it, and the
//! database ends it with a process that was killed, or that has been silent for too long.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::{Connection as _, SqlStr};
use tokio::time::Instant;

use crate::model::Timestamp;
use crate::store::StoreError;
use crate::store::sql::open::OpenError;
use crate::store::sql::{Dialect, query, statement};

/// How the name of a migration ends that programs without it may ignore. It only adds what they do not use.
const COMPATIBLE: &str = "compatible";

/// How long this process waits for others that migrate.
const LOCK_TIMEOUT: Duration = Duration::from_mins(1);

/// The pause between two tries to get the lock.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Who holds the lock of the migrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHolder {
    /// The process and its host.
    pub name: String,
    /// Since when it applies its current migration.
    pub since: Timestamp,
}

/// A migration that the database has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedMigration {
    /// Its number.
    pub version: i64,
    /// Its name.
    pub name: String,
}

/// The result of migrating.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// What this process applied.
    pub applied: Vec<AppliedMigration>,
    /// The latest migration of this program, which the database has now.
    pub latest: AppliedMigration,
}

/// What migrating needs of a database.
pub(crate) trait MigrationDialect: Dialect {
    /// Begins the transaction of a migration.
    const BEGIN_MIGRATION: &'static str;
    /// Begins a transaction that only reads which migrations there are.
    const BEGIN_CHECK: &'static str;
    /// Reads whether there is a table of migrations.
    const TABLE_EXISTS: &'static str;
    /// Creates the table of migrations.
    const CREATE_TABLE: &'static str;

    /// Takes the lock for the transaction of this connection.
    fn try_lock(
        connection: &mut Self::Connection,
    ) -> impl Future<Output = Result<LockAttempt, StoreError>> + Send;

    /// Executes the statements of a migration.
    fn run_script(
        connection: &mut Self::Connection,
        sql: SqlStr,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// The result of trying to get the lock.
pub(crate) enum LockAttempt {
    /// This transaction has it.
    Locked,
    /// Another one has it, or had it a moment ago.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(
            dead_code,
            reason = "SQLite locks the whole database when the transaction begins"
        )
    )]
    Held(Option<LockHolder>),
}

/// One step of migrating.
enum Step {
    Applied(AppliedMigration),
    UpToDate,
    Held(Option<LockHolder>),
}

/// Applies the missing migrations. Waits for other processes that do the same.
pub(crate) async fn migrate<D: MigrationDialect>(
    migrations: &Migrator,
    connection: &mut D::Connection,
) -> Result<Migrated, OpenError> {
    let mut applied = Vec::new();
    let mut wait = LockWait::default();
    loop {
        let step = match step::<D>(migrations, connection).await {
            Err(error) if is_locked(&error) && !wait.is_over() => {
                tracing::info!(%error, "a migration is tried again");
                Step::Held(None)
            }
            step => step?,
        };
        match step {
            Step::Applied(migration) => {
                tracing::info!(version = migration.version, name = migration.name, "migrated");
                applied.push(migration);
                wait = LockWait::default();
            }
            Step::UpToDate => {
                let latest = latest(migrations);
                return Ok(Migrated { applied, latest });
            }
            Step::Held(holder) => wait.pause(holder).await?,
        }
    }
}

/// Fails if a migration is missing, or if a later version has migrated the database.
pub(crate) async fn check<D: MigrationDialect>(
    migrations: &Migrator,
    connection: &mut D::Connection,
) -> Result<(), OpenError> {
    let mut transaction = begin::<D>(D::BEGIN_CHECK, connection).await?;
    let state = state::<D>(migrations, &mut transaction).await?;
    transaction.rollback().await.map_err(StoreError::from)?;
    match state.missing {
        Some(migration) => Err(OpenError::NotMigrated {
            version: migration.version,
        }),
        None => Ok(()),
    }
}

/// Applies the first missing migration.
async fn step<D: MigrationDialect>(
    migrations: &Migrator,
    connection: &mut D::Connection,
) -> Result<Step, OpenError> {
    // A database that is up to date is not written to. It may be a standby.
    let mut check = begin::<D>(D::BEGIN_CHECK, connection).await?;
    let is_missing = state::<D>(migrations, &mut check).await?.missing.is_some();
    check.rollback().await.map_err(StoreError::from)?;
    if !is_missing {
        return Ok(Step::UpToDate);
    }
    let mut transaction = begin::<D>(D::BEGIN_MIGRATION, connection).await?;
    if let LockAttempt::Held(holder) = D::try_lock(&mut transaction).await? {
        transaction.rollback().await.map_err(StoreError::from)?;
        return Ok(Step::Held(holder));
    }
    // Read again, because another process may have applied it before this one got the lock.
    let state = state::<D>(migrations, &mut transaction).await?;
    let Some(migration) = state.missing else {
        transaction.rollback().await.map_err(StoreError::from)?;
        return Ok(Step::UpToDate);
    };
    let began = Instant::now();
    if state.is_new {
        query::<D>(D::CREATE_TABLE).execute(&mut transaction).await?;
    }
    D::run_script(&mut transaction, migration.sql.clone())
        .await
        .map_err(|error| MigrateError::ExecuteMigration(error, migration.version))?;
    query::<D>(statement!("migrations/insert.sql"))
        .int(migration.version)
        .text(&migration.description)
        .bytes(&migration.checksum)
        .int(i64::try_from(began.elapsed().as_nanos()).unwrap_or(i64::MAX))
        .execute(&mut transaction)
        .await?;
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(Step::Applied(describe(migration)))
}

async fn begin<'c, D: Dialect>(
    statement: &'static str,
    connection: &'c mut D::Connection,
) -> Result<sqlx::Transaction<'c, D>, OpenError> {
    // As a `SqlStr`: with a text of a lifetime the compiler cannot prove that the future is `Send`.
    let statement = SqlStr::from_static(statement);
    Ok(connection.begin_with(statement).await.map_err(StoreError::from)?)
}

/// What a database has of the migrations.
struct State<'m> {
    /// Whether it was never migrated.
    is_new: bool,
    /// The first migration that it lacks.
    missing: Option<&'m Migration>,
}

/// Reads which migrations the database has. Fails if it has one that this version does not know.
async fn state<'m, D: MigrationDialect>(
    migrations: &'m Migrator,
    connection: &mut D::Connection,
) -> Result<State<'m>, OpenError> {
    let row = query::<D>(D::TABLE_EXISTS).fetch_optional(connection).await?;
    let is_new = !row.map_or(Ok(false), |row| row.bool("found"))?;
    let rows = if is_new {
        Vec::new()
    } else {
        query::<D>(statement!("migrations/applied.sql"))
            .fetch_all(connection)
            .await?
    };
    let mut applied = Vec::with_capacity(rows.len());
    for row in rows {
        let version = row.int("version")?;
        if !row.bool("success")? {
            return Err(MigrateError::Dirty(version).into());
        }
        match migrations.iter().find(|migration| migration.version == version) {
            Some(known) if *known.checksum != *row.blob("checksum")? => {
                return Err(MigrateError::VersionMismatch(version).into());
            }
            None if !row.text("description")?.ends_with(COMPATIBLE) => {
                return Err(OpenError::Newer { version });
            }
            Some(_) | None => applied.push(version),
        }
    }
    let missing = migrations
        .iter()
        .find(|migration| !applied.contains(&migration.version));
    Ok(State { is_new, missing })
}

fn describe(migration: &Migration) -> AppliedMigration {
    AppliedMigration {
        version: migration.version,
        name: migration.description.clone().into_owned(),
    }
}

#[expect(clippy::expect_used, reason = "the migrations are compiled in")]
fn latest(migrations: &Migrator) -> AppliedMigration {
    let latest = migrations.iter().max_by_key(|migration| migration.version);
    describe(latest.expect("there are migrations"))
}

/// Whether a migration failed because somebody else has a lock. Nothing was written.
fn is_locked(error: &OpenError) -> bool {
    match error {
        OpenError::Store(StoreError::Contended { .. }) => true,
        OpenError::Migrate(MigrateError::ExecuteMigration(error, _) | MigrateError::Execute(error)) => {
            is_lock_error(error)
        }
        OpenError::Store(StoreError::Unavailable {
            source: Some(source), ..
        }) => source.downcast_ref().is_some_and(is_lock_error),
        _ => false,
    }
}

/// PostgreSQL's `lock_not_available`, and SQLite's busy and locked.
fn is_lock_error(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| {
        let is_sqlite = code.len() < 5;
        code == "55P03" || is_sqlite && code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
    })
}

/// The wait for the lock, which is limited.
#[derive(Default)]
struct LockWait {
    since: Option<Instant>,
    reported: Option<LockHolder>,
}

impl LockWait {
    fn is_over(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= LOCK_TIMEOUT)
    }

    /// Waits until the next try. Fails when the wait has taken too long.
    async fn pause(&mut self, holder: Option<LockHolder>) -> Result<(), OpenError> {
        self.since.get_or_insert_with(Instant::now);
        if let Some(holder) = holder
            && self.reported.as_ref() != Some(&holder)
        {
            tracing::info!(holder = holder.name, since = %holder.since, "waiting until another process has migrated");
            self.reported = Some(holder);
        }
        if self.is_over() {
            return Err(OpenError::MigrationLocked {
                holder: self.reported.take(),
            });
        }
        tokio::time::sleep(LOCK_RETRY_INTERVAL).await;
        Ok(())
    }
}

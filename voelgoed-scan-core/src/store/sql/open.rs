//! Opens the database that a URL names and migrates its schema.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::migrate::MigrateError;

use crate::store::sql::Pooler;
#[cfg(feature = "sqlite")]
use crate::store::sql::database_file::LockError;
use crate::store::sql::migrate::{LockHolder, Migrated};
use crate::store::{Store, StoreError};

/// Who opens a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// A server. It gets an SQLite file for itself.
    Server,
    /// A program that may run beside a server, as `init` does.
    Beside,
}

/// How a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Who opens it.
    pub mode: OpenMode,
    /// Whether to create a missing file and to apply missing migrations. Otherwise a missing migration is an error.
    pub migrate: bool,
    /// What is between this program and PostgreSQL.
    pub pooler: Pooler,
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no database that this build supports.
    #[error("{url} is not a database: give sqlite://FILE or postgres://USER@HOST/DATABASE")]
    UnknownUrl {
        /// The URL without anything that may be secret.
        url: String,
    },
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another server uses the file.
    #[cfg(feature = "sqlite")]
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file cannot be created, or its permissions cannot be changed.
    #[error("{}: {source}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A later version has migrated the database, in a way that this version does not know.
    #[error(
        "the database has migration {version}, which this version does not know: start the later version"
    )]
    Newer {
        /// The first unknown migration.
        version: i64,
    },
    /// A migration failed.
    #[error("the migrations failed: {0}")]
    Migrate(#[from] MigrateError),
    /// Another process migrates for longer than this one waits.
    #[error(
        "the database is being migrated by {}: this process waited for a minute; start it again when the other has ended",
        describe(holder.as_ref())
    )]
    MigrationLocked {
        /// Who migrates, as far as the database knows.
        holder: Option<LockHolder>,
    },
    /// There is a pooler that does not keep sessions.
    #[error(
        "between this program and PostgreSQL is a pooler that serves each transaction from another session, such as \
         PgBouncer with pool_mode = transaction: start with --database-pooler transaction \
         (VOELGOED_SCAN_DATABASE_POOLER=transaction), or give the URL of PostgreSQL itself or of a pool with \
         pool_mode = session"
    )]
    TransactionPooler,
    /// The pooler was given for a database that has none.
    #[error("--database-pooler transaction is for PostgreSQL: an SQLite file has no pooler")]
    PoolerWithoutPostgres,
    /// The URL sets options at the start of each session, which a pooler does not keep.
    #[error(
        "the database URL sets options, which --database-pooler transaction cannot keep: remove options= from the URL, and \
         set them with alter role or alter database"
    )]
    OptionsWithPooler,
    /// The URL names several hosts.
    #[error(
        "the database URL names several hosts ({hosts}): give one address that always leads to the primary, such as an \
         HAProxy that asks each server whether it is the primary (docs/scaling.md, Failover)"
    )]
    SeveralHosts {
        /// The hosts.
        hosts: String,
    },
    /// The certificate of the database cannot be used.
    #[error(
        "the TLS certificate of the database cannot be used: {reason}. Give PostgreSQL an X.509 certificate of version 3 \
         whose name is the host of the URL, and trust its authority with sslmode=verify-full&sslrootcert=FILE in the URL; \
         sslmode=require encrypts without checking who answers; sslmode=disable does not encrypt, for a network that is \
         trusted. The certificate that Citus makes by itself has version 1 and has to be replaced"
    )]
    Certificate {
        /// What the TLS library says.
        reason: String,
    },
    /// A migration is missing, and migrating was not requested.
    #[error("the database has no migration {version}: start without --no-migrate once")]
    NotMigrated {
        /// The first missing migration.
        version: i64,
    },
}

/// The database file that a `sqlite://` URL names. `None` for any other URL.
#[cfg(feature = "sqlite")]
#[must_use]
pub(crate) fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))?;
    let path = path.split('?').next().unwrap_or(path);
    (!path.is_empty() && path != ":memory:").then(|| PathBuf::from(path))
}

/// Opens a database by its URL, `sqlite://FILE` or `postgres://...`.
///
/// With `migrate`, creates a missing file and applies missing migrations. Without it, fails if one is missing.
///
/// It does not check who else uses an SQLite file; a server calls [`open_as`].
pub async fn open(url: &str, migrate: bool) -> Result<Arc<dyn Store>, OpenError> {
    open_as(OpenMode::Beside, url, migrate).await
}

/// Opens a database as [`open`] does. A server gets an SQLite file for itself, or fails if another server has it.
pub async fn open_as(mode: OpenMode, url: &str, migrate: bool) -> Result<Arc<dyn Store>, OpenError> {
    let pooler = Pooler::None;
    let opening = Opening {
        mode,
        migrate,
        pooler,
    };
    open_with(url, opening).await
}

/// Opens a database as [`open_as`] does, also through a pooler.
pub async fn open_with(url: &str, opening: Opening) -> Result<Arc<dyn Store>, OpenError> {
    #[cfg(feature = "sqlite")]
    if let Some(file) = sqlite_file(url) {
        check_no_pooler(opening.pooler)?;
        let Opening { mode, migrate, .. } = opening;
        return Ok(Arc::new(super::sqlite::open(&file, mode, migrate).await?));
    }
    #[cfg(feature = "postgres")]
    if is_postgres(url) {
        let store = super::postgres::open(url, opening.migrate, opening.pooler).await?;
        return Ok(Arc::new(store));
    }
    Err(unknown(url))
}

/// Migrates a database, and does nothing else. It may run beside servers. A missing SQLite file is created.
pub async fn migrate(url: &str, pooler: Pooler) -> Result<Migrated, OpenError> {
    #[cfg(feature = "sqlite")]
    if let Some(file) = sqlite_file(url) {
        check_no_pooler(pooler)?;
        return super::sqlite::migrate(&file).await;
    }
    #[cfg(feature = "postgres")]
    if is_postgres(url) {
        return super::postgres::migrate(url, pooler).await;
    }
    Err(unknown(url))
}

#[cfg(feature = "postgres")]
fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

#[cfg(feature = "sqlite")]
fn check_no_pooler(pooler: Pooler) -> Result<(), OpenError> {
    match pooler {
        Pooler::None => Ok(()),
        Pooler::Transaction => Err(OpenError::PoolerWithoutPostgres),
    }
}

fn unknown(url: &str) -> OpenError {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    OpenError::UnknownUrl {
        url: format!("{scheme}://…"),
    }
}

fn describe(holder: Option<&LockHolder>) -> String {
    holder.map_or_else(
        || "another process".to_owned(),
        |holder| format!("{}, since {}", holder.name, holder.since),
    )
}

//! Opens the database that a URL names and migrates its schema.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{Database, Pool};

#[cfg(feature = "sqlite")]
use crate::store::sql::database_file::LockError;
use crate::store::sql::{Dialect, query, statement};
use crate::store::{Store, StoreError};

/// Who opens a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// A server. It gets an SQLite file for itself.
    Server,
    /// A program that may run beside a server, as `init` does.
    Beside,
}

/// How the name of a migration ends that programs without it may ignore. It only adds what they do not use.
const COMPATIBLE: &str = "compatible";

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
    #[cfg(feature = "sqlite")]
    if let Some(file) = sqlite_file(url) {
        return Ok(Arc::new(super::sqlite::open(&file, mode, migrate).await?));
    }
    #[cfg(not(feature = "sqlite"))]
    let _ = mode;
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Arc::new(super::postgres::open(url, migrate).await?));
    }
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    Err(OpenError::UnknownUrl {
        url: format!("{scheme}://…"),
    })
}

/// Fails if a later version has migrated the database, unless all of its migrations are marked as compatible.
pub(crate) async fn check_not_newer<D: Dialect>(
    migrations: &Migrator,
    connection: &mut D::Connection,
) -> Result<(), OpenError> {
    let rows = query::<D>(statement!("applied_migrations.sql"))
        .fetch_all(connection)
        .await;
    // A new database has no table of migrations.
    let Ok(rows) = rows else { return Ok(()) };
    for row in rows {
        let version = row.int("version")?;
        let name: String = row.text("description")?;
        let is_known = migrations.iter().any(|migration| migration.version == version);
        if !is_known && !name.ends_with(COMPATIBLE) {
            return Err(OpenError::Newer { version });
        }
    }
    Ok(())
}

/// Applies the missing migrations.
pub(crate) async fn migrate(
    migrations: &Migrator,
    connection: &mut impl Migrate,
) -> Result<(), MigrateError> {
    // Does what `run` does. The compiler cannot prove that a future of `run` is `Send`, and callers spawn the opening
    // of a database.
    migrations.run_direct(None, connection, false).await
}

/// Fails if a migration is missing.
pub(crate) async fn check_migrated<D: Database>(
    pool: &Pool<D>,
    migrations: &Migrator,
) -> Result<(), OpenError>
where
    D::Connection: Migrate,
{
    let mut connection = pool.acquire().await.map_err(StoreError::from)?;
    let applied = connection
        .list_applied_migrations(&migrations.table_name)
        .await
        .unwrap_or_default();
    let missing = migrations
        .iter()
        .find(|migration| !applied.iter().any(|done| done.version == migration.version));
    match missing {
        Some(migration) => Err(OpenError::NotMigrated {
            version: migration.version,
        }),
        None => Ok(()),
    }
}

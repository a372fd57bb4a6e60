//! Which database is meant? A URL picks it; migrations bring it up to date.

#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::sync::Arc;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{Database, Pool};

use crate::store::{Store, StoreError};

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not a URL of a database that this build knows.
    #[error("{url} is not a database: give sqlite://FILE or postgres://USER@HOST/DATABASE")]
    UnknownUrl {
        /// The URL, without what could be secret in it.
        url: String,
    },
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its schema could not be brought up to date.
    #[error("the migrations failed: {0}")]
    Migrate(#[from] MigrateError),
    /// Its schema is not this version's, and migrating was not asked for.
    #[error("the database has no migration {version}: start without --no-migrate once")]
    NotMigrated {
        /// The first migration that is missing.
        version: i64,
    },
}

/// The database file that a `sqlite://` URL names; `None` for any other URL.
#[cfg(feature = "sqlite")]
#[must_use]
pub(crate) fn sqlite_file(url: &str) -> Option<PathBuf> {
    let path = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))?;
    let path = path.split('?').next().unwrap_or(path);
    (!path.is_empty() && path != ":memory:").then(|| PathBuf::from(path))
}

/// Opens a database by its URL, `sqlite://FILE` (made where it is missing) or `postgres://...`, and brings its schema
/// up to date; without `migrate`, refuses a schema that is not.
pub async fn open(url: &str, migrate: bool) -> Result<Arc<dyn Store>, OpenError> {
    #[cfg(feature = "sqlite")]
    if let Some(file) = sqlite_file(url) {
        return Ok(Arc::new(super::sqlite::open(&file, migrate).await?));
    }
    #[cfg(feature = "postgres")]
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Arc::new(super::postgres::open(url, migrate).await?));
    }
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    Err(OpenError::UnknownUrl {
        url: format!("{scheme}://…"),
    })
}

/// Brings a database up to date.
pub(crate) async fn migrate(
    migrations: &Migrator,
    connection: &mut impl Migrate,
) -> Result<(), MigrateError> {
    // What `run` does, for a connection at hand: a future of `run` cannot be shown to be `Send`, and opening a
    // database is something to spawn.
    migrations.run_direct(None, connection, false).await
}

/// Whether every migration has been run.
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
        .find(|one| !applied.iter().any(|done| done.version == one.version));
    match missing {
        Some(migration) => Err(OpenError::NotMigrated {
            version: migration.version,
        }),
        None => Ok(()),
    }
}

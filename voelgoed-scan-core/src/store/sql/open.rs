//! Opens the database that a URL names and migrates its schema.

#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::sync::Arc;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::{Database, Pool};

use crate::store::{Store, StoreError};

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

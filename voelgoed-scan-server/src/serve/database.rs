//! Opens the database and the secret, and what works with them.

use voelgoed_scan_core::node::{Admin, Scanner, Setup, SetupError};
use voelgoed_scan_core::store::{Durability, Migrated, OpenMode, Opening, migrate, open_with};

use super::{StartError, redis};
use crate::clock::Clock;
use crate::config::{Config, DatabasePooler};
use crate::secret;

/// Migrates the database of a configuration.
pub async fn migrate_database(config: &Config) -> Result<Migrated, StartError> {
    if !config.create {
        secret::check_database(&config.database_url)?;
    }
    Ok(migrate(&config.database_url, config.database_pooler.into()).await?)
}

pub(super) async fn open_database(
    config: &Config,
    clock: &Clock,
) -> Result<(Scanner, Admin, Durability), StartError> {
    if !config.create {
        secret::check_database(&config.database_url)?;
    }
    let phoenix = config.secrets.phoenix()?;
    let opening = Opening {
        mode: OpenMode::Server,
        migrate: !config.no_migrate,
        pooler: config.database_pooler.into(),
    };
    let open_store = open_with(&config.database_url, opening);
    // A secret without its database would look like a database that was lost, so that a new file comes first.
    let (store, master) = if config.database_url.starts_with("sqlite:") {
        let store = open_store.await?;
        (store, config.secrets.master(&config.database_url)?)
    } else {
        let master = config.secrets.master(&config.database_url)?;
        (open_store.await?, master)
    };
    let redis = redis::open(config).await?;
    if config.database_pooler == DatabasePooler::Transaction && redis.is_none() {
        tracing::warn!(
            "a transaction pooler carries no messages between nodes, and there is no --redis-url: every node works as if it \
             were cut off from the others, which is safe, but slower"
        );
    }
    if let Err(error) = store.keep_dedup_window(config.dedup_window, clock.now()).await {
        tracing::warn!(%error, "the deduplication window was not stored; uploads are judged by the last stored one");
    }
    let setup = Setup {
        store,
        master,
        phoenix,
        window: config.dedup_window,
        redis,
    };
    let (scanner, admin) = setup.open().await?;
    let durability = scanner.store().durability().await.map_err(SetupError::Store)?;
    match durability {
        Durability::Durable => {}
        Durability::Overridden => tracing::warn!(
            "the database sets synchronous_commit=off; this server overrides it for its own connections"
        ),
        Durability::AtRisk => tracing::error!(
            "PostgreSQL runs with fsync=off, or a worker of Citus with that or synchronous_commit=off: a crash of its machine \
             loses acknowledged admissions"
        ),
    }
    Ok((scanner, admin, durability))
}

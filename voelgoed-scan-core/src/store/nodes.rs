//! What does a node ask of a database because there are others?

use std::sync::Arc;

use async_trait::async_trait;

use crate::bus::Bus;
use crate::store::StoreError;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::store::sql::{Dialect, Sql, query};
use crate::{OrganizationId, ScanId, ScanRecord};

/// The change counters of an organization: a node that finds one raised forgets what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generations {
    /// Whose.
    pub organization_id: OrganizationId,
    /// Events, gates, devices, sessions, keys.
    pub facts: i64,
    /// Tickets that were there before, otherwise than by scans.
    pub tickets: i64,
}

/// How many connections to the database there are, of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// What they are for: `read`, `write`, or `all` where one pool is for both.
    pub name: &'static str,
    /// In use.
    pub busy: u32,
    /// Open and not in use.
    pub idle: u32,
    /// The most that there may be.
    pub most: u32,
}

/// What a node asks of a database.
#[async_trait]
pub trait NodeStore: Send + Sync {
    /// The change counters of all organizations.
    async fn generations(&self) -> Result<Vec<Generations>, StoreError>;

    /// Whether other processes may change what is here: a file is one process's.
    fn is_shared(&self) -> bool;

    /// The record of a scan.
    async fn scan(
        &self,
        organization: OrganizationId,
        scan: ScanId,
    ) -> Result<Option<ScanRecord>, StoreError>;

    /// A way to the other nodes that the database itself offers.
    fn bus(&self) -> Option<Arc<dyn Bus>>;

    /// How many connections are in use.
    fn pools(&self) -> Vec<PoolUse>;
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
#[async_trait]
impl<D: Dialect> NodeStore for Sql<D> {
    async fn generations(&self) -> Result<Vec<Generations>, StoreError> {
        let mut connection = self.read().await?;
        let rows = query::<D>("select id, generation, tickets_generation from organizations")
            .fetch_all(&mut connection)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Generations {
                    organization_id: row.id("id")?,
                    facts: row.int("generation")?,
                    tickets: row.int("tickets_generation")?,
                })
            })
            .collect()
    }

    fn is_shared(&self) -> bool {
        D::SHARED
    }

    async fn scan(
        &self,
        organization: OrganizationId,
        scan: ScanId,
    ) -> Result<Option<ScanRecord>, StoreError> {
        crate::store::undo::find::<D>(organization, scan, &mut *self.read().await?).await
    }

    fn bus(&self) -> Option<Arc<dyn Bus>> {
        D::bus(&self.writers)
    }

    fn pools(&self) -> Vec<PoolUse> {
        if D::SHARES_POOL {
            return vec![
                pool_use("scans", &self.recorders),
                pool_use("rest", &self.writers),
            ];
        }
        vec![pool_use("read", &self.readers), pool_use("write", &self.writers)]
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn pool_use<D: Dialect>(name: &'static str, pool: &sqlx::Pool<D>) -> PoolUse {
    let open = pool.size();
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX).min(open);
    PoolUse {
        name,
        busy: open - idle,
        idle,
        most: pool.options().get_max_connections(),
    }
}

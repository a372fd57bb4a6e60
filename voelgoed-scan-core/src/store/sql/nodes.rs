//! The change counters, single records and pool counts that a node reads.

use std::sync::Arc;

use async_trait::async_trait;

use crate::bus::Bus;
use crate::model::{OrganizationId, ScanId, ScanRecord};
use crate::store::sql::{Dialect, Sql, query};
use crate::store::{ChangeCounters, NodeStore, PoolUse, StoreError};

#[async_trait]
impl<D: Dialect> NodeStore for Sql<D> {
    async fn change_counters(&self) -> Result<Vec<ChangeCounters>, StoreError> {
        let mut connection = self.read().await?;
        let rows = query::<D>("select id, generation, tickets_generation from organizations")
            .fetch_all(&mut connection)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ChangeCounters {
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
        crate::store::sql::undo::find::<D>(organization, scan, &mut *self.read().await?).await
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

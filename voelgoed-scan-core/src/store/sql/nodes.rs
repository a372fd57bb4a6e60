//! Change counters, single records and pool metrics for the node.

use std::sync::Arc;

use async_trait::async_trait;

use crate::bus::Bus;
use crate::model::{OrganizationId, ScanId, ScanRecord};
use crate::store::sql::scans::find_scan;
use crate::store::sql::{Dialect, Sql, query, statement};
use crate::store::{ChangeCounters, NodeStore, PoolUse, StoreError};

#[async_trait]
impl<D: Dialect> NodeStore for Sql<D> {
    async fn change_counters(&self) -> Result<Vec<ChangeCounters>, StoreError> {
        let mut connection = self.read().await?;
        let rows = query::<D>(statement!("organizations/change_counters.sql"))
            .fetch_all(&mut connection)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ChangeCounters {
                    organization_id: row.id("id")?,
                    facts: row.int("change_counter")?,
                    tickets: row.int("tickets_change_counter")?,
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
        find_scan::<D>(organization, scan, &mut *self.read().await?).await
    }

    fn bus(&self) -> Option<Arc<dyn Bus>> {
        D::bus(&self.write_pool)
    }

    fn pools(&self) -> Vec<PoolUse> {
        if D::SHARES_POOL {
            return vec![
                pool_use("scans", &self.scan_pool),
                pool_use("rest", &self.write_pool),
            ];
        }
        vec![
            pool_use("read", &self.read_pool),
            pool_use("write", &self.write_pool),
        ]
    }
}

fn pool_use<D: Dialect>(name: &'static str, pool: &sqlx::Pool<D>) -> PoolUse {
    let open = pool.size();
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX).min(open);
    PoolUse {
        name,
        busy: open - idle,
        idle,
        max: pool.options().get_max_connections(),
    }
}

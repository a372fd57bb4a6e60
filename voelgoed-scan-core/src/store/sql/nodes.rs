//! Change counters and pool metrics for the node.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Connection as _;
use uuid::Uuid;

use crate::bus::{AbsentBus, Bus};
use crate::model::Timestamp;
use crate::store::sql::former_rules;
use crate::store::sql::transactions::{SingleWrite, Transactions};
use crate::store::sql::write_deadline::WriteDeadline;
use crate::store::sql::{Dialect, Sql, live, query, statement};
use crate::store::{ChangeCounters, DeviceCounts, Durability, LiveEvent, NodeStore, PoolUse, StoreError};

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

    async fn mark_cut_off(&self, node: Uuid) -> Result<(), StoreError> {
        let Some(statement) = D::SQL.mark_cut_off else {
            return Ok(());
        };
        let mut transaction = self.write().await?;
        query::<D>(statement).id(&node).execute(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn others_cut_off(&self, node: Uuid) -> Result<bool, StoreError> {
        let Some(statement) = D::SQL.others_cut_off else {
            return Ok(false);
        };
        let row = query::<D>(statement)
            .id(&node)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.map_or(Ok(false), |row| row.bool("cut_off"))
    }

    fn is_shared(&self) -> bool {
        D::SHARED
    }

    async fn check_writable(&self, now: Timestamp) -> Result<(), StoreError> {
        self.check_files()?;
        let deadline = WriteDeadline::start::<D>();
        let mut connection = deadline.connect(self.acquire_writer()).await?;
        let result = deadline
            .run(probe::<D>(self.transactions, now, &mut connection))
            .await;
        self.release_writer(connection, &result);
        result
    }

    async fn durability(&self) -> Result<Durability, StoreError> {
        let Some(statement) = D::SQL.durability else {
            return Ok(Durability::Durable);
        };
        let mut connection = self.read().await?;
        let missing = || StoreError::failed("the settings have a row");
        let row = query::<D>(statement)
            .fetch_optional(&mut connection)
            .await?
            .ok_or_else(missing)?;
        let is_worker_at_risk = match D::SQL.worker_durability.filter(|_| self.is_citus) {
            None => false,
            Some(statement) => query::<D>(statement)
                .fetch_optional(&mut connection)
                .await?
                .ok_or_else(missing)?
                .bool("is_at_risk")?,
        };
        let text = |column| row.text(column);
        Ok(if text("fsync")? == "off" || is_worker_at_risk {
            Durability::AtRisk
        } else if text("commit_default")? == "off" {
            Durability::Overridden
        } else {
            Durability::Durable
        })
    }

    async fn keep_dedup_window(&self, window: Duration, now: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.read().await?;
        if !former_rules::is_kept::<D>(window, &mut connection).await? {
            drop(connection);
            let mut transaction = self.write().await?;
            former_rules::keep_dedup_window::<D>(window, now, &mut transaction).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    fn release(&self) {
        #[cfg(feature = "sqlite")]
        if let Some(files) = &self.files {
            drop(files.lock.lock().take());
        }
    }

    fn bus(&self) -> Option<Arc<dyn Bus>> {
        if self.transactions.are_required() {
            return Some(Arc::new(AbsentBus::new()));
        }
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

    async fn live_events(&self, now: Timestamp, limit: u16) -> Result<Vec<LiveEvent>, StoreError> {
        let (_permit, mut connection) = self.read_bulk(None).await?;
        live::live_events::<D>(now, limit, &mut connection).await
    }

    async fn device_counts(&self, now: Timestamp) -> Result<DeviceCounts, StoreError> {
        let (_permit, mut connection) = self.read_bulk(None).await?;
        live::device_counts::<D>(now, &mut connection).await
    }
}

async fn probe<D: Dialect>(
    transactions: Transactions,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with(transactions.write).await?;
    query::<D>(statement!("scans/insert_probe.sql"))
        .id(&Uuid::nil())
        .time(now)
        .bytes(&[])
        .execute(&mut transaction)
        .await?;
    transaction.rollback().await?;
    let mut write = SingleWrite::<D>::begin(transactions, connection).await?;
    let committed = query::<D>(D::SQL.commit_probe)
        .fetch_all(write.connection())
        .await;
    write.end(committed).await?;
    Ok(())
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

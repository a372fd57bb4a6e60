//! Leases and cursors.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::model::{EventId, OrganizationId};
use crate::store::sql::{Dialect, Sql, query, statement};
use crate::store::{BackgroundStore, FeedAhead, StoreError};

#[async_trait]
impl<D: Dialect> BackgroundStore for Sql<D> {
    async fn hold_lease(&self, task: &str, holder: Uuid, duration: Duration) -> Result<bool, StoreError> {
        let Some(statement) = D::SQL.hold_lease else {
            return Ok(true);
        };
        let mut transaction = self.write().await?;
        let held = query::<D>(statement)
            .text(task)
            .id(&holder)
            .int(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(held > 0)
    }

    async fn release_lease(&self, task: &str, holder: Uuid) -> Result<(), StoreError> {
        let Some(statement) = D::SQL.release_lease else {
            return Ok(());
        };
        let mut transaction = self.write().await?;
        query::<D>(statement)
            .text(task)
            .id(&holder)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn feeds_ahead(&self, consumer: &str, limit: u16) -> Result<Vec<FeedAhead>, StoreError> {
        let rows = query::<D>(statement!("background/feeds_ahead.sql"))
            .text(consumer)
            .int(limit.into())
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(FeedAhead {
                    organization_id: row.id("organization_id")?,
                    event_id: row.id("event_id")?,
                    position: row.int("position")?,
                    last: row.int("last")?,
                })
            })
            .collect()
    }

    async fn advance_cursor(
        &self,
        organization: OrganizationId,
        consumer: &str,
        event: EventId,
        from: i64,
        to: i64,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let advanced = advance_cursor::<D>(&mut transaction, organization, consumer, event, from, to).await?;
        transaction.commit().await?;
        Ok(advanced)
    }
}

/// Moves a cursor in the transaction that writes what follows from the entries in between. False if the cursor is not at
/// `from`: another node was faster, and the transaction must be rolled back.
pub(crate) async fn advance_cursor<D: Dialect>(
    connection: &mut D::Connection,
    organization: OrganizationId,
    consumer: &str,
    event: EventId,
    from: i64,
    to: i64,
) -> Result<bool, StoreError> {
    let statement = if from == 0 {
        statement!("background/begin_cursor.sql")
    } else {
        statement!("background/move_cursor.sql")
    };
    let mut query = query::<D>(statement)
        .id(organization.as_uuid())
        .text(consumer)
        .id(event.as_uuid());
    if from != 0 {
        query = query.int(from);
    }
    let changed = query.int(to).execute(connection).await?;
    Ok(changed > 0)
}

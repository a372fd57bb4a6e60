//! The messages of organizations in the database, a row for each organization that replaced one.
//!
//! Invariant: the row of the organization is locked before its messages are read, so that concurrent changes are merged one
//! after the other.

use async_trait::async_trait;

use crate::audit::Audit;
use crate::model::{CustomMessages, CustomMessagesPatch, OrganizationId};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::messages_changed;
use crate::store::sql::change_counters::raise_change_counter;
use crate::store::sql::{Dialect, Sql, query, statement};
use crate::store::{MessageStore, StoreError};

#[async_trait]
impl<D: Dialect> MessageStore for Sql<D> {
    async fn custom_messages(&self, organization: OrganizationId) -> Result<CustomMessages, StoreError> {
        find_custom_messages::<D>(organization, &mut *self.read().await?).await
    }

    async fn change_custom_messages(
        &self,
        organization: OrganizationId,
        patch: &CustomMessagesPatch,
        audit: Audit<'_>,
    ) -> Result<CustomMessages, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        // Locks the row of the organization.
        raise_change_counter::<D>(organization, &mut transaction).await?;
        let before = find_custom_messages::<D>(organization, &mut transaction).await?;
        let mut after = before.clone();
        after.merge(patch);
        let Some(change) = messages_changed(organization, &before, &after) else {
            // The transaction ends without a commit, so the counter stays.
            return Ok(after);
        };
        query::<D>(statement!("messages/put.sql"))
            .id(organization.as_uuid())
            .json(&after)
            .execute(&mut transaction)
            .await?;
        append::<D>(organization, change, audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(after)
    }
}

/// The messages that an organization replaced.
pub(super) async fn find_custom_messages<D: Dialect>(
    organization: OrganizationId,
    connection: &mut D::Connection,
) -> Result<CustomMessages, StoreError> {
    let row = query::<D>(statement!("messages/find.sql"))
        .id(organization.as_uuid())
        .fetch_optional(connection)
        .await?;
    row.map_or_else(|| Ok(CustomMessages::default()), |row| row.json("texts"))
}

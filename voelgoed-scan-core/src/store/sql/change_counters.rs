//! Raises the change counters of an organization in the transaction of the change itself. Nodes read the counters
//! periodically and so notice a change even if the bus is down.

use crate::model::OrganizationId;
use crate::store::StoreError;
use crate::store::sql::{Dialect, query, statement};

/// Counts a change of existing tickets that no scan makes.
pub(crate) async fn raise_tickets_change_counter<D: Dialect>(
    organization: OrganizationId,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>(statement!("organizations/raise_tickets_change_counter.sql"))
        .id(organization.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// Counts a change of what nodes cache of an organization: events, gates, devices, sessions, keys.
pub(crate) async fn raise_change_counter<D: Dialect>(
    organization: OrganizationId,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>(statement!("organizations/raise_change_counter.sql"))
        .id(organization.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

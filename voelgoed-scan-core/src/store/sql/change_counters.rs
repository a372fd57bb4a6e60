//! How do other nodes learn of a change, bus or not? By counters on the organization's row, raised in the transaction
//! of the change itself.

use crate::model::OrganizationId;
use crate::store::StoreError;
use crate::store::sql::{Dialect, query};

/// Tells the other nodes that tickets changed otherwise than by scans.
pub(crate) async fn raise_tickets_generation<D: Dialect>(
    organization: OrganizationId,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>("update organizations set tickets_generation = tickets_generation + 1 where id = $1")
        .id(organization.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// Tells the other nodes that what they keep of an organization changed.
pub(crate) async fn raise_generation<D: Dialect>(
    organization: OrganizationId,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>("update organizations set generation = generation + 1 where id = $1")
        .id(organization.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

//! The rows of gates and of their counters.

use crate::model::{EventId, Gate, GateCode, GateId, OrganizationId, Timestamp};
use crate::store::sql::query::Query;
use crate::store::sql::{Dialect, mapping, query, statement};
use crate::store::{Cursor, Page, PageRequest, StoreError};

pub(super) async fn find_gate<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    id: GateId,
    connection: &mut D::Connection,
) -> Result<Option<Gate>, StoreError> {
    let row = query::<D>(statement!("gates/find.sql"))
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .id(event.as_uuid())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(mapping::gate).transpose()
}

/// A page of the gates of an event, in the order of their ids.
pub(super) async fn list_gates<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    page: &PageRequest,
    connection: &mut D::Connection,
) -> Result<Page<Gate>, StoreError> {
    let rows = query::<D>(statement!("gates/list.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .opt_id(page.after.as_ref().map(|after| &after.id))
        .int(i64::from(page.limit) + 1)
        .fetch_all(connection)
        .await?;
    let gates = rows.iter().map(mapping::gate).collect::<Result<_, _>>()?;
    Ok(Page::truncate(gates, page.limit, |gate: &Gate| {
        Cursor::of_id(*gate.id.as_uuid())
    }))
}

/// Whether another gate of the event has the code of this one. A code that the gate has already stays: databases of the
/// first edition may have one twice. The caller holds the lock of the event.
pub(super) async fn is_code_taken<D: Dialect>(
    gate: &Gate,
    connection: &mut D::Connection,
) -> Result<bool, StoreError> {
    let Some(code) = &gate.code else {
        return Ok(false);
    };
    let stored = find_gate::<D>(gate.organization_id, gate.event_id, gate.id, connection).await?;
    if stored.is_some_and(|stored| stored.code == gate.code) {
        return Ok(false);
    }
    let other = query::<D>(statement!("gates/code_of_another.sql"))
        .id(gate.organization_id.as_uuid())
        .id(gate.event_id.as_uuid())
        .id(gate.id.as_uuid())
        .text(code.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(other.is_some())
}

/// Inserts a gate and its counters. Returns false if the event has it already.
pub(super) async fn insert_gate<D: Dialect>(
    gate: &Gate,
    connection: &mut D::Connection,
) -> Result<bool, StoreError> {
    let inserted = bind_gate::<D>(query(statement!("gates/insert.sql")), gate)
        .execute(&mut *connection)
        .await?;
    if inserted == 0 {
        return Ok(false);
    }
    query::<D>(statement!("occupancy/insert.sql"))
        .id(gate.organization_id.as_uuid())
        .id(gate.event_id.as_uuid())
        .id(gate.id.as_uuid())
        .execute(connection)
        .await?;
    Ok(true)
}

/// Replaces a gate and returns its creation time. `None` if the event does not have it.
pub(super) async fn update_gate<D: Dialect>(
    gate: &Gate,
    connection: &mut D::Connection,
) -> Result<Option<Timestamp>, StoreError> {
    let row = bind_gate::<D>(query(statement!("gates/update.sql")), gate)
        .fetch_optional(connection)
        .await?;
    row.map(|row| row.time("inserted_at")).transpose()
}

/// Binds the columns of a gate. A new gate has the same creation and update time, so one parameter serves both.
fn bind_gate<D: Dialect>(statement: Query<D>, gate: &Gate) -> Query<D> {
    statement
        .id(gate.organization_id.as_uuid())
        .id(gate.id.as_uuid())
        .id(gate.event_id.as_uuid())
        .text(gate.name.as_str())
        .opt_text(gate.code.as_ref().map(GateCode::as_str))
        .text(gate.status.as_str())
        .opt_int(gate.capacity.map(i64::from))
        .opt_json(gate.ticket_classes.as_ref())
        .time(gate.updated_at)
}

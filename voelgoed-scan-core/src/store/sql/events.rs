//! How are events and their gates kept? Put whole, by the ids that the caller gives them; never deleted.

use async_trait::async_trait;

use crate::model::{Event, EventId, EventPut, Gate, GateId, GatePut, OrganizationId, Timestamp};
use crate::store::sql::change_counters::raise_generation;
use crate::store::sql::row::{self, event_columns, gate_columns};
use crate::store::sql::{Dialect, Sql, query};
use crate::store::{Cursor, Events, Page, PageRequest, Put, StoreError};

#[async_trait]
impl<D: Dialect> Events for Sql<D> {
    async fn put_event(
        &self,
        organization: OrganizationId,
        id: EventId,
        event: &EventPut,
        now: Timestamp,
    ) -> Result<Put<Event>, StoreError> {
        let mut transaction = self.write().await?;
        let fresh = event_of(organization, id, event, now);
        let put = if insert_event::<D>(&fresh, &mut transaction).await? {
            Put::Created(fresh)
        } else {
            lock_doors::<D>(organization, id, &mut transaction).await?;
            let stored = find_event::<D>(organization, id, &mut transaction).await?;
            let Some(stored) = stored else {
                return Ok(Put::Missing);
            };
            if event
                .ticket_classes
                .as_ref()
                .is_some_and(|classes| !classes.starts_with(&stored.ticket_classes))
            {
                return Ok(Put::Conflict("ticket classes can only be added at the end"));
            }
            let replaced = Event {
                ticket_classes: event.ticket_classes.clone().unwrap_or(stored.ticket_classes),
                inserted_at: stored.inserted_at,
                ..fresh
            };
            update_event::<D>(&replaced, &mut transaction).await?;
            Put::Replaced(replaced)
        };
        raise_generation::<D>(organization, &mut transaction).await?;
        mark_doors::<D>(organization, id, &mut transaction).await?;
        transaction.commit().await?;
        Ok(put)
    }

    async fn event(&self, organization: OrganizationId, id: EventId) -> Result<Option<Event>, StoreError> {
        let mut connection = self.read().await?;
        find_event::<D>(organization, id, &mut connection).await
    }

    async fn events(
        &self,
        organization: OrganizationId,
        page: &PageRequest,
    ) -> Result<Page<Event>, StoreError> {
        let mut connection = self.read().await?;
        let rows = query::<D>(concat!(
            "select ",
            event_columns!(),
            " from events e where e.organization_id = $1 and ($2 is null or e.id > $2) order by e.id limit $3"
        ))
        .id(organization.as_uuid())
        .opt_id(page.after.as_ref().map(|after| &after.id))
        .int(i64::from(page.limit) + 1)
        .fetch_all(&mut connection)
        .await?;
        let events = rows.iter().map(row::event).collect::<Result<_, _>>()?;
        Ok(Page::cut(events, page.limit, |event: &Event| {
            Cursor::of_id(*event.id.as_uuid())
        }))
    }

    async fn put_gate(
        &self,
        organization: OrganizationId,
        event: EventId,
        id: GateId,
        gate: &GatePut,
        now: Timestamp,
    ) -> Result<Put<Gate>, StoreError> {
        let mut transaction = self.write().await?;
        lock_doors::<D>(organization, event, &mut transaction).await?;
        if find_event::<D>(organization, event, &mut transaction)
            .await?
            .is_none()
        {
            return Ok(Put::Missing);
        }
        let fresh = Gate {
            id,
            organization_id: organization,
            event_id: event,
            name: gate.name.clone(),
            code: gate.code.clone(),
            status: gate.status,
            capacity: gate.capacity,
            ticket_classes: gate.ticket_classes.clone(),
            inserted_at: now,
            updated_at: now,
        };
        let put = if insert_gate::<D>(&fresh, &mut transaction).await? {
            Put::Created(fresh)
        } else if let Some(inserted_at) = update_gate::<D>(&fresh, &mut transaction).await? {
            Put::Replaced(Gate { inserted_at, ..fresh })
        } else {
            return Ok(Put::Conflict("this id is a gate of another event"));
        };
        raise_generation::<D>(organization, &mut transaction).await?;
        mark_doors::<D>(organization, event, &mut transaction).await?;
        transaction.commit().await?;
        Ok(put)
    }

    async fn gate(
        &self,
        organization: OrganizationId,
        event: EventId,
        id: GateId,
    ) -> Result<Option<Gate>, StoreError> {
        let mut connection = self.read().await?;
        let row = query::<D>(concat!(
            "select ",
            gate_columns!(),
            " from gates g where g.organization_id = $1 and g.id = $2 and g.event_id = $3"
        ))
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .id(event.as_uuid())
        .fetch_optional(&mut connection)
        .await?;
        row.as_ref().map(row::gate).transpose()
    }

    async fn gates(
        &self,
        organization: OrganizationId,
        event: EventId,
        page: &PageRequest,
    ) -> Result<Page<Gate>, StoreError> {
        let mut connection = self.read().await?;
        let rows = query::<D>(concat!(
            "select ",
            gate_columns!(),
            " from gates g where g.organization_id = $1 and g.event_id = $2 and ($3 is null or g.id > $3) \
             order by g.id limit $4"
        ))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .opt_id(page.after.as_ref().map(|after| &after.id))
        .int(i64::from(page.limit) + 1)
        .fetch_all(&mut connection)
        .await?;
        let gates = rows.iter().map(row::gate).collect::<Result<_, _>>()?;
        Ok(Page::cut(gates, page.limit, |gate: &Gate| {
            Cursor::of_id(*gate.id.as_uuid())
        }))
    }
}

fn event_of(organization: OrganizationId, id: EventId, event: &EventPut, now: Timestamp) -> Event {
    Event {
        id,
        organization_id: organization,
        name: event.name.clone(),
        status: event.status,
        starts_at: event.starts_at,
        ends_at: event.ends_at,
        capacity: event.capacity,
        reentry: event.reentry,
        allow_unsigned: event.allow_unsigned,
        ticket_classes: event.ticket_classes.clone().unwrap_or_default(),
        stale_manifest: event.stale_manifest,
        manifest_max_age_s: event.manifest_max_age_s,
        inserted_at: now,
        updated_at: now,
    }
}

/// Waits for the admissions that are under way at an event, and lets no other begin until the transaction ends: whoever
/// is told of a new capacity finds nobody let in by the old one afterwards.
async fn lock_doors<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if let Some(sql) = D::SQL.lock_doors {
        query::<D>(sql)
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .fetch_all(connection)
            .await?;
    }
    Ok(())
}

/// Tells admissions that waited for the counters of an event meanwhile that what memory holds of it and of its gates is no
/// longer so.
async fn mark_doors<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>(
        "update occupancy set doors = (select generation from organizations where id = $1) \
         where organization_id = $1 and event_id = $2",
    )
    .id(organization.as_uuid())
    .id(event.as_uuid())
    .execute(connection)
    .await?;
    Ok(())
}

/// Reads an event that nobody else changes until the transaction ends.
pub(crate) async fn locked_event<D: Dialect>(
    organization: OrganizationId,
    id: EventId,
    connection: &mut D::Connection,
) -> Result<Option<Event>, StoreError> {
    if let Some(sql) = D::SQL.lock_event {
        query::<D>(sql)
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .fetch_all(connection)
            .await?;
    }
    find_event::<D>(organization, id, connection).await
}

pub(crate) async fn find_event<D: Dialect>(
    organization: OrganizationId,
    id: EventId,
    connection: &mut D::Connection,
) -> Result<Option<Event>, StoreError> {
    let row = query::<D>(concat!(
        "select ",
        event_columns!(),
        " from events e where e.organization_id = $1 and e.id = $2"
    ))
    .id(organization.as_uuid())
    .id(id.as_uuid())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(row::event).transpose()
}

async fn insert_event<D: Dialect>(event: &Event, connection: &mut D::Connection) -> Result<bool, StoreError> {
    let inserted = query::<D>(
        "insert into events (organization_id, id, name, status, starts_at, ends_at, capacity, reentry, \
         allow_unsigned, ticket_classes, stale_manifest, manifest_max_age_s, inserted_at, updated_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13) \
         on conflict (organization_id, id) do nothing",
    )
    .id(event.organization_id.as_uuid())
    .id(event.id.as_uuid())
    .text(event.name.as_str())
    .text(event.status.as_str())
    .opt_time(event.starts_at)
    .opt_time(event.ends_at)
    .opt_int(event.capacity.map(i64::from))
    .text(event.reentry.as_str())
    .bool(event.allow_unsigned)
    .json(&event.ticket_classes)
    .text(event.stale_manifest.as_str())
    .int(i64::from(event.manifest_max_age_s))
    .time(event.inserted_at)
    .execute(connection)
    .await?;
    Ok(inserted == 1)
}

/// Writes an event that is there.
pub(crate) async fn update_event<D: Dialect>(
    event: &Event,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>(
        "update events set name = $3, status = $4, starts_at = $5, ends_at = $6, capacity = $7, reentry = $8, \
         allow_unsigned = $9, ticket_classes = $10, stale_manifest = $11, manifest_max_age_s = $12, \
         updated_at = $13 where organization_id = $1 and id = $2",
    )
    .id(event.organization_id.as_uuid())
    .id(event.id.as_uuid())
    .text(event.name.as_str())
    .text(event.status.as_str())
    .opt_time(event.starts_at)
    .opt_time(event.ends_at)
    .opt_int(event.capacity.map(i64::from))
    .text(event.reentry.as_str())
    .bool(event.allow_unsigned)
    .json(&event.ticket_classes)
    .text(event.stale_manifest.as_str())
    .int(i64::from(event.manifest_max_age_s))
    .time(event.updated_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes a new gate and its counters.
async fn insert_gate<D: Dialect>(gate: &Gate, connection: &mut D::Connection) -> Result<bool, StoreError> {
    let inserted = query::<D>(
        "insert into gates (organization_id, id, event_id, name, code, status, capacity, ticket_classes, \
         inserted_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) \
         on conflict (organization_id, id) do nothing",
    )
    .id(gate.organization_id.as_uuid())
    .id(gate.id.as_uuid())
    .id(gate.event_id.as_uuid())
    .text(gate.name.as_str())
    .opt_text(gate.code.as_ref().map(crate::model::GateCode::as_str))
    .text(gate.status.as_str())
    .opt_int(gate.capacity.map(i64::from))
    .opt_json(gate.ticket_classes.as_ref())
    .time(gate.inserted_at)
    .execute(&mut *connection)
    .await?;
    if inserted == 0 {
        return Ok(false);
    }
    query::<D>("insert into occupancy (organization_id, event_id, gate_id) values ($1, $2, $3)")
        .id(gate.organization_id.as_uuid())
        .id(gate.event_id.as_uuid())
        .id(gate.id.as_uuid())
        .execute(connection)
        .await?;
    Ok(true)
}

/// Replaces a gate of the event; when it was made, or `None` where the id is another event's gate.
async fn update_gate<D: Dialect>(
    gate: &Gate,
    connection: &mut D::Connection,
) -> Result<Option<Timestamp>, StoreError> {
    let row = query::<D>(
        "update gates set name = $4, code = $5, status = $6, capacity = $7, ticket_classes = $8, \
         updated_at = $9 where organization_id = $1 and id = $2 and event_id = $3 returning inserted_at",
    )
    .id(gate.organization_id.as_uuid())
    .id(gate.id.as_uuid())
    .id(gate.event_id.as_uuid())
    .text(gate.name.as_str())
    .opt_text(gate.code.as_ref().map(crate::model::GateCode::as_str))
    .text(gate.status.as_str())
    .opt_int(gate.capacity.map(i64::from))
    .opt_json(gate.ticket_classes.as_ref())
    .time(gate.updated_at)
    .fetch_optional(connection)
    .await?;
    row.map(|row| row.time("inserted_at")).transpose()
}

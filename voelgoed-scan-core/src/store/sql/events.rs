//! Events and their gates. Both are written as a whole, under ids that the caller chooses. Only the deletion of an archived
//! event deletes them (`retention`).
//!
//! Invariant: a change of an event or a gate locks the event, its gates and their counters first. After the change has
//! returned, no admission that was decided by the old facts is committed. Rules that a change replaces are kept
//! (`former_rules`).

use async_trait::async_trait;

use crate::audit::Audit;
use crate::model::{Event, EventId, EventPut, Gate, GateId, GatePut, OrganizationId, Timestamp};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::{event_put, gate_put};
use crate::store::sql::change_counters::raise_change_counter;
use crate::store::sql::former_rules::keep_event_rules;
use crate::store::sql::gates::{find_gate, insert_gate, is_code_taken, list_gates, update_gate};
use crate::store::sql::query::Query;
use crate::store::sql::retention::is_deleted;
use crate::store::sql::{Dialect, Sql, mapping, query, statement};
use crate::store::{Cursor, Events, Page, PageRequest, PutOutcome, StoreError};

#[async_trait]
impl<D: Dialect> Events for Sql<D> {
    async fn put_event(
        &self,
        organization: OrganizationId,
        id: EventId,
        event: &EventPut,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<Event>, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        let new = event.event(organization, id, now);
        let is_new = insert_event::<D>(&new, &mut transaction).await?;
        if is_new && is_deleted::<D>(organization, id, &mut transaction).await? {
            return Ok(PutOutcome::Conflict(
                "this id belonged to an event that was deleted",
            ));
        }
        let (outcome, change) = if is_new {
            let change = event_put(None, &new);
            (PutOutcome::Created(new), change)
        } else {
            lock_event_with_gates::<D>(organization, id, &mut transaction).await?;
            let Some(stored) = find_event::<D>(organization, id, &mut transaction).await? else {
                return Ok(PutOutcome::Missing);
            };
            if event
                .ticket_classes
                .as_ref()
                .is_some_and(|classes| !classes.starts_with(&stored.ticket_classes))
            {
                return Ok(PutOutcome::Conflict(
                    "ticket classes can only be added at the end",
                ));
            }
            let replaced = Event {
                ticket_classes: event
                    .ticket_classes
                    .clone()
                    .unwrap_or_else(|| stored.ticket_classes.clone()),
                rehearsal: stored.rehearsal,
                inserted_at: stored.inserted_at,
                ..new
            };
            keep_event_rules::<D>(&stored, &replaced, now, &mut transaction).await?;
            update_event::<D>(&replaced, &mut transaction).await?;
            let change = event_put(Some(&stored), &replaced);
            (PutOutcome::Replaced(replaced), change)
        };
        raise_change_counter::<D>(organization, &mut transaction).await?;
        mark_facts_changed::<D>(organization, id, &mut transaction).await?;
        if let Some(change) = change {
            append::<D>(organization, change, audit, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(outcome)
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
        let (_permit, mut connection) = self.read_bulk(organization).await?;
        let rows = query::<D>(statement!("events/list.sql"))
            .id(organization.as_uuid())
            .opt_id(page.after.as_ref().map(|after| &after.id))
            .int(i64::from(page.limit) + 1)
            .fetch_all(&mut connection)
            .await?;
        let events = rows.iter().map(mapping::event).collect::<Result<_, _>>()?;
        Ok(Page::truncate(events, page.limit, |event: &Event| {
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
        audit: Audit<'_>,
    ) -> Result<PutOutcome<Gate>, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        lock_event_with_gates::<D>(organization, event, &mut transaction).await?;
        if find_event::<D>(organization, event, &mut transaction)
            .await?
            .is_none()
        {
            return Ok(PutOutcome::Missing);
        }
        let new = gate.gate(organization, event, id, now);
        if is_code_taken::<D>(&new, &mut transaction).await? {
            return Ok(PutOutcome::Conflict("another gate of this event has this code"));
        }
        let stored = find_gate::<D>(organization, event, id, &mut transaction).await?;
        let (outcome, change) = if insert_gate::<D>(&new, &mut transaction).await? {
            let change = gate_put(None, &new);
            (PutOutcome::Created(new), change)
        } else if let Some(inserted_at) = update_gate::<D>(&new, &mut transaction).await? {
            let replaced = Gate { inserted_at, ..new };
            let change = gate_put(stored.as_ref(), &replaced);
            (PutOutcome::Replaced(replaced), change)
        } else {
            return Err(StoreError::failed("a gate is neither new nor stored"));
        };
        raise_change_counter::<D>(organization, &mut transaction).await?;
        mark_facts_changed::<D>(organization, event, &mut transaction).await?;
        if let Some(change) = change {
            append::<D>(organization, change, audit, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(outcome)
    }

    async fn gate(
        &self,
        organization: OrganizationId,
        event: EventId,
        id: GateId,
    ) -> Result<Option<Gate>, StoreError> {
        let mut connection = self.read().await?;
        find_gate::<D>(organization, event, id, &mut connection).await
    }

    async fn gates(
        &self,
        organization: OrganizationId,
        event: EventId,
        page: &PageRequest,
    ) -> Result<Page<Gate>, StoreError> {
        let (_permit, mut connection) = self.read_bulk(organization).await?;
        list_gates::<D>(organization, event, page, &mut connection).await
    }
}

/// Locks an event, its gates and their counters. Admissions in progress are committed before, and later ones wait until
/// the transaction ends. So nobody is admitted by the old capacity after the new one has been acknowledged.
pub(super) async fn lock_event_with_gates<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if let Some(sql) = D::SQL.lock_event_with_gates {
        query::<D>(sql)
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .fetch_all(connection)
            .await?;
    }
    Ok(())
}

/// Stores the change counter with the counters of the event's gates. First admissions that waited for them meanwhile
/// see that their cached facts are stale.
async fn mark_facts_changed<D: Dialect>(
    organization: OrganizationId,
    event: EventId,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>(statement!("occupancy/mark_facts_changed.sql"))
        .id(organization.as_uuid())
        .id(event.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

/// Reads an event that no other transaction changes until this one ends.
pub(super) async fn locked_event<D: Dialect>(
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

pub(super) async fn find_event<D: Dialect>(
    organization: OrganizationId,
    id: EventId,
    connection: &mut D::Connection,
) -> Result<Option<Event>, StoreError> {
    let row = query::<D>(statement!("events/find.sql"))
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(mapping::event).transpose()
}

/// Inserts an event. Returns false if the id exists.
async fn insert_event<D: Dialect>(event: &Event, connection: &mut D::Connection) -> Result<bool, StoreError> {
    let inserted = bind_event::<D>(query(statement!("events/insert.sql")), event)
        .bool(event.rehearsal)
        .execute(connection)
        .await?;
    Ok(inserted == 1)
}

/// Replaces an event that exists, except for what is fixed at its creation.
pub(super) async fn update_event<D: Dialect>(
    event: &Event,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    bind_event::<D>(query(statement!("events/update.sql")), event)
        .execute(connection)
        .await?;
    Ok(())
}

/// Binds the columns of an event that a replacement changes. A new event has the same creation and update time, so one parameter serves both.
fn bind_event<D: Dialect>(statement: Query<D>, event: &Event) -> Query<D> {
    statement
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
        .opt_time(event.doors_open_at)
        .opt_time(event.doors_close_at)
        .opt_time(event.rescheduled_at)
        .text(event.time_zone.as_str())
        .text(&event.day_starts_at.to_string())
        .bool(event.allow_media)
}

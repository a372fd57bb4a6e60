//! Reads the report of an event.
//!
//! Invariants: each read examines a bounded part of the audit trail or of the tickets and takes a connection of its own, so
//! that a report of a million scans neither holds a snapshot of the database nor keeps others from reading; the time range of
//! the event's scans comes from its arrivals.

use std::collections::HashMap;

use async_trait::async_trait;
use serde::Deserialize;

use crate::model::{
    AuditActor, AuditActorKind, DeviceId, EventId, Name, OrganizationId, Reason, Source, Timestamp,
};
use crate::report::{
    EventReport, ReportBuilder, ReportedActor, ReportedOverride, ReportedUndo, ScanGroup, TicketGroup,
};
use crate::store::sql::bounded_list::{ROWS_PER_READ, cursor};
use crate::store::sql::sync::SyncDialect;
use crate::store::sql::{Dialect, Row, Sql, query, statement};
use crate::store::{ConflictFilter, Cursor, Events, PageRequest, ReportStore, StoreError, SyncStore};

/// Sorts after every code.
const AFTER_ALL_CODES: &str = "~";

/// How many conflicts are read at once.
const CONFLICTS_PER_PAGE: u16 = 500;

/// An event whose report is read.
struct ReportRead<'a, D: Dialect> {
    sql: &'a Sql<D>,
    organization: OrganizationId,
    event: EventId,
    builder: ReportBuilder,
}

#[async_trait]
impl<D: SyncDialect> ReportStore for Sql<D> {
    async fn report(
        &self,
        organization: OrganizationId,
        event: EventId,
        now: Timestamp,
    ) -> Result<Option<EventReport>, StoreError> {
        let Some(found) = self.event(organization, event).await? else {
            return Ok(None);
        };
        let mut read = ReportRead {
            sql: self,
            organization,
            event,
            builder: ReportBuilder::default(),
        };
        read.tickets().await?;
        read.scans().await?;
        read.conflicts().await?;
        let names = read.device_names().await?;
        let (_permit, mut connection) = self.read_bulk(organization).await?;
        let occupancy =
            super::occupancy::event_occupancy::<D>(organization, event, now, &mut connection).await?;
        Ok(occupancy.map(|occupancy| read.builder.finish(&found, &occupancy, &names, now)))
    }
}

impl<D: SyncDialect> ReportRead<'_, D> {
    async fn tickets(&mut self) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let (_permit, mut connection) = self.sql.read_bulk(self.organization).await?;
            let bound = query::<D>(statement!("tickets/bound.sql"))
                .id(self.organization.as_uuid())
                .id(self.event.as_uuid())
                .text(&after)
                .int(ROWS_PER_READ - 1)
                .fetch_optional(&mut connection)
                .await?;
            let bound = bound.map(|row| row.text("code")).transpose()?;
            let rows = query::<D>(statement!("report/tickets.sql"))
                .id(self.organization.as_uuid())
                .id(self.event.as_uuid())
                .text(&after)
                .text(bound.as_deref().unwrap_or(AFTER_ALL_CODES))
                .fetch_all(&mut connection)
                .await?;
            for row in &rows {
                self.builder.add_tickets(&ticket_group(row)?);
            }
            match bound {
                Some(code) => after = code,
                None => return Ok(()),
            }
        }
    }

    async fn scans(&mut self) -> Result<(), StoreError> {
        let Some((first, end)) = self.range().await? else {
            return Ok(());
        };
        let mut after = first;
        loop {
            let (_permit, mut connection) = self.sql.read_bulk(self.organization).await?;
            let bound = query::<D>(statement!("scans/bound_oldest.sql"))
                .id(self.organization.as_uuid())
                .int(after.at)
                .int(end.at)
                .int(after.at)
                .id(&after.id)
                .int(ROWS_PER_READ - 1)
                .fetch_optional(&mut connection)
                .await?;
            let bound = bound
                .map(|row| cursor(&row, "scanned_at", "scan_id"))
                .transpose()?;
            self.part(after, bound.unwrap_or(end), &mut connection).await?;
            match bound {
                Some(bound) => after = bound,
                None => return Ok(()),
            }
        }
    }

    /// The positions before the first scan of the event and after its last one. `None` if it has none.
    async fn range(&self) -> Result<Option<(Cursor, Cursor)>, StoreError> {
        let times = self.sql.times_of_event(self.organization, self.event).await?;
        Ok(times.map(|(first, last)| {
            let (before, after) = (Cursor::MIN, Cursor::MAX);
            (Cursor { at: first, ..before }, Cursor { at: last, ..after })
        }))
    }

    async fn part(
        &mut self,
        after: Cursor,
        last: Cursor,
        connection: &mut D::Connection,
    ) -> Result<(), StoreError> {
        let rows = query::<D>(statement!("report/scans.sql"))
            .id(self.organization.as_uuid())
            .id(self.event.as_uuid())
            .int(after.at)
            .id(&after.id)
            .int(last.at)
            .id(&last.id)
            .fetch_all(connection)
            .await?;
        let mut has_acts = false;
        for row in &rows {
            let group = scan_group(row)?;
            has_acts |= group.is_undone || group.reason == Reason::Overridden;
            self.builder.add_scans(&group);
        }
        if !has_acts || !self.builder.has_room_for_acts() {
            return Ok(());
        }
        let acts = query::<D>(statement!("report/acts.sql"))
            .id(self.organization.as_uuid())
            .id(self.event.as_uuid())
            .int(after.at)
            .id(&after.id)
            .int(last.at)
            .id(&last.id)
            .int(ROWS_PER_READ)
            .fetch_all(connection)
            .await?;
        for row in &acts {
            self.list_act(row)?;
        }
        Ok(())
    }

    fn list_act(&mut self, row: &Row<D>) -> Result<(), StoreError> {
        let undone_at = row.opt_time("undone_at")?;
        if row.parse::<Reason>("reason")? == Reason::Overridden {
            self.builder.list_override(ReportedOverride {
                scan_id: row.id("scan_id")?,
                at: row.time("scanned_at")?,
                gate_id: row.id("gate_id")?,
                gate_name: None,
                ticket_code: row.opt_parse("ticket_code")?,
                would_have_been: row.opt_parse("would_have_been")?,
                reason: row.opt_text("override_reason")?,
                by: overrider(row)?,
                undone: undone_at.is_some(),
            });
        }
        if let Some(at) = undone_at {
            self.builder.list_undo(ReportedUndo {
                scan_id: row.id("scan_id")?,
                at,
                scanned_at: row.time("scanned_at")?,
                gate_id: row.id("gate_id")?,
                gate_name: None,
                ticket_code: row.opt_parse("ticket_code")?,
                reason: row.opt_text("undone_reason")?,
                by: undoer(row)?,
            });
        }
        Ok(())
    }

    async fn conflicts(&mut self) -> Result<(), StoreError> {
        let quarantined = query::<D>(statement!("report/quarantined.sql"))
            .id(self.organization.as_uuid())
            .id(self.event.as_uuid())
            .fetch_optional(&mut *self.sql.read().await?)
            .await?;
        let quarantined = quarantined.map(|row| row.int("scans")).transpose()?;
        self.builder.add_quarantined(quarantined.unwrap_or(0));
        let filter = ConflictFilter {
            event_id: Some(self.event),
            kind: None,
        };
        let mut page = PageRequest {
            limit: CONFLICTS_PER_PAGE,
            after: None,
        };
        while self.builder.has_room_for_conflicts() {
            let found = self.sql.conflicts(self.organization, &filter, &page).await?;
            for conflict in found.data {
                self.builder.list_conflict(conflict);
            }
            page.after = found.next;
            if page.after.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn device_names(&self) -> Result<HashMap<DeviceId, Name>, StoreError> {
        let mut names = HashMap::new();
        for id in self.builder.device_ids() {
            let row = query::<D>(statement!("devices/find.sql"))
                .id(self.organization.as_uuid())
                .id(id.as_uuid())
                .fetch_optional(&mut *self.sql.read().await?)
                .await?;
            if let Some(row) = row {
                names.insert(id, row.parse("d_name")?);
            }
        }
        Ok(names)
    }
}

/// Who forced an entry: a device, or the API key of a member who checked in by hand.
fn overrider<D: Dialect>(row: &Row<D>) -> Result<ReportedActor, StoreError> {
    let (kind, name) = match row.parse("source")? {
        Source::Desk => (AuditActorKind::ApiKey, "key_name"),
        Source::Online | Source::Sync => (AuditActorKind::Device, "device_name"),
    };
    Ok(ReportedActor {
        kind,
        id: row.opt_id("device_id")?,
        name: row.opt_text(name)?,
    })
}

/// The actor of an entry of the audit log.
#[derive(Deserialize)]
struct EntryActor {
    actor: AuditActor,
}

/// Who undid an admission: a device, or what the audit log says.
fn undoer<D: Dialect>(row: &Row<D>) -> Result<ReportedActor, StoreError> {
    if let Some(device) = row.opt_id::<DeviceId>("undone_by")? {
        return Ok(ReportedActor {
            kind: AuditActorKind::Device,
            id: Some(*device.as_uuid()),
            name: row.opt_text("undone_by_name")?,
        });
    }
    if let Some(EntryActor { actor }) = row.opt_json("undo_entry")? {
        return Ok(ReportedActor {
            kind: actor.kind,
            id: actor.id,
            name: actor.name,
        });
    }
    Ok(ReportedActor {
        kind: row.opt_parse("actor_kind")?.unwrap_or(AuditActorKind::ApiKey),
        id: row.opt_id("actor_id")?,
        name: row.opt_text("actor_name")?,
    })
}

fn scan_group<D: Dialect>(row: &Row<D>) -> Result<ScanGroup, StoreError> {
    Ok(ScanGroup {
        gate_id: row.id("gate_id")?,
        device_id: row.opt_id("device_id")?,
        direction: row.parse("direction")?,
        reason: row.parse("reason")?,
        is_entry: row.int("is_entry")? != 0,
        is_undone: row.int("is_undone")? != 0,
        is_conflict: row.int("is_conflict")? != 0,
        is_uploaded: row.int("is_uploaded")? != 0,
        quarter: row.time("quarter")?,
        scans: row.int("scans")?,
        first_at: row.time("first_at")?,
        last_at: row.time("last_at")?,
    })
}

fn ticket_group<D: Dialect>(row: &Row<D>) -> Result<TicketGroup, StoreError> {
    Ok(TicketGroup {
        class: row.opt_parse("ticket_class")?,
        status: row.parse("status")?,
        came: row.int("came")? != 0,
        tickets: row.int("tickets")?,
    })
}

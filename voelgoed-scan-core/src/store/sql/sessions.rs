//! Sessions: which device scans at which gate.
//!
//! Invariant: a device has at most one active session. A partial unique index enforces it.

use async_trait::async_trait;

use crate::audit::{Audit, AuditedChange};
use crate::model::{
    AuditAction, AuditChanges, AuditSubject, AuditSubjectKind, DeviceId, DeviceScope, DeviceStatus, EventId,
    OrganizationId, ScanSession, SessionId, SessionStart, SessionStatus, Timestamp, WebhookType,
};
use crate::store::sql::audit::append;
use crate::store::sql::bounded_list::{BoundedList, ROWS_PER_READ, cursor};
use crate::store::sql::change_counters::raise_change_counter;
use crate::store::sql::webhooks::enqueue;
use crate::store::sql::{Dialect, Sql, mapping, query, statement};
use crate::store::{Cursor, Page, PageRequest, Sessions, StartOutcome, StoreError};

#[async_trait]
impl<D: Dialect> Sessions for Sql<D> {
    async fn start_session(
        &self,
        organization: OrganizationId,
        device: DeviceId,
        id: SessionId,
        start: &SessionStart,
        now: Timestamp,
    ) -> Result<StartOutcome, StoreError> {
        let (_turn, mut transaction) = self.write_for_device(organization).await?;
        // Writing the row of the device locks it: a revocation comes before or after this transaction, not in between.
        let device_row = query::<D>(statement!("devices/lock.sql"))
            .id(organization.as_uuid())
            .id(device.as_uuid())
            .fetch_optional(&mut transaction)
            .await?;
        let Some(device_row) = device_row else {
            return Ok(StartOutcome::DeviceInactive);
        };
        if device_row.parse::<DeviceStatus>("status")? != DeviceStatus::Active {
            return Ok(StartOutcome::DeviceInactive);
        }
        let scope: DeviceScope = device_row.opt_json("scope")?.unwrap_or_default();
        let gate = query::<D>(statement!("gates/exists.sql"))
            .id(organization.as_uuid())
            .id(start.gate_id.as_uuid())
            .id(start.event_id.as_uuid())
            .fetch_optional(&mut transaction)
            .await?;
        if gate.is_none() {
            return Ok(StartOutcome::Missing);
        }
        if !scope.admits_gate(start.event_id, start.gate_id) {
            return Ok(StartOutcome::OutOfScope);
        }
        if start.replace {
            end_active::<D>(organization, device, now, &mut transaction).await?;
        }
        let session = ScanSession {
            id,
            organization_id: organization,
            device_id: device,
            event_id: start.event_id,
            gate_id: start.gate_id,
            status: SessionStatus::Active,
            started_at: now,
            ended_at: None,
            scan_count: 0,
        };
        if !insert_session::<D>(&session, &mut transaction).await? {
            let other = query::<D>(statement!("sessions/find_active_id.sql"))
                .id(organization.as_uuid())
                .id(device.as_uuid())
                .fetch_optional(&mut transaction)
                .await?
                .ok_or_else(|| StoreError::failed("the active session of the device does not exist"))?;
            return Ok(StartOutcome::AlreadyActive(other.id("id")?));
        }
        raise_change_counter::<D>(organization, &mut transaction).await?;
        tell::<D>(WebhookType::SessionStarted, &session, now, &mut transaction).await?;
        transaction.commit().await?;
        Ok(StartOutcome::Started(session))
    }

    async fn session(
        &self,
        organization: OrganizationId,
        id: SessionId,
    ) -> Result<Option<ScanSession>, StoreError> {
        let mut connection = self.read().await?;
        find_session::<D>(organization, id, &mut connection).await
    }

    async fn end_session(
        &self,
        organization: OrganizationId,
        id: SessionId,
        now: Timestamp,
        audit: Option<Audit<'_>>,
    ) -> Result<Option<ScanSession>, StoreError> {
        let (_turn, mut transaction) = match &audit {
            Some(_) => (None, self.write_audited(organization).await?),
            None => self.write_for_device(organization).await?,
        };
        let ended = query::<D>(statement!("sessions/end.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .time(now)
            .execute(&mut transaction)
            .await?;
        let session = find_session::<D>(organization, id, &mut transaction).await?;
        if ended > 0 {
            raise_change_counter::<D>(organization, &mut transaction).await?;
            if let Some(session) = &session {
                tell::<D>(WebhookType::SessionEnded, session, now, &mut transaction).await?;
            }
            if let Some(audit) = audit {
                let change = AuditedChange {
                    action: AuditAction::SessionEnd,
                    subject: AuditSubject::new(AuditSubjectKind::Session, id),
                    changes: AuditChanges::new().with(
                        "status",
                        SessionStatus::Active.as_str(),
                        SessionStatus::Ended.as_str(),
                    ),
                };
                append::<D>(organization, change, audit, &mut transaction).await?;
            }
        }
        transaction.commit().await?;
        Ok(session)
    }

    async fn sessions(
        &self,
        organization: OrganizationId,
        device: Option<DeviceId>,
        event: Option<EventId>,
        status: Option<SessionStatus>,
        page: &PageRequest,
    ) -> Result<Page<ScanSession>, StoreError> {
        let is_filtered = device.is_some() || event.is_some() || status.is_some();
        let mut list = BoundedList::new(page, Cursor::MAX);
        while let Some((after, limit)) = list.next_read() {
            let (_permit, mut connection) = self.read_bulk(organization).await?;
            let bound = if is_filtered {
                query::<D>(statement!("sessions/bound.sql"))
                    .id(organization.as_uuid())
                    .int(after.at)
                    .id(&after.id)
                    .int(ROWS_PER_READ - 1)
                    .fetch_optional(&mut connection)
                    .await?
            } else {
                None
            };
            let bound = bound.map(|row| cursor(&row, "started_at", "id")).transpose()?;
            let last = bound.unwrap_or(Cursor::MIN);
            let rows = query::<D>(statement!("sessions/list.sql"))
                .id(organization.as_uuid())
                .int(after.at)
                .id(&after.id)
                .opt_id(device.as_ref().map(DeviceId::as_uuid))
                .opt_id(event.as_ref().map(EventId::as_uuid))
                .opt_text(status.map(SessionStatus::as_str))
                .int(last.at)
                .id(&last.id)
                .int(limit)
                .fetch_all(&mut connection)
                .await?;
            list.add(rows.iter().map(mapping::session), bound)?;
        }
        Ok(list.into_page(|session: &ScanSession| Cursor {
            at: session.started_at.as_millis(),
            id: *session.id.as_uuid(),
        }))
    }
}

/// Ends the active session of a device, if it has one.
pub(super) async fn end_active<D: Dialect>(
    organization: OrganizationId,
    device: DeviceId,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let active = query::<D>(statement!("sessions/find_active_id.sql"))
        .id(organization.as_uuid())
        .id(device.as_uuid())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(active) = active else {
        return Ok(());
    };
    query::<D>(statement!("sessions/end_active.sql"))
        .id(organization.as_uuid())
        .id(device.as_uuid())
        .time(now)
        .execute(&mut *connection)
        .await?;
    if let Some(session) = find_session::<D>(organization, active.id("id")?, &mut *connection).await? {
        tell::<D>(WebhookType::SessionEnded, &session, now, connection).await?;
    }
    Ok(())
}

/// Tells webhooks of the start or the end of a session.
async fn tell<D: Dialect>(
    kind: WebhookType,
    session: &ScanSession,
    at: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let (organization, event) = (session.organization_id, session.event_id);
    enqueue::<D>(connection, organization, Some(event), kind, at, session).await?;
    Ok(())
}

async fn find_session<D: Dialect>(
    organization: OrganizationId,
    id: SessionId,
    connection: &mut D::Connection,
) -> Result<Option<ScanSession>, StoreError> {
    let row = query::<D>(statement!("sessions/find.sql"))
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(mapping::session).transpose()
}

/// Inserts an active session. Returns false if the device has one.
async fn insert_session<D: Dialect>(
    session: &ScanSession,
    connection: &mut D::Connection,
) -> Result<bool, StoreError> {
    let inserted = query::<D>(statement!("sessions/insert.sql"))
        .id(session.organization_id.as_uuid())
        .id(session.id.as_uuid())
        .id(session.device_id.as_uuid())
        .id(session.event_id.as_uuid())
        .id(session.gate_id.as_uuid())
        .time(session.started_at)
        .execute(connection)
        .await?;
    Ok(inserted == 1)
}

//! How are sessions kept? At most one active a device: an index says so, whoever asks at once.

use async_trait::async_trait;

use crate::model::{
    DeviceId, DeviceStatus, EventId, OrganizationId, ScanSession, SessionId, SessionStart, SessionStatus,
    Timestamp,
};
use crate::store::sql::change_counters::raise_generation;
use crate::store::sql::row::{self, session_columns};
use crate::store::sql::{Dialect, Sql, query};
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
        let mut transaction = self.write().await?;
        // Writing the device's row locks it: a revocation comes before or after this, never in between.
        let authenticated = query::<D>(
            "update devices set status = status where organization_id = $1 and id = $2 returning status",
        )
        .id(organization.as_uuid())
        .id(device.as_uuid())
        .fetch_optional(&mut transaction)
        .await?;
        let active = match authenticated {
            Some(row) => row.parse::<DeviceStatus>("status")? == DeviceStatus::Active,
            None => false,
        };
        if !active {
            return Ok(StartOutcome::DeviceInactive);
        }
        let gate =
            query::<D>("select id from gates where organization_id = $1 and id = $2 and event_id = $3")
                .id(organization.as_uuid())
                .id(start.gate_id.as_uuid())
                .id(start.event_id.as_uuid())
                .fetch_optional(&mut transaction)
                .await?;
        if gate.is_none() {
            return Ok(StartOutcome::Missing);
        }
        if start.replace {
            query::<D>(
                "update sessions set status = 'ended', ended_at = $3 \
                 where organization_id = $1 and device_id = $2 and status = 'active'",
            )
            .id(organization.as_uuid())
            .id(device.as_uuid())
            .time(now)
            .execute(&mut transaction)
            .await?;
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
        if !insert::<D>(&session, &mut transaction).await? {
            let other = query::<D>(
                "select id from sessions where organization_id = $1 and device_id = $2 and status = 'active'",
            )
            .id(organization.as_uuid())
            .id(device.as_uuid())
            .fetch_optional(&mut transaction)
            .await?
            .ok_or_else(|| StoreError::Failed {
                reason: "a session stood in the way and is not there".to_owned(),
            })?;
            return Ok(StartOutcome::AlreadyActive(other.id("id")?));
        }
        raise_generation::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        Ok(StartOutcome::Started(session))
    }

    async fn session(
        &self,
        organization: OrganizationId,
        id: SessionId,
    ) -> Result<Option<ScanSession>, StoreError> {
        let mut connection = self.read().await?;
        find::<D>(organization, id, &mut connection).await
    }

    async fn end_session(
        &self,
        organization: OrganizationId,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<ScanSession>, StoreError> {
        let mut transaction = self.write().await?;
        let ended = query::<D>(
            "update sessions set status = 'ended', ended_at = $3 \
             where organization_id = $1 and id = $2 and status = 'active'",
        )
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .time(now)
        .execute(&mut transaction)
        .await?;
        let session = find::<D>(organization, id, &mut transaction).await?;
        if ended > 0 {
            raise_generation::<D>(organization, &mut transaction).await?;
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
        let start = page.after.unwrap_or(Cursor::LAST);
        let mut connection = self.read().await?;
        let rows = query::<D>(concat!(
            "select ",
            session_columns!(),
            " from sessions s where s.organization_id = $1 and (s.started_at, s.id) < ($2, $3) \
             and ($4 is null or s.device_id = $4) and ($5 is null or s.event_id = $5) \
             and ($6 is null or s.status = $6) order by s.started_at desc, s.id desc limit $7"
        ))
        .id(organization.as_uuid())
        .int(start.at)
        .id(&start.id)
        .opt_id(device.as_ref().map(DeviceId::as_uuid))
        .opt_id(event.as_ref().map(EventId::as_uuid))
        .opt_text(status.map(SessionStatus::as_str))
        .int(i64::from(page.limit) + 1)
        .fetch_all(&mut connection)
        .await?;
        let sessions = rows.iter().map(row::session).collect::<Result<_, _>>()?;
        Ok(Page::cut(sessions, page.limit, |session: &ScanSession| Cursor {
            at: session.started_at.as_millis(),
            id: *session.id.as_uuid(),
        }))
    }
}

async fn find<D: Dialect>(
    organization: OrganizationId,
    id: SessionId,
    connection: &mut D::Connection,
) -> Result<Option<ScanSession>, StoreError> {
    let row = query::<D>(concat!(
        "select ",
        session_columns!(),
        " from sessions s where s.organization_id = $1 and s.id = $2"
    ))
    .id(organization.as_uuid())
    .id(id.as_uuid())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(row::session).transpose()
}

/// Writes a session; false where the device has an active one.
async fn insert<D: Dialect>(
    session: &ScanSession,
    connection: &mut D::Connection,
) -> Result<bool, StoreError> {
    let inserted = query::<D>(
        "insert into sessions (organization_id, id, device_id, event_id, gate_id, status, started_at) \
         values ($1, $2, $3, $4, $5, 'active', $6) \
         on conflict (organization_id, device_id) where status = 'active' do nothing",
    )
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

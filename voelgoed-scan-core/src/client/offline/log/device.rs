//! The device's own state in the log: clock offset, override permission and session.

use sqlx::Row as _;
use uuid::Uuid;

use crate::client::offline::log::DeviceLog;
use crate::client::{OfflineError, PhoneSession};

/// The stored state of the device.
pub(in crate::client::offline) struct DeviceRow {
    pub(in crate::client::offline) clock_offset: i64,
    pub(in crate::client::offline) can_override: bool,
    pub(in crate::client::offline) session: Option<PhoneSession>,
}

impl DeviceLog {
    /// Returns the stored state of the device.
    pub(in crate::client::offline) async fn device(&mut self) -> Result<DeviceRow, OfflineError> {
        let row = sqlx::query(include_str!("../statements/select_device.sql"))
            .fetch_one(&mut self.connection)
            .await?;
        let event: Option<Uuid> = row.try_get("session_event_id")?;
        let gate: Option<Uuid> = row.try_get("session_gate_id")?;
        let session: Option<Uuid> = row.try_get("session_id")?;
        Ok(DeviceRow {
            clock_offset: row.try_get("clock_offset")?,
            can_override: row.try_get("can_override")?,
            session: event.zip(gate).map(|(event, gate)| PhoneSession {
                event_id: event.into(),
                gate_id: gate.into(),
                session_id: session.map(Into::into),
            }),
        })
    }

    pub(in crate::client::offline) async fn set_can_override(
        &mut self,
        can_override: bool,
    ) -> Result<(), OfflineError> {
        sqlx::query(include_str!("../statements/update_can_override.sql"))
            .bind(can_override)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub(in crate::client::offline) async fn set_session(
        &mut self,
        session: Option<&PhoneSession>,
    ) -> Result<(), OfflineError> {
        let session_id = session.and_then(|session| session.session_id);
        sqlx::query(include_str!("../statements/update_session.sql"))
            .bind(session.map(|session| *session.event_id.as_uuid()))
            .bind(session.map(|session| *session.gate_id.as_uuid()))
            .bind(session_id.map(|id| *id.as_uuid()))
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub(in crate::client::offline) async fn set_clock_offset(
        &mut self,
        millis: i64,
    ) -> Result<(), OfflineError> {
        sqlx::query(include_str!("../statements/update_clock_offset.sql"))
            .bind(millis)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

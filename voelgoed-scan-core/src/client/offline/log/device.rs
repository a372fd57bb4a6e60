//! The device's own state in the log: clock, override permission, session, and a refusal by the server.

use sqlx::Row as _;
use uuid::Uuid;

use crate::client::offline::clock::{Anchor, ClockReading, DeviceClock};
use crate::client::offline::log::{DeviceLog, get_bytes, get_json, invalid_column, to_json};
use crate::client::offline::revocation::StoredRefusal;
use crate::client::{OfflineError, PhoneSession};
use crate::model::{DeviceScope, Timestamp};

/// The stored state of the device.
pub(in crate::client::offline) struct DeviceRow {
    pub(in crate::client::offline) clock: DeviceClock,
    pub(in crate::client::offline) can_override: bool,
    pub(in crate::client::offline) session: Option<PhoneSession>,
    pub(in crate::client::offline) refusal: Option<StoredRefusal>,
}

impl DeviceLog {
    /// Returns the stored state of the device.
    pub(in crate::client::offline) async fn device(&mut self) -> Result<DeviceRow, OfflineError> {
        let verified: Option<i64> = sqlx::query(include_str!("../statements/select_verified_at.sql"))
            .fetch_one(self.reader().await?)
            .await?
            .try_get("verified_at")?;
        let row = sqlx::query(include_str!("../statements/select_device.sql"))
            .fetch_one(self.reader().await?)
            .await?;
        let event: Option<Uuid> = row.try_get("session_event_id")?;
        let gate: Option<Uuid> = row.try_get("session_gate_id")?;
        let session: Option<Uuid> = row.try_get("session_id")?;
        let time = |column| -> Result<Option<Timestamp>, OfflineError> {
            Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_millis))
        };
        let monotonic: Option<i64> = row.try_get("anchor_monotonic_ms")?;
        let device_at_anchor = time("anchor_wall")?.map(|wall| ClockReading {
            wall,
            monotonic_ms: monotonic.and_then(|millis| u64::try_from(millis).ok()),
            boot_id: row.try_get("anchor_boot_id").unwrap_or_default(),
        });
        let anchor = time("anchor_server")?
            .zip(device_at_anchor)
            .map(|(server, device)| Anchor { server, device });
        let refused: Option<String> = row.try_get("refused_code")?;
        let refusal = match (refused, time("refused_at")?) {
            (Some(code), Some(since)) => Some(StoredRefusal {
                code: code.parse().map_err(|_| invalid_column("refused_code"))?,
                since,
                token: get_bytes(&row, "refused_token")?,
            }),
            _ => None,
        };
        Ok(DeviceRow {
            clock: DeviceClock {
                offset: row.try_get("clock_offset")?,
                anchor,
                verified: verified.map(Timestamp::from_millis),
            },
            can_override: row.try_get("can_override")?,
            session: event.zip(gate).map(|(event, gate)| PhoneSession {
                event_id: event.into(),
                gate_id: gate.into(),
                session_id: session.map(Into::into),
            }),
            refusal,
        })
    }

    pub(in crate::client::offline) async fn set_can_override(
        &mut self,
        can_override: bool,
    ) -> Result<(), OfflineError> {
        let statement = sqlx::query(include_str!("../statements/update_can_override.sql")).bind(can_override);
        self.execute(statement).await
    }

    /// Returns the stored scope of the device. The default is any.
    pub(in crate::client::offline) async fn scope(&mut self) -> Result<DeviceScope, OfflineError> {
        let row = sqlx::query(include_str!("../statements/select_device_scope.sql"))
            .fetch_optional(self.reader().await?)
            .await?;
        row.map_or(Ok(DeviceScope::default()), |row| get_json(&row, "scope"))
    }

    pub(in crate::client::offline) async fn set_scope(
        &mut self,
        scope: &DeviceScope,
    ) -> Result<(), OfflineError> {
        let statement =
            sqlx::query(include_str!("../statements/upsert_device_scope.sql")).bind(to_json(scope)?);
        self.execute(statement).await
    }

    pub(in crate::client::offline) async fn set_session(
        &mut self,
        session: Option<&PhoneSession>,
    ) -> Result<(), OfflineError> {
        let session_id = session.and_then(|session| session.session_id);
        let statement = sqlx::query(include_str!("../statements/update_session.sql"))
            .bind(session.map(|session| *session.event_id.as_uuid()))
            .bind(session.map(|session| *session.gate_id.as_uuid()))
            .bind(session_id.map(|id| *id.as_uuid()));
        self.execute(statement).await
    }

    pub(in crate::client::offline) async fn set_clock(
        &mut self,
        clock: &DeviceClock,
    ) -> Result<(), OfflineError> {
        let anchor = clock.anchor.as_ref();
        let device = anchor.map(|anchor| &anchor.device);
        let statement = sqlx::query(include_str!("../statements/update_anchor.sql"))
            .bind(clock.offset)
            .bind(anchor.map(|anchor| anchor.server.as_millis()))
            .bind(device.map(|device| device.wall.as_millis()))
            .bind(device.and_then(|device| i64::try_from(device.monotonic_ms?).ok()))
            .bind(device.and_then(|device| device.boot_id.as_deref()));
        self.execute(statement).await
    }

    pub(in crate::client::offline) async fn set_refusal(
        &mut self,
        refusal: Option<&StoredRefusal>,
    ) -> Result<(), OfflineError> {
        let statement = sqlx::query(include_str!("../statements/update_refusal.sql"))
            .bind(refusal.map(|refusal| refusal.code.as_str()))
            .bind(refusal.map(|refusal| refusal.since.as_millis()))
            .bind(refusal.map(|refusal| refusal.token.as_slice()));
        self.execute(statement).await
    }
}

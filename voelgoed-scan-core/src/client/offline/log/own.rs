//! What does the device keep of itself? Its clock, its place, its manifest.

use sqlx::{Connection as _, Row as _};
use uuid::Uuid;

use crate::client::offline::log::Log;
use crate::client::{OfflineError, PhoneSession};
use crate::model::EventId;

/// What the device knows of itself.
pub(in crate::client::offline) struct Own {
    pub(in crate::client::offline) clock_offset: i64,
    pub(in crate::client::offline) can_override: bool,
    pub(in crate::client::offline) station: Option<PhoneSession>,
}

impl Log {
    /// What the device knows of itself.
    pub(in crate::client::offline) async fn own(&mut self) -> Result<Own, OfflineError> {
        let row = sqlx::query(
            "select clock_offset, can_override, station_event_id, station_gate_id, station_session_id from device",
        )
        .fetch_one(&mut self.connection)
        .await?;
        let event: Option<Uuid> = row.try_get("station_event_id")?;
        let gate: Option<Uuid> = row.try_get("station_gate_id")?;
        let session: Option<Uuid> = row.try_get("station_session_id")?;
        Ok(Own {
            clock_offset: row.try_get("clock_offset")?,
            can_override: row.try_get("can_override")?,
            station: event.zip(gate).map(|(event, gate)| PhoneSession {
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
        sqlx::query("update device set can_override = $1")
            .bind(can_override)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub(in crate::client::offline) async fn set_station(
        &mut self,
        station: Option<&PhoneSession>,
    ) -> Result<(), OfflineError> {
        sqlx::query("update device set station_event_id = $1, station_gate_id = $2, station_session_id = $3")
            .bind(station.map(|station| *station.event_id.as_uuid()))
            .bind(station.map(|station| *station.gate_id.as_uuid()))
            .bind(
                station
                    .and_then(|station| station.session_id)
                    .map(|session| *session.as_uuid()),
            )
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    pub(in crate::client::offline) async fn set_clock_offset(
        &mut self,
        millis: i64,
    ) -> Result<(), OfflineError> {
        sqlx::query("update device set clock_offset = $1")
            .bind(millis)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// The manifest and the deltas after it, as they came.
    pub(in crate::client::offline) async fn manifests(&mut self) -> Result<Vec<Vec<u8>>, OfflineError> {
        let rows = sqlx::query("select bytes from manifests order by place")
            .fetch_all(&mut self.connection)
            .await?;
        rows.iter().map(|row| Ok(row.try_get("bytes")?)).collect()
    }

    /// Keeps a manifest, instead of what was there or, a delta, after it.
    pub(in crate::client::offline) async fn keep_manifest(
        &mut self,
        event: EventId,
        bytes: &[u8],
        delta: bool,
    ) -> Result<(), OfflineError> {
        let mut write = self.connection.begin_with("begin immediate").await?;
        if !delta {
            sqlx::query("delete from manifests").execute(&mut *write).await?;
        }
        sqlx::query(
            "insert into manifests (place, event_id, bytes) \
             select coalesce(max(place) + 1, 0), $1, $2 from manifests",
        )
        .bind(event.as_uuid())
        .bind(bytes)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(())
    }
}

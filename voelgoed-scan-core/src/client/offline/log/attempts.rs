//! The scans under way in the phone's database.

use sqlx::Row as _;

use crate::client::offline::clock::ClockReading;
use crate::client::offline::log::{
    DeviceLog, Transaction, get_bytes, get_json, get_uuid, invalid_column, to_json,
};
use crate::client::{Attempt, OfflineError};
use crate::model::{EventId, ScanId, Timestamp};

/// What a recorded attempt has beyond its request.
pub(in crate::client::offline) struct AttemptRow {
    pub(in crate::client::offline) event_id: EventId,
    pub(in crate::client::offline) payload_sha256: [u8; 32],
    monotonic_ms: Option<u64>,
    boot_id: Option<String>,
}

impl AttemptRow {
    /// The device's clocks at the attempt.
    pub(in crate::client::offline) fn clock(&self, wall: Timestamp) -> ClockReading {
        ClockReading {
            wall,
            monotonic_ms: self.monotonic_ms,
            boot_id: self.boot_id.clone(),
        }
    }
}

impl DeviceLog {
    pub(in crate::client::offline) async fn begin_attempt(
        &mut self,
        attempt: &Attempt,
        payload: &[u8; 32],
        clock: &ClockReading,
    ) -> Result<(), OfflineError> {
        let scan = to_json(&attempt.to_sync_scan())?;
        let statement = sqlx::query(include_str!("../statements/insert_attempt.sql"))
            .bind(attempt.scan.scan_id.as_uuid())
            .bind(attempt.event_id.as_uuid())
            .bind(payload.as_slice())
            .bind(scan)
            .bind(clock.monotonic_ms.and_then(|millis| i64::try_from(millis).ok()))
            .bind(clock.boot_id.as_deref());
        self.execute(statement).await
    }

    pub(in crate::client::offline) async fn delete_attempt(
        &mut self,
        scan: ScanId,
    ) -> Result<(), OfflineError> {
        let statement = sqlx::query(include_str!("../statements/delete_attempt.sql")).bind(scan.as_uuid());
        self.execute(statement).await
    }

    /// Returns the attempts without an outcome, oldest first.
    pub(in crate::client::offline) async fn attempts(&mut self) -> Result<Vec<Attempt>, OfflineError> {
        let rows = sqlx::query(include_str!("../statements/select_attempts.sql"))
            .fetch_all(self.reader().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let event = get_uuid(row, "event_id")?.into();
                Ok(Attempt::of_sync_scan(event, get_json(row, "scan")?))
            })
            .collect()
    }

    /// Returns what a recorded attempt has beyond its request.
    pub(in crate::client::offline) async fn attempt(
        &mut self,
        scan: ScanId,
    ) -> Result<Option<AttemptRow>, OfflineError> {
        let row = sqlx::query(include_str!("../statements/select_attempt.sql"))
            .bind(scan.as_uuid())
            .fetch_optional(self.reader().await?)
            .await?;
        row.map(|row| {
            let monotonic: Option<i64> = row.try_get("monotonic_ms")?;
            let monotonic_ms = monotonic
                .map(|millis| u64::try_from(millis).map_err(|_| invalid_column("monotonic_ms")))
                .transpose()?;
            Ok(AttemptRow {
                event_id: get_uuid(&row, "event_id")?.into(),
                payload_sha256: get_bytes(&row, "payload_sha256")?,
                monotonic_ms,
                boot_id: row.try_get("boot_id")?,
            })
        })
        .transpose()
    }
}

impl Transaction {
    /// Deletes an attempt, because this transaction stores its outcome.
    pub(in crate::client::offline) async fn end_attempt(&mut self, scan: ScanId) -> Result<(), OfflineError> {
        let statement = sqlx::query(include_str!("../statements/delete_attempt.sql")).bind(scan.as_uuid());
        self.execute(statement).await
    }
}

//! The stored manifests: of each event the last full manifest and its deltas, byte for byte, so that every activation can
//! check their signatures.

use sqlx::Row as _;

use crate::client::OfflineError;
use crate::client::offline::log::{DeviceLog, get_uuid};
use crate::model::EventId;

impl DeviceLog {
    /// Returns the full manifest of an event and its deltas, in the order in which they apply.
    pub(in crate::client::offline) async fn manifest_parts(
        &mut self,
        event: EventId,
    ) -> Result<Vec<Vec<u8>>, OfflineError> {
        let rows = sqlx::query(include_str!("../statements/select_manifest_parts.sql"))
            .bind(event.as_uuid())
            .fetch_all(self.reader().await?)
            .await?;
        // Each row is dropped as soon as it is copied: a manifest is large.
        rows.into_iter().map(|row| Ok(row.try_get("bytes")?)).collect()
    }

    /// Returns the events whose manifests are held, the most recently used first.
    pub(in crate::client::offline) async fn held_events(&mut self) -> Result<Vec<EventId>, OfflineError> {
        let rows = sqlx::query(include_str!("../statements/select_held_events.sql"))
            .fetch_all(self.reader().await?)
            .await?;
        rows.iter()
            .map(|row| Ok(get_uuid(row, "event_id")?.into()))
            .collect()
    }

    /// Records that the manifest of an event is used.
    pub(in crate::client::offline) async fn mark_manifest_used(
        &mut self,
        event: EventId,
    ) -> Result<(), OfflineError> {
        let statement =
            sqlx::query(include_str!("../statements/upsert_manifest_use.sql")).bind(event.as_uuid());
        self.execute(statement).await
    }

    /// Appends a delta to the stored parts of an event, or replaces all of them with a full manifest. At most `held` events
    /// stay, except that the event `keep` and events with unfinished scans always do.
    pub(in crate::client::offline) async fn store_manifest(
        &mut self,
        event: EventId,
        bytes: &[u8],
        is_delta: bool,
        held: usize,
        keep: Option<EventId>,
    ) -> Result<(), OfflineError> {
        let mut transaction = self.begin().await?;
        if !is_delta {
            let statement =
                sqlx::query(include_str!("../statements/delete_manifest_parts.sql")).bind(event.as_uuid());
            transaction.execute(statement).await?;
        }
        let statement = sqlx::query(include_str!("../statements/insert_manifest_part.sql"))
            .bind(event.as_uuid())
            .bind(bytes);
        transaction.execute(statement).await?;
        let statement =
            sqlx::query(include_str!("../statements/upsert_manifest_use.sql")).bind(event.as_uuid());
        transaction.execute(statement).await?;
        let statement = sqlx::query(include_str!("../statements/delete_least_used_manifests.sql"))
            .bind(i64::try_from(held.max(1)).unwrap_or(i64::MAX))
            .bind(keep.map(|event| *event.as_uuid()));
        transaction.execute(statement).await?;
        transaction
            .execute(sqlx::query(include_str!(
                "../statements/delete_manifests_without_use.sql"
            )))
            .await?;
        self.commit(transaction).await
    }
}

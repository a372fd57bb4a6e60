//! The stored manifest: the last full manifest and its deltas, byte for byte, so that every start can check their
//! signatures.

use sqlx::{Connection as _, Row as _};

use crate::client::OfflineError;
use crate::client::offline::log::DeviceLog;
use crate::model::EventId;

impl DeviceLog {
    /// Returns the full manifest and its deltas, in the order in which they apply.
    pub(in crate::client::offline) async fn manifests(&mut self) -> Result<Vec<Vec<u8>>, OfflineError> {
        let rows = sqlx::query(include_str!("../statements/select_manifests.sql"))
            .fetch_all(&mut self.connection)
            .await?;
        rows.iter().map(|row| Ok(row.try_get("bytes")?)).collect()
    }

    /// Appends a delta to the stored parts, or replaces all of them with a full manifest.
    pub(in crate::client::offline) async fn store_manifest(
        &mut self,
        event: EventId,
        bytes: &[u8],
        is_delta: bool,
    ) -> Result<(), OfflineError> {
        let mut transaction = self.connection.begin_with("begin immediate").await?;
        if !is_delta {
            sqlx::query(include_str!("../statements/delete_manifests.sql"))
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query(include_str!("../statements/insert_manifest.sql"))
            .bind(event.as_uuid())
            .bind(bytes)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

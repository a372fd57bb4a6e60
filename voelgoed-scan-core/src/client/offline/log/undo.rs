//! Undone admissions in the log.

use crate::client::OfflineError;
use crate::client::offline::log::DeviceLog;
use crate::model::ScanId;

impl DeviceLog {
    /// Deletes the admission that a scan made. The scan itself stays in the log.
    pub(in crate::client::offline) async fn delete_passage(
        &mut self,
        scan: ScanId,
    ) -> Result<(), OfflineError> {
        sqlx::query(include_str!("../statements/delete_undone_passage.sql"))
            .bind(scan.as_uuid())
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

//! The rejected scans in the phone's database.

use sqlx::Row as _;

use crate::client::offline::log::{DeviceLog, get_count, get_json, get_parsed, invalid_column};
use crate::client::{OfflineError, RejectedScan};
use crate::model::ScanId;

impl DeviceLog {
    /// Returns the rejected scans, oldest first.
    pub(in crate::client::offline) async fn rejected(&mut self) -> Result<Vec<RejectedScan>, OfflineError> {
        let rows = sqlx::query(include_str!("../statements/select_rejected.sql"))
            .fetch_all(self.reader().await?)
            .await?;
        rows.iter()
            .map(|row| {
                let sequence: i64 = row.try_get("sequence")?;
                Ok(RejectedScan {
                    verdict: get_json(row, "verdict")?,
                    sequence: u64::try_from(sequence).map_err(|_| invalid_column("sequence"))?,
                    status: get_parsed(row, "status")?,
                    errors: get_json(row, "errors")?,
                    seen: row.try_get("seen")?,
                })
            })
            .collect()
    }

    /// Returns the number of rejected scans that nobody has seen.
    pub(in crate::client::offline) async fn count_rejected(&mut self) -> Result<u64, OfflineError> {
        let row = sqlx::query(include_str!("../statements/count_rejected.sql"))
            .fetch_one(self.reader().await?)
            .await?;
        get_count(&row)
    }

    pub(in crate::client::offline) async fn mark_rejected_seen(
        &mut self,
        scans: &[ScanId],
    ) -> Result<(), OfflineError> {
        let mut transaction = self.begin().await?;
        for scan in scans {
            let statement = sqlx::query(include_str!("../statements/update_seen.sql")).bind(scan.as_uuid());
            transaction.execute(statement).await?;
        }
        self.commit(transaction).await
    }
}

//! The conflicts in the phone's database.

use sqlx::Row as _;

use crate::client::OfflineError;
use crate::client::offline::log::{DeviceLog, get_count, get_json, to_json};
use crate::client::offline::memory::Learned;
use crate::model::{EventId, ScanId, Timestamp};
use crate::sync::Conflict;

impl DeviceLog {
    /// Returns the number of conflicts.
    pub(in crate::client::offline) async fn count_conflicts(&mut self) -> Result<u64, OfflineError> {
        let row = sqlx::query(include_str!("../statements/count_conflicts.sql"))
            .fetch_one(self.reader().await?)
            .await?;
        get_count(&row)
    }

    /// Returns the conflicts, ordered by scan id.
    pub(in crate::client::offline) async fn conflicts(&mut self) -> Result<Vec<Conflict>, OfflineError> {
        let rows = sqlx::query(include_str!("../statements/select_conflicts.sql"))
            .fetch_all(self.reader().await?)
            .await?;
        rows.iter().map(|row| get_json(row, "conflict")).collect()
    }

    /// Returns whether a conflict that this scan lost is stored.
    pub(in crate::client::offline) async fn has_conflict(
        &mut self,
        scan: ScanId,
    ) -> Result<bool, OfflineError> {
        let row = sqlx::query(include_str!("../statements/has_conflict.sql"))
            .bind(scan.as_uuid())
            .fetch_one(self.reader().await?)
            .await?;
        Ok(row.try_get("is_stored")?)
    }

    /// Stores conflicts that are not stored yet, with what they say of tickets. Returns how many are new.
    pub(in crate::client::offline) async fn add_conflicts(
        &mut self,
        conflicts: &[Conflict],
        learned: &[Learned],
    ) -> Result<u64, OfflineError> {
        let mut transaction = self.begin().await?;
        let mut added = 0;
        for conflict in conflicts {
            let statement = sqlx::query(include_str!("../statements/insert_conflict.sql"))
                .bind(conflict.other_scan_id.as_uuid())
                .bind(to_json(conflict)?);
            added += transaction.execute_counted(statement).await?;
        }
        for one in learned {
            transaction.learn(one).await?;
        }
        self.commit(transaction).await?;
        Ok(added)
    }

    /// Returns the time of the first uploaded entry of this phone since `earliest` that has no conflict.
    pub(in crate::client::offline) async fn first_unopposed(
        &mut self,
        event: EventId,
        earliest: Timestamp,
    ) -> Result<Option<Timestamp>, OfflineError> {
        let row = sqlx::query(include_str!("../statements/select_first_unopposed.sql"))
            .bind(event.as_uuid())
            .bind(earliest.as_millis())
            .fetch_one(self.reader().await?)
            .await?;
        let at: Option<i64> = row.try_get("at")?;
        Ok(at.map(Timestamp::from_millis))
    }
}

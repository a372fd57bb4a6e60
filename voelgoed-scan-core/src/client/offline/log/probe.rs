//! Checks whether the database can be read and written.

use sqlx::Row as _;

use crate::client::OfflineError;
use crate::client::offline::log::DeviceLog;

impl DeviceLog {
    /// Reads every page, and commits a write that changes nothing.
    pub(in crate::client::offline) async fn probe(&mut self) -> Result<(), OfflineError> {
        let row = sqlx::query(include_str!("../statements/probe_structure.sql"))
            .fetch_one(&mut self.connection)
            .await?;
        let found: String = row.try_get(0)?;
        if found != "ok" {
            return Err(OfflineError::Database(sqlx::Error::Protocol(found)));
        }
        sqlx::query(include_str!("../statements/probe_write.sql"))
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }
}

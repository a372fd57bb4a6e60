//! Checks whether the database can be read and written.

use crate::client::OfflineError;
use crate::client::offline::log::DeviceLog;

impl DeviceLog {
    /// Reads every page, and commits a write that changes nothing.
    pub(in crate::client::offline) async fn probe(&mut self) -> Result<(), OfflineError> {
        self.check().await?;
        self.execute(sqlx::query(include_str!("../statements/probe_write.sql")))
            .await
    }

    #[cfg(test)]
    pub(in crate::client::offline) async fn drop_device(&mut self) {
        self.execute(sqlx::query("drop table device"))
            .await
            .expect("the table is dropped");
    }
}

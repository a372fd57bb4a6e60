//! Small operations for the client's undo and self-test.

use crate::client::{OfflineError, OfflineScanner};
use crate::model::{ScanId, Timestamp};

impl OfflineScanner {
    /// Forgets an admission that the server has undone at `undone_at`, so that this phone admits the ticket again, and at
    /// once.
    pub(crate) async fn forget_undone(&self, scan: ScanId, undone_at: Timestamp) -> Result<(), OfflineError> {
        self.state.lock().await.debouncer.forget(scan);
        self.record_undo(scan, undone_at).await
    }

    /// Checks whether the database can be read and written.
    pub(crate) async fn probe_storage(&self) -> Result<(), OfflineError> {
        self.state.lock().await.log.probe().await
    }

    /// Removes a table, as damage does.
    #[cfg(test)]
    pub(crate) async fn damage(&self) {
        let mut state = self.state.lock().await;
        state.log.drop_device().await;
    }
}

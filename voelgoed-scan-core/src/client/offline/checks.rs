//! Small operations for the client's undo and self-test.

use crate::client::{OfflineError, OfflineScanner};
use crate::model::ScanId;

impl OfflineScanner {
    /// Forgets an admission that the server has undone, so that this phone admits the ticket again.
    pub(crate) async fn forget_undone(&self, scan: ScanId) -> Result<(), OfflineError> {
        let mut state = self.state.lock().await;
        state.debouncer.forget(scan);
        state.log.delete_passage(scan).await
    }

    /// Checks whether the database can be read and written.
    pub(crate) async fn probe_storage(&self) -> Result<(), OfflineError> {
        self.state.lock().await.log.probe().await
    }
}

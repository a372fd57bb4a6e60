//! The databases of the phone that were set aside.

use crate::client::{ClientError, RescueReport, ScannerClient, StorageReplacement};

impl ScannerClient {
    /// Returns the databases of this phone that were set aside because they were damaged, or because a newer version of
    /// the app wrote them. They stay in the list until [`Self::confirm_replacements`]; their files are never deleted.
    pub async fn replaced_storage(&self) -> Result<Vec<StorageReplacement>, ClientError> {
        Ok(self.offline.state().await?.replaced)
    }

    /// Takes over the scans that wait for upload from the databases that were set aside, as far as opening has not done
    /// that. The next upload hands them in.
    pub async fn rescued_scans(&self) -> Result<RescueReport, ClientError> {
        let report = self.offline.rescued_scans().await?;
        self.bump_revision();
        self.wake.notify_one();
        Ok(report)
    }

    /// Marks the databases that were set aside as shown to a person. The problem `storage_replaced` ends.
    pub async fn confirm_replacements(&self) -> Result<(), ClientError> {
        self.offline.confirm_replacements().await?;
        self.bump_revision();
        Ok(())
    }
}

//! What the phone's own state says is wrong: its disk, its database, its clock, and a refusal by the server.

use crate::client::{
    ClientError, ClockState, DeviceRefusal, OfflineState, ProblemCode, RescueReport, ScannerClient,
    StorageReplacement,
};
use crate::model::Timestamp;

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

    /// Returns the problems that follow from the stored state, and notes those that have no time of their own.
    pub(super) async fn stored_problems(
        &self,
        state: &OfflineState,
        clock: ClockState,
    ) -> [Option<(ProblemCode, Timestamp)>; 2] {
        let now = self.setup.clock.now();
        for (code, exists) in [
            (ProblemCode::StorageFull, state.is_disk_full),
            (ProblemCode::ClockMoved, clock == ClockState::Moved),
        ] {
            if exists {
                self.problems.raise(code, now);
            } else {
                self.problems.clear(code);
            }
        }
        let refusal = self.offline.device_refusal().await;
        let refusal = refusal.map(|(code, since)| match code {
            DeviceRefusal::Inactive => (ProblemCode::DeviceInactive, since),
            DeviceRefusal::InvalidToken => (ProblemCode::InvalidToken, since),
        });
        let replaced = state.replaced.iter().map(|one| one.replaced_at).max();
        [refusal, replaced.map(|at| (ProblemCode::StorageReplaced, at))]
    }
}

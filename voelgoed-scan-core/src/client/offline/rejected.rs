//! Scans that the server did not accept: it has no record of them (`rejected`), or it does not trust them (`quarantined`) and
//! counts nobody. They stay on the phone until a person has dealt with them.

use crate::client::{OfflineError, OfflineScanner, Verdict};
use crate::model::ScanId;
use crate::sync::{ScanFault, SyncStatus};

/// A scan that the server did not accept.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectedScan {
    /// The verdict that the phone showed.
    pub verdict: Verdict,
    /// Its place in the phone's log.
    pub sequence: u64,
    /// `Rejected`, or `Quarantined`.
    pub status: SyncStatus,
    /// Why the server rejected it. Empty for a quarantined scan.
    pub errors: Vec<ScanFault>,
    /// Whether a person has seen that.
    pub seen: bool,
}

impl OfflineScanner {
    /// Returns the scans that the server rejected or quarantined, oldest first.
    pub async fn rejected(&self) -> Result<Vec<RejectedScan>, OfflineError> {
        self.state.lock().await.log.rejected().await
    }

    /// Marks rejected scans as seen. They stay in [`Self::rejected`] and no longer count in the state.
    pub async fn mark_rejected_seen(&self, scans: &[ScanId]) -> Result<(), OfflineError> {
        self.state.lock().await.log.mark_rejected_seen(scans).await
    }
}

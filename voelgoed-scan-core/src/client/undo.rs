//! Takes an admission back: the steward admitted the wrong person.
//!
//! Only the server can undo an admission, because another phone may have scanned the ticket since.

use serde::Deserialize;

use crate::client::api::{ApiRequest, to_json};
use crate::client::{ClientError, ScannerClient};
use crate::model::{ReasonText, ScanId, Timestamp, UndoRequest};

/// An admission that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoneScan {
    /// The scan.
    pub scan_id: ScanId,
    /// When it was undone, by the server's clock.
    pub at: Timestamp,
    /// The reason. If the scan had been undone before, the first reason.
    pub reason: ReasonText,
}

/// The members of the server's record that the client uses.
#[derive(Deserialize)]
struct UndoneRecord {
    scan_id: ScanId,
    undone: Option<UndoneMark>,
}

#[derive(Deserialize)]
struct UndoneMark {
    at: Timestamp,
    reason: ReasonText,
}

impl ScannerClient {
    /// Undoes an admission of this device, within 15 minutes. The ticket is then as it was before the scan, on the server
    /// and on this phone. A repetition gives the same answer.
    ///
    /// Needs the server. Scans that wait for upload are uploaded first, because the scan may be one of them. Fails with
    /// `conflict` if somebody has left or entered with the ticket since, and with `forbidden` for another device's scan.
    pub async fn undo(&self, scan_id: ScanId, reason: ReasonText) -> Result<UndoneScan, ClientError> {
        if self.offline.state().await?.waiting > 0 {
            self.sync().await?;
        }
        let body = to_json(&UndoRequest { reason })?;
        let path = format!("/api/v1/scanning/scans/{scan_id}/undo");
        let request = ApiRequest::post(path, body, self.setup.settings.call_timeout);
        let record: UndoneRecord = self.api().call(request).await?;
        let undone = record
            .undone
            .filter(|_| record.scan_id == scan_id)
            .ok_or(ClientError::UnexpectedAnswer)?;
        self.attempts.forget(scan_id);
        self.offline.forget_undone(scan_id, undone.at).await?;
        // The manifest in use may count the admission. Without a newer one, the phone denies the ticket until the next
        // refresh, which is the safe side.
        if self.offline.session().await.is_some()
            && let Err(error) = self.refresh_manifest().await
        {
            tracing::debug!(
                code = error.code(),
                "the manifest was not refreshed after an undo"
            );
        }
        self.bump_revision();
        Ok(UndoneScan {
            scan_id,
            at: undone.at,
            reason: undone.reason,
        })
    }
}

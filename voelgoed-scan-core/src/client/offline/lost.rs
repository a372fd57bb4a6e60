//! Admissions of this phone that lost a conflict after their upload.

use crate::client::lost_scans::OwnScan;
use crate::client::offline::memory::learn_from_upload;
use crate::client::{OfflineError, OfflineScanner};
use crate::model::{Direction, EventId, ScanResult, Timestamp};
use crate::rules::ConflictKind;
use crate::sync::{Conflict, SyncResult, SyncStatus};

impl OfflineScanner {
    /// Returns the time of the first uploaded entry of this phone since `earliest` that has no conflict. `None` if there is
    /// none.
    pub(crate) async fn first_unopposed(
        &self,
        event: EventId,
        earliest: Timestamp,
    ) -> Result<Option<Timestamp>, OfflineError> {
        let mut state = self.state.lock().await;
        state.log.first_unopposed(event, earliest).await
    }

    /// Records admissions of this phone that the server now has as duplicates. Returns how many of them are new.
    pub(crate) async fn mark_lost(&self, scans: &[OwnScan], now: Timestamp) -> Result<u64, OfflineError> {
        let state = &mut *self.state.lock().await;
        let mut conflicts = Vec::new();
        let mut learned = Vec::new();
        for own in scans {
            // Learned again, an old conflict would count as newer than every manifest.
            if state.log.has_conflict(own.scan_id).await? {
                continue;
            }
            let Some(scan) = state.log.uploaded_scan(own.scan_id).await? else {
                continue;
            };
            let verdict = &scan.verdict;
            let was_admitted = verdict.result == ScanResult::Valid && verdict.direction == Direction::Entry;
            if !was_admitted || own.result != ScanResult::Duplicate {
                continue;
            }
            let result = SyncResult {
                scan_id: Some(own.scan_id),
                status: SyncStatus::Replayed,
                result: Some(own.result),
                reason: Some(own.reason),
                conflict: None,
                errors: Vec::new(),
            };
            let passage = state.log.passage(own.scan_id).await?;
            learned.extend(learn_from_upload(
                self.setup.organization_id,
                &scan,
                passage.map(|(_, ticket, _)| ticket),
                &result,
                now,
            )?);
            conflicts.push(Conflict {
                kind: ConflictKind::DoubleEntry,
                // A device cannot read which scan won.
                winner_scan_id: None,
                other_scan_id: own.scan_id,
                ticket_code: verdict.ticket.as_ref().and_then(|ticket| ticket.code),
                gates: vec![verdict.gate.clone()],
                devices: Vec::new(),
                times: vec![verdict.scanned_at],
            });
        }
        if conflicts.is_empty() {
            return Ok(0);
        }
        state.log.add_conflicts(&conflicts, &learned).await
    }
}

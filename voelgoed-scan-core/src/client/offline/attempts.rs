//! Scans that were sent to the server and have no outcome yet.
//!
//! Invariants: an attempt is on disk before it is sent; its row is deleted in the transaction that stores its outcome, so
//! an attempt is either unfinished or has exactly one outcome, whenever the app is killed.

use crate::client::offline::clock::ClockReading;
use crate::client::{OfflineError, OfflineScan, OfflineScanner, Verdict};
use crate::model::{EventId, ScanId};
use crate::sync::SyncScan;
use crate::token::payload_sha256;

/// A scan that is sent to the server.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The event of the session.
    pub event_id: EventId,
    /// The scan.
    pub scan: OfflineScan,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub enum AttemptOutcome<'a> {
    /// The server decided. The phone keeps what it learns about the ticket.
    Decided(&'a Verdict),
    /// Nobody decided, and nobody will: the server refused the request.
    Abandoned,
}

impl Attempt {
    /// The attempt in the form that an upload would have. It contains the payload.
    pub(super) fn to_sync_scan(&self) -> SyncScan {
        let Self { event_id, scan } = self.clone();
        SyncScan {
            scan_id: scan.scan_id,
            reading: scan.reading,
            event_id: Some(event_id),
            gate_id: scan.gate_id,
            direction: scan.direction,
            scanned_at: scan.scanned_at,
            age_ms: None,
            local_result: None,
            local_reason: None,
            sequence: None,
            override_: scan.override_,
            metadata: scan.metadata,
            prev_hash: None,
        }
    }

    pub(super) fn of_sync_scan(event_id: EventId, scan: SyncScan) -> Self {
        Self {
            event_id,
            scan: OfflineScan {
                scan_id: scan.scan_id,
                reading: scan.reading,
                gate_id: scan.gate_id,
                direction: scan.direction,
                scanned_at: scan.scanned_at,
                override_: scan.override_,
                metadata: scan.metadata,
            },
        }
    }
}

impl OfflineScanner {
    /// Records an attempt. It is on disk before this returns. A second record of the same `scan_id` changes nothing.
    pub async fn begin_attempt(&self, attempt: &Attempt) -> Result<(), OfflineError> {
        let reading = ClockReading::at(attempt.scan.scanned_at, self.clock());
        let payload = payload_sha256(attempt.scan.reading.text());
        let state = &mut *self.state.lock().await;
        match state.log.begin_attempt(attempt, &payload, &reading).await {
            Err(error) if error.is_damage() => {
                self.replace_database(state, error).await?;
                state.log.begin_attempt(attempt, &payload, &reading).await
            }
            begun => begun,
        }
    }

    /// Ends an attempt with the server's decision, or without one. If the phone decides instead, [`Self::decide`] ends the
    /// attempt.
    ///
    /// The server's decision and everything that the phone learns from it are stored in one transaction. An attempt that
    /// was not recorded, because the disk was full, is not an error.
    pub async fn finish_attempt(
        &self,
        scan_id: ScanId,
        outcome: AttemptOutcome<'_>,
    ) -> Result<(), OfflineError> {
        match outcome {
            AttemptOutcome::Decided(verdict) => self.learn_verdict(scan_id, verdict).await,
            AttemptOutcome::Abandoned => {
                let mut state = self.state.lock().await;
                state.log.delete_attempt(scan_id).await
            }
        }
    }

    /// Returns the attempts without an outcome, oldest first: the app was killed while they were under way. The server
    /// answers them under the same `scan_id`, or the phone decides them with [`Self::decide_attempt`].
    pub async fn unfinished_attempts(&self) -> Result<Vec<Attempt>, OfflineError> {
        self.state.lock().await.log.attempts().await
    }

    /// Decides an attempt on the phone, for the event that it belongs to.
    pub async fn decide_attempt(&self, attempt: &Attempt) -> Result<Verdict, OfflineError> {
        self.decide_at(Some(attempt.event_id), attempt.scan.clone()).await
    }
}

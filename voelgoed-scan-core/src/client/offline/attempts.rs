//! Scans that were sent to the server and have no outcome yet.

use crate::client::{OfflineError, OfflineScan, OfflineScanner, Verdict};
use crate::model::{EventId, ScanId, Timestamp};

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

impl OfflineScanner {
    /// Ends an attempt with the server's decision, or without one.
    pub async fn finish_attempt(
        &self,
        _scan_id: ScanId,
        outcome: AttemptOutcome<'_>,
    ) -> Result<(), OfflineError> {
        match outcome {
            AttemptOutcome::Decided(verdict) => self.record_online_verdict(verdict).await,
            AttemptOutcome::Abandoned => Ok(()),
        }
    }

    /// Decides an attempt on the phone.
    pub async fn decide_attempt(&self, attempt: &Attempt) -> Result<Verdict, OfflineError> {
        self.decide(attempt.scan.clone()).await
    }

    /// Returns a time of the device's clock by the server's clock, as far as the phone knows it.
    pub(crate) async fn to_server_time(&self, at: Timestamp) -> Timestamp {
        at.plus_millis(self.state.lock().await.clock_offset)
    }
}

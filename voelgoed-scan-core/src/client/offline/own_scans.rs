//! The scans that the phone has recorded itself, newest first.

use crate::client::{OfflineError, OfflineScanner, Verdict};
use crate::model::{Direction, EventId, GateId, Reason, ScanId, Timestamp};

/// A scan that the phone decided.
pub(crate) struct OwnVerdict {
    /// Its place in the log.
    pub(crate) sequence: u64,
    pub(crate) verdict: Verdict,
    pub(crate) is_undone: bool,
    pub(crate) is_waiting: bool,
}

/// An admission or exit that the server decided on this phone.
pub(crate) struct OwnPassage {
    pub(crate) place: PassagePlace,
    pub(crate) event_id: EventId,
    pub(crate) direction: Direction,
    pub(crate) reason: Reason,
    pub(crate) gate_id: GateId,
    pub(crate) gate_name: String,
}

/// The place of an admission or exit by the server among the phone's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PassagePlace {
    /// The last scan of the log when it was recorded.
    pub(crate) log_sequence: u64,
    /// When the server decided it.
    pub(crate) at: Timestamp,
    pub(crate) scan_id: ScanId,
}

/// A part of the phone's records, newest first.
pub(crate) struct RecordedScans {
    pub(crate) verdicts: Vec<OwnVerdict>,
    pub(crate) passages: Vec<OwnPassage>,
}

impl OfflineScanner {
    /// Returns the last scans of the log before `sequence`, and the last admissions and exits by the server before `passage`,
    /// at most `limit` of each.
    pub(crate) async fn recorded_scans(
        &self,
        sequence: u64,
        passage: PassagePlace,
        limit: u16,
    ) -> Result<RecordedScans, OfflineError> {
        let state = &mut *self.state.lock().await;
        Ok(RecordedScans {
            verdicts: state.log.own_verdicts(sequence, limit).await?,
            passages: state.log.own_passages(passage, limit).await?,
        })
    }
}

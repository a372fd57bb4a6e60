//! One call of `scan`: what it receives of the attempt that it belongs to.

use std::sync::Arc;

use crate::client::Verdict;
use crate::client::attempts::{Attempts, Outcome};
use crate::model::{ScanId, Timestamp};

/// A call of `scan`.
pub(in crate::client) struct Call {
    attempts: Arc<Attempts>,
    scan_id: ScanId,
    is_first: bool,
    has_outcome: bool,
}

impl Call {
    /// A call of the attempt with this id. `is_first` if it started the attempt.
    pub(super) fn new(attempts: &Arc<Attempts>, scan_id: ScanId, is_first: bool) -> Self {
        Self {
            attempts: Arc::clone(attempts),
            scan_id,
            is_first,
            has_outcome: false,
        }
    }

    /// Hands the outcome to the caller. All callers but one get the verdict marked as repeated.
    pub(in crate::client) fn receive(mut self, outcome: Outcome, now: Timestamp) -> Outcome {
        self.has_outcome = true;
        let verdict = outcome?;
        let is_repeated = self.attempts.see(self.scan_id, self.is_first, now);
        Ok(Verdict {
            repeated: verdict.repeated || is_repeated,
            ..verdict
        })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.is_first && !self.has_outcome {
            let mut table = self.attempts.0.lock();
            if let Some(known) = table.known.iter_mut().find(|known| known.scan_id == self.scan_id) {
                known.first_call_waits = false;
            }
        }
    }
}

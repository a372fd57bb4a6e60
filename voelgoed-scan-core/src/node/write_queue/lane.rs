//! The two queues of an organization, scans and pending denials, and the choice of what its next batch contains.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::capacity::Permit;
use super::{MAX_DENIALS_PER_BATCH, MAX_SCANS_PER_BATCH, MIN_DENIALS_PER_BATCH, Outcome, RecordError};
use crate::model::{Attempt, OrganizationId, ScanId};
use crate::rules::NewScan;
use crate::store::StoreError;

/// A scan whose caller waits for the write. Its permit is released when its batch starts.
pub(super) struct WriteRequest {
    pub(super) attempt: Box<Attempt>,
    pub(super) reply: oneshot::Sender<Outcome>,
    /// The span of the scan's wait, which the span of its write refers to.
    pub(super) span: tracing::Span,
    #[expect(
        dead_code,
        reason = "limits the scan queue for as long as the request is queued"
    )]
    pub(super) permit: Permit,
}

/// A denial that was answered from a cache and is not written yet. Its permit is released when it is written.
pub(super) struct PendingDenial {
    pub(super) scan: Box<NewScan>,
    pub(super) due: Instant,
    pub(super) permit: Permit,
}

/// A pending denial without its scan: its number in the queue, its deadline and its permit.
pub(super) type DenialQueueEntry = (u64, Instant, Permit);

impl PendingDenial {
    pub(super) fn split((number, denial): (u64, Self)) -> (NewScan, DenialQueueEntry) {
        (*denial.scan, (number, denial.due, denial.permit))
    }

    pub(super) fn join(scan: NewScan, (number, due, permit): DenialQueueEntry) -> (u64, Self) {
        let scan = Box::new(scan);
        (number, Self { scan, due, permit })
    }

    pub(super) fn organization(&self) -> OrganizationId {
        self.scan.record.organization_id
    }

    fn scan_id(&self) -> ScanId {
        self.scan.record.scan_id
    }
}

/// Signals a waiting flush when its last clone is dropped.
pub(super) type FlushSignal = Arc<oneshot::Sender<()>>;

/// What a write contains. All of it belongs to one organization.
pub(super) struct Batch {
    pub(super) organization: OrganizationId,
    /// Written first, so that the retry of a denial finds it.
    pub(super) denials: Vec<(u64, PendingDenial)>,
    pub(super) requests: Vec<WriteRequest>,
}

/// The queues of an organization. One of its writes runs at a time.
#[derive(Default)]
pub(super) struct Lane {
    scans: VecDeque<WriteRequest>,
    /// In the order of their numbers.
    denials: VecDeque<(u64, PendingDenial)>,
    denial_keys: HashSet<ScanId>,
    /// Each waits for the denials before that number.
    flushes: Vec<(u64, FlushSignal)>,
    /// When denials are tried again after a write of which none succeeded.
    retry_at: Option<Instant>,
    /// What the running write contains.
    running: Option<Running>,
}

#[derive(Clone, Copy)]
struct Running {
    scans: bool,
    denials: bool,
}

impl Lane {
    pub(super) fn push_scan(&mut self, request: WriteRequest) {
        self.scans.push_back(request);
    }

    pub(super) fn push_denial(&mut self, number: u64, denial: PendingDenial) {
        self.denial_keys.insert(denial.scan_id());
        self.denials.push_back((number, denial));
    }

    /// Keeps the signal until the denials before `number` are written, or were tried. Drops it if there are none.
    pub(super) fn flush(&mut self, number: u64, signal: FlushSignal) {
        if !self.denials.is_empty() || self.running.is_some_and(|running| running.denials) {
            self.flushes.push((number, signal));
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none() && self.scans.is_empty() && self.denials.is_empty()
    }

    /// Whether scans are queued or being written.
    pub(super) fn has_scans(&self) -> bool {
        !self.scans.is_empty() || self.running.is_some_and(|running| running.scans)
    }

    /// Whether a write can start at `now`. With `closing`, denials do not wait until they are due.
    pub(super) fn is_ready(&self, now: Instant, closing: bool) -> bool {
        let callers_wait = !self.scans.is_empty() || !self.flushes.is_empty();
        let denials_due = self.denials_due().is_some_and(|due| due <= now);
        let closing = closing && !self.denials.is_empty();
        self.running.is_none() && (callers_wait || denials_due || closing)
    }

    /// When denials must be written although no caller waits. `None` while a write runs.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.denials_due().filter(|_| self.running.is_none())
    }

    fn denials_due(&self) -> Option<Instant> {
        let (_, denial) = self.denials.front()?;
        Some(
            self.retry_at
                .map_or(denial.due, |retry_at| retry_at.max(denial.due)),
        )
    }

    /// Removes the content of the batch that starts at `now`. It has at most `max_denials` denials, besides those whose
    /// retries it contains.
    pub(super) fn start_batch(
        &mut self,
        organization: OrganizationId,
        now: Instant,
        max_denials: usize,
    ) -> Batch {
        let scan_count = self.scans.len().min(MAX_SCANS_PER_BATCH);
        let requests: Vec<WriteRequest> = self.scans.drain(..scan_count).collect();
        let mut denials = self.take_denials_retried_by(&requests);
        // Denials are a write of their own. Scans wait for it only when denials are due.
        let due = self.denials_due().is_some_and(|due| due <= now);
        if requests.is_empty() || due || !self.flushes.is_empty() {
            let capacity = match requests.len() {
                0 => MAX_DENIALS_PER_BATCH,
                scans => (MAX_SCANS_PER_BATCH - scans).max(MIN_DENIALS_PER_BATCH),
            };
            let capacity = capacity.min(max_denials.max(MIN_DENIALS_PER_BATCH));
            let denial_count = self.denials.len().min(capacity);
            denials.extend(self.denials.drain(..denial_count));
        }
        for (_, denial) in &denials {
            self.denial_keys.remove(&denial.scan_id());
        }
        self.running = Some(Running {
            scans: !requests.is_empty(),
            denials: !denials.is_empty(),
        });
        Batch {
            organization,
            denials,
            requests,
        }
    }

    /// Removes the denials whose retries are among the requests.
    fn take_denials_retried_by(&mut self, requests: &[WriteRequest]) -> Vec<(u64, PendingDenial)> {
        let retried: HashSet<_> = requests
            .iter()
            .map(|request| request.attempt.scan_id)
            .filter(|scan| self.denial_keys.contains(scan))
            .collect();
        if retried.is_empty() {
            return Vec::new();
        }
        let denials = std::mem::take(&mut self.denials).into_iter();
        let (taken, left): (Vec<_>, Vec<_>) =
            denials.partition(|(_, denial)| retried.contains(&denial.scan_id()));
        self.denials = left.into();
        taken
    }

    /// Ends a write. Queues the denials again that it did not write, at the front. `retry_at` is when they are tried
    /// again, where it wrote none of its denials.
    pub(super) fn end_batch(&mut self, unwritten: Vec<(u64, PendingDenial)>, retry_at: Option<Instant>) {
        self.running = None;
        let failed = !unwritten.is_empty();
        self.retry_at = retry_at.filter(|_| failed);
        for (number, denial) in unwritten.into_iter().rev() {
            self.denial_keys.insert(denial.scan_id());
            self.denials.push_front((number, denial));
        }
        // A flush whose denials were tried does not wait any longer.
        let first = self.denials.front().map(|(number, _)| *number);
        self.flushes
            .retain(|(before, _)| !failed && first.is_some_and(|first| first < *before));
    }

    /// Answers every queued scan with the error of an unavailable database. Denials stay queued.
    pub(super) fn fail_scans(&mut self, error: &Arc<StoreError>) {
        for request in self.scans.drain(..) {
            // A caller that went away needs no answer.
            let _ = request.reply.send(Err(RecordError::Store(Arc::clone(error))));
        }
    }

    /// Drops all denials. Returns how many there were.
    pub(super) fn abandon_denials(&mut self) -> usize {
        self.flushes.clear();
        self.denial_keys.clear();
        std::mem::take(&mut self.denials).len()
    }
}

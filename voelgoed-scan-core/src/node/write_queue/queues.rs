//! The two queues of the writer, scans and pending denials, and the choice of what the next batch contains.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::{MAX_DENIALS_PER_BATCH, MAX_SCANS_PER_BATCH, MIN_DENIALS_PER_BATCH, Outcome, RecordError};
use crate::model::{Attempt, OrganizationId, ScanId};
use crate::rules::NewScan;
use crate::store::StoreError;

/// A scan whose caller waits for the write. Its permit is released when its batch starts.
pub(super) struct WriteRequest {
    pub(super) attempt: Box<Attempt>,
    pub(super) reply: oneshot::Sender<Outcome>,
    #[expect(
        dead_code,
        reason = "limits the scan queue for as long as the request is queued"
    )]
    pub(super) permit: OwnedSemaphorePermit,
}

/// A denial that was answered from a cache and is not written yet. Its permit is released when it is written.
pub(super) struct PendingDenial {
    pub(super) scan: Box<NewScan>,
    pub(super) due: Instant,
    pub(super) permit: OwnedSemaphorePermit,
}

/// A pending denial without its scan: its number in the queue, its deadline and its permit.
pub(super) type DenialQueueEntry = (u64, Instant, OwnedSemaphorePermit);

impl PendingDenial {
    pub(super) fn split((number, denial): (u64, Self)) -> (NewScan, DenialQueueEntry) {
        (*denial.scan, (number, denial.due, denial.permit))
    }

    pub(super) fn join(scan: NewScan, (number, due, permit): DenialQueueEntry) -> (u64, Self) {
        let scan = Box::new(scan);
        (number, Self { scan, due, permit })
    }

    fn key(&self) -> (OrganizationId, ScanId) {
        (self.scan.record.organization_id, self.scan.record.scan_id)
    }
}

/// Collects denials until the writer drains it. Only the first one wakes the writer.
#[derive(Default)]
pub(super) struct DenialBuffer(Mutex<Vec<PendingDenial>>);

impl DenialBuffer {
    /// Adds a denial. Returns whether the buffer was empty.
    pub(super) fn push(&self, denial: PendingDenial) -> bool {
        let mut denials = self.0.lock();
        denials.push(denial);
        denials.len() == 1
    }

    fn drain(&self) -> Vec<PendingDenial> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// A message to the writer.
pub(super) enum Command {
    /// Record a scan.
    Record(WriteRequest),
    /// The denial buffer is no longer empty. Its first denial is due at that time.
    DrainDenials(Instant),
    /// Signal when every denial that was queued before is written, or was tried.
    Flush(oneshot::Sender<()>),
}

/// The queues.
pub(super) struct Queues {
    buffer: Arc<DenialBuffer>,
    /// When the denials in the buffer are due.
    buffer_due: Option<Instant>,
    scans: VecDeque<WriteRequest>,
    /// In the order of their numbers.
    denials: VecDeque<(u64, PendingDenial)>,
    denial_keys: HashSet<(OrganizationId, ScanId)>,
    next_number: u64,
    /// Each waits for the denials before that number.
    flushes: Vec<(u64, oneshot::Sender<()>)>,
    /// When denials are tried again after a write of which none succeeded.
    retry_at: Option<Instant>,
}

impl Queues {
    pub(super) fn new(buffer: Arc<DenialBuffer>) -> Self {
        Self {
            buffer,
            buffer_due: None,
            scans: VecDeque::new(),
            denials: VecDeque::new(),
            denial_keys: HashSet::new(),
            next_number: 0,
            flushes: Vec::new(),
            retry_at: None,
        }
    }

    pub(super) fn apply(&mut self, command: Command) {
        match command {
            Command::Record(request) => self.scans.push_back(request),
            Command::DrainDenials(due) => {
                self.buffer_due = Some(self.buffer_due.map_or(due, |earlier| earlier.min(due)));
            }
            Command::Flush(done) => {
                self.drain_buffer();
                self.flushes.push((self.next_number, done));
                self.complete_flushes(false);
            }
        }
    }

    fn drain_buffer(&mut self) {
        self.buffer_due = None;
        for denial in self.buffer.drain() {
            self.denial_keys.insert(denial.key());
            self.denials.push_back((self.next_number, denial));
            self.next_number += 1;
        }
    }

    /// How many denials are queued, without those in the buffer.
    pub(super) fn pending_denials(&self) -> usize {
        self.denials.len()
    }

    pub(super) fn has_work(&self) -> bool {
        !self.scans.is_empty() || !self.denials.is_empty() || self.buffer_due.is_some()
    }

    /// Whether a caller waits for a write: of its scan, or of the denials that it flushes.
    pub(super) fn has_waiting_callers(&self) -> bool {
        !self.scans.is_empty() || !self.flushes.is_empty()
    }

    /// When denials must be written although no caller waits.
    pub(super) fn denials_due(&self) -> Option<Instant> {
        let due = match self.denials.front() {
            Some((_, denial)) => denial.due,
            None => self.buffer_due?,
        };
        Some(self.retry_at.map_or(due, |retry_at| retry_at.max(due)))
    }

    /// Removes the content of the batch that starts at `now`: denials, which are written first, and scans.
    pub(super) fn next_batch(&mut self, now: Instant) -> (Vec<(u64, PendingDenial)>, Vec<WriteRequest>) {
        // The whole buffer: a denial that was queued before its retry must be found when the retry is written.
        self.drain_buffer();
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
            let denial_count = self.denials.len().min(capacity);
            denials.extend(self.denials.drain(..denial_count));
        }
        for (_, denial) in &denials {
            self.denial_keys.remove(&denial.key());
        }
        (denials, requests)
    }

    /// Removes the denials whose retries are among the requests.
    fn take_denials_retried_by(&mut self, requests: &[WriteRequest]) -> Vec<(u64, PendingDenial)> {
        let retried: HashSet<_> = requests
            .iter()
            .map(|request| (request.attempt.organization_id, request.attempt.scan_id))
            .filter(|key| self.denial_keys.contains(key))
            .collect();
        if retried.is_empty() {
            return Vec::new();
        }
        let denials = std::mem::take(&mut self.denials).into_iter();
        let (taken, left): (Vec<_>, Vec<_>) =
            denials.partition(|(_, denial)| retried.contains(&denial.key()));
        self.denials = left.into();
        taken
    }

    /// Queues the denials again that a batch did not write, at the front. `retry_at` is when they are tried again, where
    /// the batch wrote none of its denials.
    pub(super) fn requeue_denials(
        &mut self,
        unwritten: Vec<(u64, PendingDenial)>,
        retry_at: Option<Instant>,
    ) {
        let failed = !unwritten.is_empty();
        self.retry_at = retry_at.filter(|_| failed);
        for (number, denial) in unwritten.into_iter().rev() {
            self.denial_keys.insert(denial.key());
            self.denials.push_front((number, denial));
        }
        self.complete_flushes(failed);
    }

    /// Signals the flushes whose denials are written; all of them where a write was tried and failed.
    fn complete_flushes(&mut self, tried: bool) {
        let first = self.denials.front().map(|(number, _)| *number);
        let is_done = |before: u64| tried || first.is_none_or(|first| first >= before);
        for (before, done) in std::mem::take(&mut self.flushes) {
            if is_done(before) {
                // A caller that went away needs no signal.
                let _ = done.send(());
            } else {
                self.flushes.push((before, done));
            }
        }
    }

    /// Answers every queued scan with the error of an unavailable database. Denials stay queued.
    pub(super) fn fail_scans(&mut self, error: &Arc<StoreError>) {
        for request in self.scans.drain(..) {
            // A caller that went away needs no answer.
            let _ = request.reply.send(Err(RecordError::Store(Arc::clone(error))));
        }
    }
}

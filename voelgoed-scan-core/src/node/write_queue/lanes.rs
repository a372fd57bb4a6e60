//! The lanes: the queues of every organization that has work, and whose turn it is.
//!
//! Invariants:
//! - One write of an organization runs at a time; writes of several organizations run side by side.
//! - Organizations with work take turns.
//! - A lane without work is removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::bulk::{BulkWrites, ChunkSize};
use super::lane::{Batch, FlushSignal, Lane, PendingDenial, WriteRequest};
use crate::model::OrganizationId;
use crate::store::StoreError;

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

/// Collects scans until the writer drains it. A scan wakes the writer only where it can start a write: a writer that is
/// woken by every scan that arrives during a write uses much of its processor for it.
#[derive(Default)]
pub(super) struct ScanBuffer(Mutex<BufferedScans>);

#[derive(Default)]
struct BufferedScans {
    requests: Vec<WriteRequest>,
    /// The organizations of which a write runs. The writer drains the buffer when it ends.
    running: Vec<OrganizationId>,
}

impl ScanBuffer {
    /// Adds a scan. Returns whether the writer has to be woken.
    pub(super) fn push(&self, request: WriteRequest) -> bool {
        let mut scans = self.0.lock();
        let is_running = scans.running.contains(&request.attempt.organization_id);
        scans.requests.push(request);
        !is_running
    }

    fn drain(&self) -> Vec<WriteRequest> {
        std::mem::take(&mut self.0.lock().requests)
    }

    fn start_write(&self, organization: OrganizationId) {
        self.0.lock().running.push(organization);
    }

    fn end_write(&self, organization: OrganizationId) {
        self.0.lock().running.retain(|running| *running != organization);
    }
}

/// A message to the writer.
pub(super) enum Command {
    /// The scan buffer holds a scan of an organization of which no write runs.
    DrainScans,
    /// The denial buffer is no longer empty. Its first denial is due at that time.
    DrainDenials(Instant),
    /// Signal when every denial of an organization that was queued before is written, or was tried; of all organizations
    /// where none is given.
    Flush(Option<OrganizationId>, oneshot::Sender<()>),
}

/// How a write ended.
pub(super) struct EndedBatch {
    pub(super) organization: OrganizationId,
    /// The denials that were not written.
    pub(super) unwritten: Vec<(u64, PendingDenial)>,
    /// When those are tried again, where none was written.
    pub(super) retry_at: Option<Instant>,
    pub(super) had_scans: bool,
}

/// The lanes.
pub(super) struct Lanes {
    scan_buffer: Arc<ScanBuffer>,
    buffer: Arc<DenialBuffer>,
    /// When the denials in the buffer are due.
    buffer_due: Option<Instant>,
    lanes: BTreeMap<OrganizationId, Lane>,
    /// The organization whose write started last. The next one's turn follows.
    last: Option<OrganizationId>,
    /// The number of the next denial.
    next_number: u64,
    denial_batch_size: Arc<ChunkSize>,
    bulk_writes: BulkWrites,
}

impl Lanes {
    pub(super) fn new(
        scan_buffer: Arc<ScanBuffer>,
        buffer: Arc<DenialBuffer>,
        denial_batch_size: Arc<ChunkSize>,
        bulk_writes: BulkWrites,
    ) -> Self {
        Self {
            scan_buffer,
            buffer,
            buffer_due: None,
            lanes: BTreeMap::new(),
            last: None,
            next_number: 0,
            denial_batch_size,
            bulk_writes,
        }
    }

    pub(super) fn apply(&mut self, command: Command) {
        match command {
            Command::DrainScans => self.drain_scans(),
            Command::DrainDenials(due) => {
                self.buffer_due = Some(self.buffer_due.map_or(due, |earlier| earlier.min(due)));
            }
            Command::Flush(organization, done) => {
                self.drain_buffer();
                // The last lane that drops its clone signals the caller.
                let signal: FlushSignal = Arc::new(done);
                for (of, lane) in &mut self.lanes {
                    if organization.is_none_or(|organization| organization == *of) {
                        lane.flush(self.next_number, Arc::clone(&signal));
                    }
                }
            }
        }
    }

    /// Takes the scans out of their buffer.
    pub(super) fn drain_scans(&mut self) {
        for request in self.scan_buffer.drain() {
            let organization = request.attempt.organization_id;
            let lane = self.lanes.entry(organization).or_default();
            if !lane.has_scans() {
                self.bulk_writes.scans_started(organization);
            }
            lane.push_scan(request);
        }
    }

    fn drain_buffer(&mut self) {
        self.buffer_due = None;
        for denial in self.buffer.drain() {
            let lane = self.lanes.entry(denial.organization()).or_default();
            lane.push_denial(self.next_number, denial);
            self.next_number += 1;
        }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.lanes.is_empty() || self.buffer_due.is_some()
    }

    /// When denials must be written although no caller waits.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = self.lanes.values().filter_map(Lane::next_due);
        due.chain(self.buffer_due).min()
    }

    /// Starts the batch of the next organization whose turn it is at `now`. With `closing`, denials do not wait until they
    /// are due.
    pub(super) fn start_batch(&mut self, now: Instant, closing: bool) -> Option<Batch> {
        if closing || self.buffer_due.is_some_and(|due| due <= now) {
            self.drain_buffer();
        }
        let organization = self.next_ready(now, closing)?;
        // The whole buffer: a denial that was queued before its retry must be found when the retry is written.
        self.drain_buffer();
        self.last = Some(organization);
        let max_denials = self.denial_batch_size.items();
        let lane = self.lanes.get_mut(&organization)?;
        self.scan_buffer.start_write(organization);
        Some(lane.start_batch(organization, now, max_denials))
    }

    fn next_ready(&self, now: Instant, closing: bool) -> Option<OrganizationId> {
        let ready = |(organization, lane): (&OrganizationId, &Lane)| {
            lane.is_ready(now, closing).then_some(*organization)
        };
        let mut after = self
            .lanes
            .iter()
            .filter(|(organization, _)| self.last.is_some_and(|last| **organization > last));
        after
            .find_map(ready)
            .or_else(|| self.lanes.iter().find_map(ready))
    }

    /// Ends a write.
    pub(super) fn end_batch(&mut self, ended: EndedBatch) {
        let organization = ended.organization;
        self.scan_buffer.end_write(organization);
        let Some(lane) = self.lanes.get_mut(&organization) else {
            return;
        };
        lane.end_batch(ended.unwritten, ended.retry_at);
        if ended.had_scans {
            self.bulk_writes.scans_written(organization);
            if !lane.has_scans() {
                self.bulk_writes.scans_ended(organization);
            }
        }
        if lane.is_idle() {
            self.lanes.remove(&organization);
        }
    }

    /// Answers the queued scans of an organization with the error of an unavailable database; those of all organizations
    /// where none is given. Denials stay queued.
    pub(super) fn fail_scans(&mut self, organization: Option<OrganizationId>, error: &Arc<StoreError>) {
        self.lanes.retain(|of, lane| {
            if organization.is_none_or(|organization| organization == *of) {
                let had_scans = lane.has_scans();
                lane.fail_scans(error);
                if had_scans && !lane.has_scans() {
                    self.bulk_writes.scans_ended(*of);
                }
            }
            !lane.is_idle()
        });
    }

    /// Drops the denials of an organization. Returns how many there were.
    pub(super) fn abandon_denials(&mut self, organization: OrganizationId) -> usize {
        let Some(lane) = self.lanes.get_mut(&organization) else {
            return 0;
        };
        let abandoned = lane.abandon_denials();
        if lane.is_idle() {
            self.lanes.remove(&organization);
        }
        abandoned
    }

    /// How many organizations have a lane.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }
}

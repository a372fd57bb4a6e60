//! Batches scans into few database writes: scans that arrive during a write go together into the next one.
//!
//! There is no timer for scans: an idle writer writes at once. A scan that arrives during a write of its organization does
//! not wake the writer, which takes it when that write ends. Denials served from a cache are written behind: the caller
//! is answered first, and the record follows in a batch of its own. The parts, in the order in which a scan passes them:
//! the lanes (`lanes.rs`), each with the two queues of an organization (`lane.rs`), the writer thread (`writer.rs`), the
//! database calls (`batches.rs`), and the post-commit task (`post_commit.rs`), which fills the caches and answers the
//! callers while the next write runs. Uploads and imports do not pass the queue; they wait behind it (`bulk.rs`).
//!
//! Invariants:
//! - A write holds scans of one organization, and one write of an organization runs at a time. Writes of several
//!   organizations run side by side, so that a lock wait in one organization delays no other. Organizations take turns.
//! - The scans of an organization are written in the order of their arrival, each in the first batch with free capacity.
//! - A pending denial is written within [`DENIAL_FLUSH_DELAY`] where there is capacity, and stays queued until it is
//!   written. When scans are waiting, a denial batch takes at most the capacity they leave, or
//!   [`MIN_DENIALS_PER_BATCH`]. Its size follows the durations of the batches before it, because a scan may have to wait
//!   for it.
//! - A pending denial is written before a scan with the same id, because that scan is its retry and must find it.
//! - Both queues are bounded, and an organization may take half of each (`capacity.rs`). A full scan queue answers
//!   [`RecordError::Overloaded`]. A full denial queue applies back-pressure for [`RESERVE_TIMEOUT`]; while the database is
//!   unavailable, it answers its error at once.
//! - Post-commit work of an organization runs in the order of its writes.
//! - A batch that fails as a whole is written scan by scan, so that a bad scan never fails others. A panic in the store
//!   counts as such a failure. A panic in the post-commit work does not prevent the answers.
//! - When the database is unavailable, all waiting scans of all organizations fail at once: no caller waits for two
//!   failing writes. A failure of one organization's write fails only its own scans if other writes succeed meanwhile, or if
//!   it alone timed out, probably because its rows are locked (`availability.rs`).
//! - A caller that goes away leaves a complete scan or none.

mod availability;
mod batches;
mod bulk;
mod capacity;
mod lane;
mod lanes;
mod post_commit;
mod writer;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument as _;

use crate::model::{Attempt, OrganizationId, Recorded, RuleSettings};
use crate::node::health::{WriteCounts, WriteStats};
use crate::rules::NewScan;
use crate::spans::span;
use crate::store::{ScanStore, StoreError};
pub(crate) use bulk::{BulkKind, BulkPermit, BulkWrites};
use bulk::{ChunkSize, Contention};
use capacity::{Capacity, Permit};
use lane::{PendingDenial, WriteRequest};
use lanes::{Command, DenialBuffer, Lanes, ScanBuffer};
pub(crate) use post_commit::{PostCommit, PostCommitTask, panic_message};
use writer::Writer;

/// The maximal number of scans in a batch.
const MAX_SCANS_PER_BATCH: usize = 256;

/// The maximal number of denials in a batch while no scan is waiting.
const MAX_DENIALS_PER_BATCH: usize = 1024;

/// How many due denials a batch takes, however many scans are waiting.
const MIN_DENIALS_PER_BATCH: usize = 32;

/// How many scans of an organization the scan queue holds.
const MAX_QUEUED_SCANS: usize = 4096;

/// How many denials of an organization the denial queue holds. It fills while the database is unavailable; caches then stop
/// answering, and the callers get the database's error.
const MAX_PENDING_DENIALS: usize = 16_384;

/// How long a denial waits for capacity in the denial queue.
const RESERVE_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest time that a pending denial waits for others to share its batch. Its record must exist at most 100 ms after
/// the answer; the remaining time is for the write itself.
const DENIAL_FLUSH_DELAY: Duration = Duration::from_millis(75);

/// How many written batches may wait for their post-commit work before the writer waits too.
const MAX_PENDING_POST_COMMITS: usize = 4;

/// The pause after a write of denials of which none succeeded.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Why a scan was not recorded.
#[derive(Debug, Clone)]
pub(crate) enum RecordError {
    /// The queue is full.
    Overloaded,
    /// The database failed. Whether the scan was written is unknown.
    Store(Arc<StoreError>),
}

/// The result of one scan's write.
type Outcome = Result<Recorded, RecordError>;

/// The queue in front of the database; cheap to clone. The channel is unbounded: the capacities bound what it holds.
#[derive(Clone)]
pub(crate) struct WriteQueue {
    commands: mpsc::UnboundedSender<Command>,
    scan_capacity: Arc<Capacity>,
    denial_capacity: Arc<Capacity>,
    scan_buffer: Arc<ScanBuffer>,
    denial_buffer: Arc<DenialBuffer>,
    bulk_writes: BulkWrites,
    unavailable: watch::Receiver<Option<Arc<StoreError>>>,
    stats: Arc<WriteStats>,
}

impl WriteQueue {
    /// Starts the writer, which ends when the last `WriteQueue` is dropped. The writer has its own thread: on a worker of
    /// the runtime, every waiting scan would also wait for the other tasks in that worker's queue.
    pub(crate) fn start<S: ScanStore + ?Sized + 'static>(
        store: Arc<S>,
        rules: RuleSettings,
        post_commit: Arc<impl PostCommit>,
    ) -> io::Result<Self> {
        let contention = match store.concurrent_writes() {
            0 | 1 => Contention::Database,
            _ => Contention::Organization,
        };
        let bulk_writes = BulkWrites::new(contention);
        let (commands, receiver) = mpsc::unbounded_channel();
        let stats = Arc::new(WriteStats::default());
        let (completed, batches) = mpsc::channel(MAX_PENDING_POST_COMMITS);
        tokio::spawn(post_commit::run_post_commit(Arc::clone(&post_commit), batches));
        let denial_batch_size = Arc::new(ChunkSize::new(contention.target()));
        let (unavailable, is_unavailable) = watch::channel(None);
        let writer = Writer {
            store,
            rules,
            post_commit,
            completed,
            stats: Arc::clone(&stats),
            denial_batch_size: Arc::clone(&denial_batch_size),
            unavailable,
        };
        let denial_buffer = Arc::new(DenialBuffer::default());
        let scan_buffer = Arc::new(ScanBuffer::default());
        let lanes = Lanes::new(
            Arc::clone(&scan_buffer),
            Arc::clone(&denial_buffer),
            denial_batch_size,
            bulk_writes.clone(),
        );
        writer::spawn_thread(writer.run(lanes, receiver))?;
        Ok(Self {
            commands,
            scan_capacity: Arc::new(Capacity::new(MAX_QUEUED_SCANS)),
            denial_capacity: Arc::new(Capacity::new(MAX_PENDING_DENIALS)),
            scan_buffer,
            denial_buffer,
            bulk_writes,
            unavailable: is_unavailable,
            stats,
        })
    }

    /// What was written, and what is queued.
    pub(crate) fn counts(&self) -> WriteCounts {
        self.stats
            .counts(self.scan_capacity.used(), self.denial_capacity.used())
    }

    /// The bulk writes that wait behind the scans of this queue.
    pub(crate) fn bulk_writes(&self) -> &BulkWrites {
        &self.bulk_writes
    }

    /// Records a scan. Returns when it is durable.
    pub(crate) async fn record(&self, attempt: Box<Attempt>) -> Outcome {
        let permit = self
            .scan_capacity
            .try_acquire(attempt.organization_id)
            .ok_or(RecordError::Overloaded)?;
        let (reply, outcome) = oneshot::channel();
        let span = span!("scan.record");
        let request = WriteRequest {
            attempt,
            reply,
            permit,
            span: span.clone(),
        };
        if self.scan_buffer.push(request) {
            self.commands
                .send(Command::DrainScans)
                .map_err(|_| RecordError::Overloaded)?;
        }
        let outcome = outcome.instrument(span).await;
        outcome.unwrap_or(Err(RecordError::Overloaded))
    }

    /// Reserves capacity for a denial of an organization. While there is none, waits for denials to be written, at most
    /// [`RESERVE_TIMEOUT`]. Fails at once with the database's error while the database is unavailable.
    pub(crate) async fn reserve_denial(&self, organization: OrganizationId) -> Result<Permit, RecordError> {
        if let Some(permit) = self.denial_capacity.try_acquire(organization) {
            return Ok(permit);
        }
        let mut unavailable = self.unavailable.clone();
        tokio::select! {
            biased;
            permit = self.denial_capacity.acquire(organization) => permit.ok_or(RecordError::Overloaded),
            unavailable = unavailable.wait_for(Option::is_some) => {
                let error = unavailable.ok().and_then(|error| error.clone());
                Err(error.map_or(RecordError::Overloaded, RecordError::Store))
            }
            () = sleep(RESERVE_TIMEOUT) => Err(RecordError::Overloaded),
        }
    }

    /// Queues a denial that was answered from a cache. Returns at once; the record follows.
    pub(crate) fn enqueue_denial(&self, permit: Permit, scan: NewScan) -> Result<(), RecordError> {
        let scan = Box::new(scan);
        let due = Instant::now() + DENIAL_FLUSH_DELAY;
        if self.denial_buffer.push(PendingDenial { scan, due, permit }) {
            self.commands
                .send(Command::DrainDenials(due))
                .map_err(|_| RecordError::Overloaded)?;
        }
        Ok(())
    }

    /// Waits until every denial of an organization that was queued before is written, or one more attempt to write it has
    /// failed. Denials of other organizations may still be pending.
    pub(crate) async fn flush(&self, organization: OrganizationId) {
        self.send_flush(Some(organization)).await;
    }

    /// Does what [`Self::flush`] does, for all organizations.
    pub(crate) async fn flush_all(&self) {
        self.send_flush(None).await;
    }

    /// Writes all pending denials, and tries again what fails, until `limit` is over. Returns how many are pending then.
    pub(crate) async fn flush_within(&self, limit: Duration) -> usize {
        let flush = async {
            self.flush_all().await;
            while self.counts().pending_denials > 0 {
                sleep(RETRY_DELAY).await;
                self.flush_all().await;
            }
        };
        // What is left after the limit is counted.
        let _ = timeout(limit, flush).await;
        self.counts().pending_denials
    }

    async fn send_flush(&self, organization: Option<OrganizationId>) {
        let (done, flushed) = oneshot::channel();
        if self.commands.send(Command::Flush(organization, done)).is_ok() {
            // The signal is that the sender is dropped.
            let _ = flushed.await;
        }
    }
}

#[cfg(test)]
mod tests;

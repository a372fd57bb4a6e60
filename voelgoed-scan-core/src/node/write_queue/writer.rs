//! The writer: one task on its own thread, which starts the writes of the lanes and waits for their ends. Writes of several
//! organizations run side by side, at most [`ScanStore::concurrent_writes`].
//!
//! - Half as many start while the database is quick. The scans of the other organizations gather meanwhile, and each of their
//!   writes holds more of them. The other half follows where writes take longer than [`WAITING_AFTER`], because they
//!   probably wait for a network or a disk, and the processors could do more.
//! - A write that takes longer than [`SLOW_AFTER`] probably waits for a lock. It does not count any more, so that locked
//!   organizations do not stop the others. All writes together are at most [`ScanStore::max_writes`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use super::availability::Availability;
use super::batches::unavailable_error;
use super::bulk::ChunkSize;
use super::lane::Batch;
use super::lanes::{Command, EndedBatch, Lanes};
use super::post_commit::{CompletedBatch, PostCommit};
use super::{RETRY_DELAY, RecordError};
use crate::model::{Attempt, OrganizationId, RuleSettings};
use crate::node::health::WriteStats;
use crate::spans::span;
use crate::store::{ScanStore, StoreError};

/// How long a write takes before it counts as one that waits for a network or a disk.
const WAITING_AFTER: Duration = Duration::from_millis(5);

/// How long a write takes before it leaves its place to another one.
const SLOW_AFTER: Duration = Duration::from_millis(100);

/// The writer's dependencies.
pub(super) struct Writer<S: ?Sized, P: PostCommit> {
    pub(super) store: Arc<S>,
    pub(super) rules: RuleSettings,
    pub(super) post_commit: Arc<P>,
    pub(super) completed: mpsc::Sender<CompletedBatch<P::Context>>,
    pub(super) stats: Arc<WriteStats>,
    pub(super) denial_batch_size: Arc<ChunkSize>,
    /// The error of the last write, while the database is unavailable.
    pub(super) unavailable: watch::Sender<Option<Arc<StoreError>>>,
}

/// A write that ended.
struct Write {
    batch: EndedBatch,
    /// Whether the database answered, until the end of the write.
    succeeded: bool,
    /// The error, where the database is unavailable.
    unavailable: Option<Arc<StoreError>>,
    /// How many writes had succeeded when this one started.
    successes_before: u64,
}

/// When the running writes started, and how many may run.
struct StartedWrites {
    concurrent: usize,
    max: usize,
    at: BTreeMap<OrganizationId, Instant>,
}

impl StartedWrites {
    fn has_capacity(&self, now: Instant) -> bool {
        let younger_than = |age: Duration| self.at.values().filter(|at| **at + age > now).count();
        younger_than(WAITING_AFTER) < self.concurrent.div_ceil(2)
            && younger_than(SLOW_AFTER) < self.concurrent
            && self.at.len() < self.max
    }

    /// When the next running write is old enough for another one to start.
    fn next_capacity(&self, now: Instant) -> Option<Instant> {
        let ends = self
            .at
            .values()
            .flat_map(|at| [*at + WAITING_AFTER, *at + SLOW_AFTER]);
        ends.filter(|end| *end > now && self.at.len() < self.max).min()
    }
}

/// Runs a future on a new thread with a runtime of its own.
pub(super) fn spawn_thread(work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new()
        .name("scan-writer".to_owned())
        .spawn(move || runtime.block_on(work))?;
    Ok(())
}

impl<S: ScanStore + ?Sized, P: PostCommit> Writer<S, P> {
    /// Writes batches until the channel is closed and the lanes are empty.
    pub(super) async fn run(self, mut lanes: Lanes, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut started = StartedWrites {
            concurrent: self.store.concurrent_writes().max(1),
            max: self.store.max_writes().max(1),
            at: BTreeMap::new(),
        };
        let mut running = FuturesUnordered::new();
        let mut open = true;
        let mut availability = Availability::default();
        let mut lost = 0;
        while open || !running.is_empty() || lanes.has_work() {
            while let Ok(command) = commands.try_recv() {
                lanes.apply(command);
            }
            lanes.drain_scans();
            let now = Instant::now();
            while started.has_capacity(now)
                && let Some(batch) = lanes.start_batch(now, !open)
            {
                started.at.insert(batch.organization, now);
                running.push(self.write_batch(batch, availability.successes()));
            }
            let due = if started.has_capacity(now) {
                lanes.next_due()
            } else {
                started.next_capacity(now)
            };
            tokio::select! {
                biased;
                Some(write) = running.next() => {
                    started.at.remove(&write.batch.organization);
                    lost += self.end_write(write, &mut lanes, &mut availability, open);
                }
                command = commands.recv(), if open => match command {
                    Some(command) => lanes.apply(command),
                    None => open = false,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                else => {}
            }
        }
        if lost > 0 {
            tracing::error!(lost, "denials could not be written before the process ends");
        }
    }

    /// Ends a write. Returns how many denials are lost, because the process ends.
    fn end_write(
        &self,
        write: Write,
        lanes: &mut Lanes,
        availability: &mut Availability,
        open: bool,
    ) -> usize {
        let organization = write.batch.organization;
        let denials_failed = !write.batch.unwritten.is_empty();
        // Those that arrived during the write share its error where the database is unavailable.
        lanes.drain_scans();
        lanes.end_batch(write.batch);
        if let Some(error) = &write.unavailable {
            // Where this organization's rows are locked, the others go on.
            let all_fail = availability.write_failed(organization, error, write.successes_before);
            lanes.fail_scans((!all_fail).then_some(organization), error);
            if all_fail {
                self.unavailable.send_replace(Some(Arc::clone(error)));
            }
        }
        if write.succeeded {
            availability.write_succeeded();
            self.unavailable
                .send_if_modified(|unavailable| unavailable.take().is_some());
        }
        if !open && denials_failed {
            return lanes.abandon_denials(organization);
        }
        0
    }

    /// Writes one batch.
    async fn write_batch(&self, batch: Batch, successes_before: u64) -> Write {
        let Batch {
            organization,
            denials,
            requests,
        } = batch;
        let context = self.post_commit.before_write();
        // Denials first, so that the retry of one finds it.
        let all_denials = denials.len();
        let span =
            span!(parent: None, "db.write", %organization, scans = requests.len(), denials = all_denials);
        if !span.is_disabled() {
            for request in &requests {
                span.follows_from(&request.span);
            }
        }
        let (denials, unwritten, mut unavailable) =
            self.write_denials(denials).instrument(span.clone()).await;
        let none_written = unwritten.len() == all_denials;
        let had_scans = !requests.is_empty();
        let (attempts, replies): (Vec<Attempt>, Vec<_>) = requests
            .into_iter()
            .map(|request| (*request.attempt, request.reply))
            .unzip();
        let outcomes = match &unavailable {
            // No caller waits for two failing writes.
            Some(error) => attempts
                .iter()
                .map(|_| Err(RecordError::Store(Arc::clone(error))))
                .collect(),
            None => self.write_scans(&attempts).instrument(span).await,
        };
        unavailable = unavailable.or_else(|| outcomes.iter().find_map(unavailable_error));
        let any_written = !denials.is_empty() || outcomes.iter().any(Result::is_ok);
        let succeeded = any_written && unavailable.is_none();
        let completed = CompletedBatch {
            context,
            denials,
            outcomes,
            replies,
        };
        // The receiver is dropped only when the process ends.
        let _ = self.completed.send(completed).await;
        Write {
            batch: EndedBatch {
                organization,
                unwritten,
                retry_at: none_written.then(|| Instant::now() + RETRY_DELAY),
                had_scans,
            },
            succeeded,
            unavailable,
            successes_before,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Writes with these ages in milliseconds, of at most four side by side and twelve in all.
    fn started(now: Instant, ages: &[u64]) -> StartedWrites {
        let started_at = |(number, age): (u128, &u64)| {
            let organization = OrganizationId::from_uuid(Uuid::from_u128(number));
            (organization, now - Duration::from_millis(*age))
        };
        StartedWrites {
            concurrent: 4,
            max: 12,
            at: (0..).zip(ages).map(started_at).collect(),
        }
    }

    #[test]
    fn more_writes_run_side_by_side_the_longer_they_take() {
        let now = Instant::now() + Duration::from_secs(1);
        for (ages, expected) in [
            (vec![], true),
            (vec![0], true),
            (vec![0, 4], false),
            (vec![0, 5], true),
            (vec![0, 0, 5], false),
            (vec![0, 5, 5], true),
            (vec![5, 5, 5, 99], false),
            (vec![5, 5, 5, 100], true),
            (vec![100; 11], true),
            (vec![100; 12], false),
        ] {
            assert_eq!(started(now, &ages).has_capacity(now), expected, "{ages:?}");
        }
    }

    #[test]
    fn the_writer_looks_again_when_a_write_is_old_enough_for_another_one() {
        let now = Instant::now() + Duration::from_secs(1);
        let wait = |ages: &[u64]| started(now, ages).next_capacity(now).map(|at| at - now);
        assert_eq!(wait(&[1, 3]), Some(Duration::from_millis(2)));
        assert_eq!(wait(&[5, 6, 7, 90]), Some(Duration::from_millis(10)));
        assert_eq!(wait(&[100; 12]), None, "only the end of a write makes room");
    }

    #[test]
    fn a_store_with_one_writer_has_one_write_at_a_time() {
        let now = Instant::now() + Duration::from_secs(1);
        let mut writes = started(now, &[0]);
        (writes.concurrent, writes.max) = (1, 1);
        assert!(!writes.has_capacity(now + Duration::from_secs(10)));
        writes.at.clear();
        assert!(writes.has_capacity(now));
    }
}

//! How do many scans share one write? Scans that arrive while a write is under way go together in the next one.
//!
//! Invariants: no timer: an idle recorder writes at once. Scans are asked about in the order they came, and each goes
//! into the next write that has room. Denials that a tier answered (notes) lie on a tray and are written on their own, at
//! most [`NOTE_DELAY`] later where there is room, and kept until they are: beside scans no more of them than a write has
//! left, so that no scan waits for all of them. What follows a write (the tiers, the answers) happens in the order of the
//! writes, while the next one is under way. A note goes before a scan with its id, which is its retry and must find it.
//! Each has a bound of its own: past it an asker is told so, and a tier's denial waits. A batch that fails as a whole is
//! written one by one, so that a bad scan never fails its neighbours; a panic of the database's code is such a failure, and
//! one of what follows a write keeps nobody from the answer. Where the database is found to be away, all who wait are told:
//! nobody waits for two writes that fail so. A caller that goes away leaves a complete scan or none.

mod waiting;
mod writing;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use waiting::{DenialBuffer, Job, PendingDenial, Waiting, WriteRequest};
use writing::{note_all, record_all, said};

use crate::model::{Attempt, Recorded, RuleSettings};
use crate::node::WriteCounts;
use crate::node::health::WriteStats;
use crate::rules::NewScan;
use crate::store::{ScanStore, StoreError};

/// The most scans in one write.
const MOST_IN_A_WRITE: usize = 256;

/// The most denials in one write that no scan waits for.
const MOST_NOTES_IN_A_WRITE: usize = 1024;

/// What a write keeps for denials that are due, however many scans are asked about.
const ROOM_FOR_NOTES: usize = 32;

/// The most scans that wait.
const MOST_WAITING: usize = 4096;

/// The most denials kept while the database is away; past it tiers stop answering.
const MOST_NOTES: usize = 16_384;

/// The longest that a tier's denial waits for others to be written with. It is on record at most 100 ms after its answer;
/// the rest of them is for the write.
const NOTE_DELAY: Duration = Duration::from_millis(75);

/// How many writes may wait to be followed by their answers before the next one does.
const MOST_FOLLOWED: usize = 4;

/// How long a failed write of denials rests before it is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Why a scan was not recorded.
#[derive(Debug, Clone)]
pub(crate) enum RecordError {
    /// Too many wait already.
    Overloaded,
    /// The database failed; nothing is known to have been written.
    Store(Arc<StoreError>),
}

/// What the answers of a batch still wait for; bounded in time by whoever makes it.
pub(crate) type Pending = Option<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// What is done with a batch once it is on disk and before anybody is answered.
pub(crate) trait PostCommit: Send + Sync + 'static {
    /// What a batch needs to know from before it was read.
    type Before: Send;

    /// Called before the database is asked.
    fn before(&self) -> Self::Before;

    /// Called with what was recorded, write by write; the next write waits for nothing of it, the answers do.
    fn after<'a>(
        &self,
        before: Self::Before,
        noted: Vec<NewScan>,
        recorded: impl Iterator<Item = &'a Recorded>,
    ) -> Pending;
}

/// Room for a denial that waits to be written.
pub(crate) struct Permit(OwnedSemaphorePermit);

/// The queue before the database. The channel itself has no bound: whoever sends holds a place.
#[derive(Clone)]
pub(crate) struct WriteQueue {
    jobs: mpsc::UnboundedSender<Job>,
    places: Arc<Semaphore>,
    note_places: Arc<Semaphore>,
    tray: Arc<DenialBuffer>,
    tally: Arc<WriteStats>,
}

impl WriteQueue {
    /// Starts the recorder; it ends when the last `WriteQueue` is gone. Its writes have a thread of their own: all who wait
    /// for one would wait for every call as well that stands before it in a worker's queue.
    pub(crate) fn start<S: ScanStore + ?Sized + 'static>(
        store: Arc<S>,
        rules: RuleSettings,
        aftermath: Arc<impl PostCommit>,
    ) -> io::Result<Self> {
        let (jobs, receiver) = mpsc::unbounded_channel();
        let tally = Arc::new(WriteStats::default());
        let (written, writes) = mpsc::channel(MOST_FOLLOWED);
        tokio::spawn(follow(Arc::clone(&aftermath), writes));
        let desk = Writer {
            store,
            rules,
            aftermath,
            written,
            tally: Arc::clone(&tally),
        };
        let tray = Arc::new(DenialBuffer::default());
        on_its_own_thread(run(desk, Waiting::new(Arc::clone(&tray)), receiver))?;
        Ok(Self {
            jobs,
            places: Arc::new(Semaphore::new(MOST_WAITING)),
            note_places: Arc::new(Semaphore::new(MOST_NOTES)),
            tray,
            tally,
        })
    }

    /// What was written, and what waits.
    pub(crate) fn counts(&self) -> WriteCounts {
        self.tally.counts(
            MOST_WAITING - self.places.available_permits(),
            MOST_NOTES - self.note_places.available_permits(),
        )
    }

    /// Records a scan; answers when it is durable.
    pub(crate) async fn record(&self, attempt: Box<Attempt>) -> Outcome {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| RecordError::Overloaded)?;
        let (asker, answered) = oneshot::channel();
        self.jobs
            .send(Job::WriteRequest(WriteRequest {
                attempt,
                asker,
                place,
            }))
            .map_err(|_| RecordError::Overloaded)?;
        answered.await.unwrap_or(Err(RecordError::Overloaded))
    }

    /// Room for a denial; waits for it where there is none.
    pub(crate) async fn room(&self) -> Result<Permit, RecordError> {
        let places = Arc::clone(&self.note_places);
        places
            .acquire_owned()
            .await
            .map(Permit)
            .map_err(|_| RecordError::Overloaded)
    }

    /// Leaves a denial to be written.
    pub(crate) fn note(&self, Permit(place): Permit, scan: NewScan) -> Result<(), RecordError> {
        let scan = Box::new(scan);
        let due = Instant::now() + NOTE_DELAY;
        if self.tray.put(PendingDenial { scan, due, place }) {
            self.jobs
                .send(Job::DenialBuffer(due))
                .map_err(|_| RecordError::Overloaded)?;
        }
        Ok(())
    }

    /// Waits until all that was left before is written, or was tried once more.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.jobs.send(Job::Flush(done)).is_ok() {
            let _ = flushed.await;
        }
    }
}

/// Does work on a thread that does nothing else.
fn on_its_own_thread(work: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new()
        .name("scan-recorder".to_owned())
        .spawn(move || runtime.block_on(work))?;
    Ok(())
}

type Outcome = Result<Recorded, RecordError>;

/// What a write needs.
struct Writer<S: ?Sized, A: PostCommit> {
    store: Arc<S>,
    rules: RuleSettings,
    aftermath: Arc<A>,
    written: mpsc::Sender<Written<A::Before>>,
    tally: Arc<WriteStats>,
}

/// A write that is over, before anybody was answered.
struct Written<B> {
    before: B,
    /// The denials that are on record now.
    noted: Vec<NewScan>,
    /// What became of the scans.
    outcomes: Vec<Outcome>,
    /// Who asked about them.
    askers: Vec<oneshot::Sender<Outcome>>,
}

/// Does what follows each write, in their order, and answers, while the next one is under way.
async fn follow<A: PostCommit>(aftermath: Arc<A>, mut writes: mpsc::Receiver<Written<A::Before>>) {
    let mut unanswered = FuturesUnordered::new();
    loop {
        let write = tokio::select! {
            biased;
            Some(()) = unanswered.next() => continue,
            write = writes.recv() => write,
        };
        let Some(write) = write else { break };
        let Written {
            before,
            noted,
            outcomes,
            askers,
        } = write;
        let recorded = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok());
        let followed = AssertUnwindSafe(|| aftermath.after(before, noted, recorded));
        let pending = catch_unwind(followed).unwrap_or_else(|panic| {
            not_followed(&*panic);
            None
        });
        unanswered.push(async move {
            if let Some(pending) = pending
                && let Err(panic) = AssertUnwindSafe(pending).catch_unwind().await
            {
                not_followed(&*panic);
            }
            for (asker, outcome) in askers.into_iter().zip(outcomes) {
                // An asker that went away needs no answer.
                let _ = asker.send(outcome);
            }
        });
    }
    while unanswered.next().await.is_some() {}
}

fn not_followed(panic: &(dyn Any + Send)) {
    tracing::error!(panic = said(panic), "what follows a write failed");
}

async fn run<S: ScanStore + ?Sized, A: PostCommit>(
    desk: Writer<S, A>,
    mut waiting: Waiting,
    mut receiver: mpsc::UnboundedReceiver<Job>,
) {
    let mut open = true;
    while open || waiting.has_work() {
        if open && !waiting.is_urgent() {
            let next = async {
                match waiting.due() {
                    Some(due) => tokio::time::timeout_at(due, receiver.recv()).await.ok(),
                    None => Some(receiver.recv().await),
                }
            };
            match next.await {
                Some(Some(job)) => waiting.add(job),
                Some(None) => open = false,
                None => {}
            }
        }
        while let Ok(job) = receiver.try_recv() {
            waiting.add(job);
        }
        let notes_due = waiting.due().is_some_and(|due| due <= Instant::now());
        if waiting.is_urgent() || notes_due || !open {
            let written = write(&desk, &mut waiting).await;
            if let Err(Failed { away: Some(away) }) = &written {
                while let Ok(job) = receiver.try_recv() {
                    waiting.add(job);
                }
                waiting.tell_all(away);
            }
            if !open && written.is_err() {
                tracing::error!(
                    lost = waiting.notes(),
                    "denials could not be written before the end"
                );
                return;
            }
        }
    }
}

/// Denials stay to be written.
struct Failed {
    /// How the database is away, where it is.
    away: Option<Arc<StoreError>>,
}

/// Writes what a write has room for.
async fn write<S: ScanStore + ?Sized, A: PostCommit>(
    desk: &Writer<S, A>,
    waiting: &mut Waiting,
) -> Result<(), Failed> {
    let (notes, asks) = waiting.next_write(Instant::now());
    if notes.is_empty() && asks.is_empty() {
        return Ok(());
    }
    let before = desk.aftermath.before();
    // Notes first: the retry of one must find it.
    let all = notes.len();
    let (noted, kept, mut away) = note_all(desk, notes).await;
    let failed = !kept.is_empty();
    let none_written = kept.len() == all;
    waiting.keep(kept, none_written.then(|| Instant::now() + RETRY_DELAY));
    let (batch, askers): (Vec<Attempt>, Vec<_>) =
        asks.into_iter().map(|ask| (*ask.attempt, ask.asker)).unzip();
    let outcomes = match &away {
        // Nobody waits for two writes that fail so.
        Some(away) => batch
            .iter()
            .map(|_| Err(RecordError::Store(Arc::clone(away))))
            .collect(),
        None => record_all(desk, &batch).await,
    };
    away = away.or_else(|| outcomes.iter().find_map(how_away));
    let written = Written {
        before,
        noted,
        outcomes,
        askers,
    };
    // The other end is gone only when the process ends.
    let _ = desk.written.send(written).await;
    if failed || away.is_some() {
        return Err(Failed { away });
    }
    Ok(())
}

/// How the database is away, where an outcome tells that it is.
fn how_away(outcome: &Outcome) -> Option<Arc<StoreError>> {
    match outcome {
        Err(RecordError::Store(error)) if matches!(**error, StoreError::Unavailable { .. }) => {
            Some(Arc::clone(error))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;

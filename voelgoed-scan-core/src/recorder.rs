//! How do many scans share one write? Scans that arrive while a write is under way go together in the next one.
//!
//! Invariants: no timer: an idle recorder writes at once. Scans are asked about in the order they came, and each goes
//! into the next write that has room. Denials that a tier answered (notes) fill what a write has left, at most
//! [`NOTE_DELAY`] later where there is room, and are kept until they are written: however many they are, no scan waits
//! for them. A note goes before a scan with its id, which is its retry and must find it. Each has a bound of its own:
//! past it an asker is told so, and a tier's denial waits. A batch that fails as a whole is written one by one, so
//! that a bad scan never fails its neighbours. Where the database is found to be away, all who wait are told: nobody
//! waits for two writes that fail so. A caller that goes away leaves a complete scan or none.

mod waiting;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use waiting::{Ask, Job, Note, Waiting};

use crate::store::{ScanStore, StoreError};
use crate::vitals::{Tally, WriteCounts};
use crate::{Attempt, Recorded, Rules};

/// The most scans in one write.
const MOST_IN_A_WRITE: usize = 256;

/// What a write keeps for denials that are due, however many scans are asked about.
const ROOM_FOR_NOTES: usize = 32;

/// The most scans that wait.
const MOST_WAITING: usize = 4096;

/// The most denials kept while the database is away; past it tiers stop answering.
const MOST_NOTES: usize = 16_384;

/// The longest that a tier's denial waits for other scans to be written with.
const NOTE_DELAY: Duration = Duration::from_millis(50);

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
pub(crate) trait Aftermath: Send + Sync + 'static {
    /// What a batch needs to know from before it was read.
    type Before: Send;

    /// Called before the database is asked.
    fn before(&self) -> Self::Before;

    /// Called with what was recorded; the next write does not wait for what it returns, the answers do.
    fn after(&self, before: Self::Before, recorded: &[Recorded]) -> Pending;
}

/// The queue before the database. The channel itself has no bound: whoever sends holds a place.
#[derive(Clone)]
pub(crate) struct Recorder {
    jobs: mpsc::UnboundedSender<Job>,
    places: Arc<Semaphore>,
    note_places: Arc<Semaphore>,
    tally: Arc<Tally>,
}

impl Recorder {
    /// Starts the recorder's task; it ends when the last `Recorder` is gone.
    pub(crate) fn start<S: ScanStore + ?Sized + 'static>(
        store: Arc<S>,
        rules: Rules,
        aftermath: Arc<impl Aftermath>,
    ) -> Self {
        let (jobs, receiver) = mpsc::unbounded_channel();
        let tally = Arc::new(Tally::default());
        let desk = Desk {
            store,
            rules,
            aftermath,
            tally: Arc::clone(&tally),
        };
        tokio::spawn(run(desk, receiver));
        Self {
            jobs,
            places: Arc::new(Semaphore::new(MOST_WAITING)),
            note_places: Arc::new(Semaphore::new(MOST_NOTES)),
            tally,
        }
    }

    /// What was written, and what waits.
    pub(crate) fn counts(&self) -> WriteCounts {
        self.tally.counts(MOST_WAITING - self.places.available_permits())
    }

    /// Records a scan; answers when it is durable.
    pub(crate) async fn record(&self, attempt: Attempt) -> Result<Recorded, RecordError> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| RecordError::Overloaded)?;
        let (asker, answered) = oneshot::channel();
        let attempt = Box::new(attempt);
        self.jobs
            .send(Job::Ask(Ask {
                attempt,
                asker,
                place,
            }))
            .map_err(|_| RecordError::Overloaded)?;
        answered.await.unwrap_or(Err(RecordError::Overloaded))
    }

    /// Leaves a denial to be written; waits for room where there is none.
    pub(crate) async fn note(&self, attempt: Attempt) -> Result<(), RecordError> {
        let place = Arc::clone(&self.note_places)
            .acquire_owned()
            .await
            .map_err(|_| RecordError::Overloaded)?;
        let attempt = Box::new(attempt);
        let due = Instant::now() + NOTE_DELAY;
        self.jobs
            .send(Job::Note(Note { attempt, due, place }))
            .map_err(|_| RecordError::Overloaded)
    }

    /// Waits until all that was left before is written, or was tried once more.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.jobs.send(Job::Flush(done)).is_ok() {
            let _ = flushed.await;
        }
    }
}

/// What a write needs.
struct Desk<S: ?Sized, A> {
    store: Arc<S>,
    rules: Rules,
    aftermath: Arc<A>,
    tally: Arc<Tally>,
}

async fn run<S: ScanStore + ?Sized, A: Aftermath>(
    desk: Desk<S, A>,
    mut receiver: mpsc::UnboundedReceiver<Job>,
) {
    let mut waiting = Waiting::default();
    let mut open = true;
    while open || waiting.has_work() {
        desk.tally.keeps_denials(waiting.notes());
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
        // All of it: what was left before a scan was asked about is here when the scan is.
        while let Ok(job) = receiver.try_recv() {
            waiting.add(job);
        }
        desk.tally.keeps_denials(waiting.notes());
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
async fn write<S: ScanStore + ?Sized, A: Aftermath>(
    desk: &Desk<S, A>,
    waiting: &mut Waiting,
) -> Result<(), Failed> {
    let (notes, asks) = waiting.next_write(Instant::now());
    // Notes first: the retry of one must find it.
    let noted = notes.iter().map(|(_, note)| (*note.attempt).clone());
    let mut batch: Vec<Attempt> = noted.collect();
    let mut askers = Vec::with_capacity(asks.len());
    for ask in asks {
        batch.push(*ask.attempt);
        askers.push(ask.asker);
    }
    let (mut outcomes, pending) = record_all(desk, &batch).await;
    let away = outcomes.iter().find_map(|outcome| match outcome {
        Err(RecordError::Store(error)) if matches!(**error, StoreError::Unavailable { .. }) => {
            Some(Arc::clone(error))
        }
        _ => None,
    });
    let answers = outcomes.split_off(notes.len());
    let deliver = move || {
        for (asker, outcome) in askers.into_iter().zip(answers) {
            // An asker that went away needs no answer.
            let _ = asker.send(outcome);
        }
    };
    match pending {
        None => deliver(),
        Some(pending) => {
            tokio::spawn(async move {
                pending.await;
                deliver();
            });
        }
    }
    let noted = notes.len();
    let kept = notes
        .into_iter()
        .zip(&outcomes)
        .filter(|(_, outcome)| !is_written(outcome));
    let kept: Vec<_> = kept.map(|(note, _)| note).collect();
    let failed = !kept.is_empty();
    let none_written = kept.len() == noted;
    waiting.keep(kept, none_written.then(|| Instant::now() + RETRY_DELAY));
    if failed || away.is_some() {
        return Err(Failed { away });
    }
    Ok(())
}

/// Whether a scan is on disk, now or since before.
fn is_written(outcome: &Result<Recorded, RecordError>) -> bool {
    matches!(outcome, Ok(recorded) if !matches!(recorded, Recorded::NotRecorded { .. }))
}

async fn record_all<S: ScanStore + ?Sized, A: Aftermath>(
    desk: &Desk<S, A>,
    batch: &[Attempt],
) -> (Vec<Result<Recorded, RecordError>>, Pending) {
    if batch.is_empty() {
        return (Vec::new(), None);
    }
    match record(desk, batch).await {
        Ok((recorded, pending)) => (recorded.into_iter().map(Ok).collect(), pending),
        Err(StoreError::Failed { reason }) if batch.len() > 1 => {
            tracing::warn!(
                reason,
                scans = batch.len(),
                "a write failed as a whole: writing its scans one by one"
            );
            let mut outcomes = Vec::with_capacity(batch.len());
            for attempt in batch {
                let one = record(desk, std::slice::from_ref(attempt)).await;
                outcomes.push(match one {
                    Ok((recorded, pending)) => {
                        if let Some(pending) = pending {
                            pending.await;
                        }
                        recorded.into_iter().next().ok_or(RecordError::Overloaded)
                    }
                    Err(error) => Err(RecordError::Store(Arc::new(error))),
                });
            }
            (outcomes, None)
        }
        Err(error) => {
            let error = RecordError::Store(Arc::new(error));
            (batch.iter().map(|_| Err(error.clone())).collect(), None)
        }
    }
}

async fn record<S: ScanStore + ?Sized, A: Aftermath>(
    desk: &Desk<S, A>,
    batch: &[Attempt],
) -> Result<(Vec<Recorded>, Pending), StoreError> {
    let before = desk.aftermath.before();
    let started = Instant::now();
    let recorded = desk.store.record(batch, &desk.rules).await;
    desk.tally.wrote(batch.len(), recorded.is_ok(), started.elapsed());
    let recorded = recorded?;
    let pending = desk.aftermath.after(before, &recorded);
    Ok((recorded, pending))
}

#[cfg(test)]
mod tests;

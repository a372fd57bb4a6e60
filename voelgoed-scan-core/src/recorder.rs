//! How do many scans share one write? Scans that arrive while a write is under way go together in the next one.
//!
//! Invariants: no timer: an idle recorder writes at once. Scans are written in the order they came. A batch that
//! fails as a whole is written one by one, so that a bad scan never fails its neighbours. Denials that a tier
//! answered ride along, at most [`NOTE_DELAY`] later, and are kept until they are written. The queue is bounded: past
//! it an asker is told so, and a tier's denial waits. Where the database is found to be away, all who wait are told: nobody
//! waits for two writes that fail so. A caller that goes away leaves a complete scan or none.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::store::{ScanStore, StoreError};
use crate::vitals::{Tally, WriteCounts};
use crate::{Attempt, Recorded, Rules};

/// The most scans in one write.
const MOST_IN_A_WRITE: usize = 256;

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

enum Job {
    Ask(Box<Attempt>, oneshot::Sender<Result<Recorded, RecordError>>),
    Note(Box<Attempt>),
    Flush(oneshot::Sender<()>),
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

/// The queue before the database.
#[derive(Clone)]
pub(crate) struct Recorder {
    jobs: mpsc::Sender<Job>,
    tally: Arc<Tally>,
}

impl Recorder {
    /// Starts the recorder's task; it ends when the last `Recorder` is gone.
    pub(crate) fn start<S: ScanStore + ?Sized + 'static>(
        store: Arc<S>,
        rules: Rules,
        aftermath: Arc<impl Aftermath>,
    ) -> Self {
        let (jobs, receiver) = mpsc::channel(MOST_WAITING);
        let tally = Arc::new(Tally::default());
        let desk = Desk {
            store,
            rules,
            aftermath,
            tally: Arc::clone(&tally),
        };
        tokio::spawn(run(desk, receiver));
        Self { jobs, tally }
    }

    /// What was written, and what waits.
    pub(crate) fn counts(&self) -> WriteCounts {
        self.tally.counts(self.jobs.max_capacity() - self.jobs.capacity())
    }

    /// Records a scan; answers when it is durable.
    pub(crate) async fn record(&self, attempt: Attempt) -> Result<Recorded, RecordError> {
        let (answer, answered) = oneshot::channel();
        self.jobs
            .try_send(Job::Ask(Box::new(attempt), answer))
            .map_err(|_| RecordError::Overloaded)?;
        answered.await.unwrap_or(Err(RecordError::Overloaded))
    }

    /// Leaves a denial to be written; waits for room where there is none.
    pub(crate) async fn note(&self, attempt: Attempt) -> Result<(), RecordError> {
        self.jobs
            .send(Job::Note(Box::new(attempt)))
            .await
            .map_err(|_| RecordError::Overloaded)
    }

    /// Waits until all that was left before is written, or was tried once more.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.jobs.send(Job::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

type Asker = oneshot::Sender<Result<Recorded, RecordError>>;

#[derive(Default)]
struct Waiting {
    asked: Vec<(Attempt, Asker)>,
    notes: Vec<Attempt>,
    flushes: Vec<oneshot::Sender<()>>,
    /// When the notes must be written even if nobody asks.
    due: Option<Instant>,
}

impl Waiting {
    fn add(&mut self, job: Job) {
        match job {
            Job::Ask(attempt, asker) => self.asked.push((*attempt, asker)),
            Job::Note(attempt) => {
                self.notes.push(*attempt);
                self.due.get_or_insert_with(|| Instant::now() + NOTE_DELAY);
            }
            Job::Flush(done) => self.flushes.push(done),
        }
    }

    fn has_room(&self) -> bool {
        self.asked.len() < MOST_IN_A_WRITE && self.notes.len() < MOST_NOTES
    }
}

/// What a write needs.
struct Desk<S: ?Sized, A> {
    store: Arc<S>,
    rules: Rules,
    aftermath: Arc<A>,
    tally: Arc<Tally>,
}

async fn run<S: ScanStore + ?Sized, A: Aftermath>(desk: Desk<S, A>, mut receiver: mpsc::Receiver<Job>) {
    let mut waiting = Waiting::default();
    let mut open = true;
    while open || !waiting.notes.is_empty() {
        desk.tally.keeps_denials(waiting.notes.len());
        if waiting.asked.is_empty() && waiting.flushes.is_empty() {
            let next = async {
                match waiting.due {
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
        while waiting.has_room() {
            match receiver.try_recv() {
                Ok(job) => waiting.add(job),
                Err(_) => break,
            }
        }
        desk.tally.keeps_denials(waiting.notes.len());
        let notes_due = waiting.due.is_some_and(|due| due <= Instant::now());
        if !waiting.asked.is_empty() || !waiting.flushes.is_empty() || notes_due || !open {
            let (wrote_notes, away) = write(&desk, &mut waiting).await;
            if let Some(away) = away {
                tell_all(&away, &mut waiting, &mut receiver);
            }
            if !open && !wrote_notes {
                tracing::error!(
                    lost = waiting.notes.len(),
                    "denials could not be written before the end"
                );
                return;
            }
        }
    }
}

/// Tells all who wait that the database is away; denials and flushes stay.
fn tell_all(away: &Arc<StoreError>, waiting: &mut Waiting, receiver: &mut mpsc::Receiver<Job>) {
    while let Ok(job) = receiver.try_recv() {
        match job {
            Job::Ask(_, asker) => {
                // An asker that went away needs no answer.
                let _ = asker.send(Err(RecordError::Store(Arc::clone(away))));
            }
            kept => waiting.add(kept),
        }
    }
}

/// Writes what waits; whether the denials are written, and how the database is away, where it is.
async fn write<S: ScanStore + ?Sized, A: Aftermath>(
    desk: &Desk<S, A>,
    waiting: &mut Waiting,
) -> (bool, Option<Arc<StoreError>>) {
    let noted = waiting.notes.len().min(MOST_IN_A_WRITE);
    let (attempts, askers): (Vec<_>, Vec<_>) = std::mem::take(&mut waiting.asked).into_iter().unzip();
    // Notes first: they were answered before these were asked, and a retry of one must find it.
    let batch: Vec<Attempt> = waiting
        .notes
        .iter()
        .take(noted)
        .cloned()
        .chain(attempts)
        .collect();
    let (mut outcomes, pending) = record_all(desk, &batch).await;
    let away = outcomes.iter().find_map(|outcome| match outcome {
        Err(RecordError::Store(error)) if matches!(**error, StoreError::Unavailable { .. }) => {
            Some(Arc::clone(error))
        }
        _ => None,
    });
    let answers = outcomes.split_off(noted);
    let flushes = std::mem::take(&mut waiting.flushes);
    let deliver = move || {
        for (asker, outcome) in askers.into_iter().zip(answers) {
            // An asker that went away needs no answer.
            let _ = asker.send(outcome);
        }
        for done in flushes {
            let _ = done.send(());
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
    let mut outcomes = outcomes.into_iter();
    let mut kept = Vec::new();
    for (at, note) in std::mem::take(&mut waiting.notes).into_iter().enumerate() {
        let written = at < noted && outcomes.next().is_some_and(|outcome| is_written(&outcome));
        if !written {
            kept.push(note);
        }
    }
    let all_written = kept.is_empty();
    let now = Instant::now();
    waiting.due = match (all_written, kept.len() < noted) {
        (true, _) => None,
        (false, true) => Some(now),
        (false, false) => Some(now + RETRY_DELAY),
    };
    waiting.notes = kept;
    (all_written, away)
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

//! What waits for the next write, and what goes into it?

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::{MOST_IN_A_WRITE, MOST_NOTES_IN_A_WRITE, ROOM_FOR_NOTES, RecordError};
use crate::model::{Attempt, OrganizationId, Recorded, ScanId};
use crate::rules::NewScan;
use crate::store::StoreError;

/// A scan that somebody waits for. Its place is free as soon as its write begins.
pub(super) struct WriteRequest {
    pub(super) attempt: Box<Attempt>,
    pub(super) asker: oneshot::Sender<Result<Recorded, RecordError>>,
    #[expect(dead_code, reason = "held for as long as the scan waits")]
    pub(super) place: OwnedSemaphorePermit,
}

/// A denial that a tier answered. Its place is free once it is written.
pub(super) struct PendingDenial {
    pub(super) scan: Box<NewScan>,
    pub(super) due: Instant,
    pub(super) place: OwnedSemaphorePermit,
}

/// What a note is besides its scan.
pub(super) type NotePlace = (u64, Instant, OwnedSemaphorePermit);

impl PendingDenial {
    pub(super) fn take_apart((number, note): (u64, Self)) -> (NewScan, NotePlace) {
        (*note.scan, (number, note.due, note.place))
    }

    pub(super) fn put_together(scan: NewScan, (number, due, place): NotePlace) -> (u64, Self) {
        let scan = Box::new(scan);
        (number, Self { scan, due, place })
    }
}

/// Where denials are put until a write takes them: the recorder is woken by the first, and not by each.
#[derive(Default)]
pub(super) struct DenialBuffer(Mutex<Vec<PendingDenial>>);

impl DenialBuffer {
    fn lock(&self) -> MutexGuard<'_, Vec<PendingDenial>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a note there; whether it is the first.
    pub(super) fn put(&self, note: PendingDenial) -> bool {
        let mut notes = self.lock();
        notes.push(note);
        notes.len() == 1
    }

    fn take(&self) -> Vec<PendingDenial> {
        std::mem::take(&mut *self.lock())
    }
}

pub(super) enum Job {
    WriteRequest(WriteRequest),
    /// There is a note on the tray, due then.
    DenialBuffer(Instant),
    Flush(oneshot::Sender<()>),
}

pub(super) struct Waiting {
    tray: Arc<DenialBuffer>,
    /// When what is on the tray must be written.
    tray_due: Option<Instant>,
    asks: VecDeque<WriteRequest>,
    /// With the number of each, in the order they came.
    notes: VecDeque<(u64, PendingDenial)>,
    noted: HashSet<(OrganizationId, ScanId)>,
    next: u64,
    /// Who waits for the notes before a number.
    flushes: Vec<(u64, oneshot::Sender<()>)>,
    /// Until when notes rest that could not be written.
    rest: Option<Instant>,
}

impl Waiting {
    pub(super) fn new(tray: Arc<DenialBuffer>) -> Self {
        Self {
            tray,
            tray_due: None,
            asks: VecDeque::new(),
            notes: VecDeque::new(),
            noted: HashSet::new(),
            next: 0,
            flushes: Vec::new(),
            rest: None,
        }
    }

    pub(super) fn add(&mut self, job: Job) {
        match job {
            Job::WriteRequest(ask) => self.asks.push_back(ask),
            Job::DenialBuffer(due) => self.tray_due = Some(self.tray_due.map_or(due, |held| held.min(due))),
            Job::Flush(done) => {
                self.gather();
                self.flushes.push((self.next, done));
                self.tell_flushed(false);
            }
        }
    }

    /// Takes what is on the tray.
    fn gather(&mut self) {
        self.tray_due = None;
        for note in self.tray.take() {
            self.noted.insert(id_of(&note));
            self.notes.push_back((self.next, note));
            self.next += 1;
        }
    }

    /// How many notes wait.
    pub(super) fn notes(&self) -> usize {
        self.notes.len()
    }

    pub(super) fn has_work(&self) -> bool {
        !self.asks.is_empty() || !self.notes.is_empty() || self.tray_due.is_some()
    }

    /// Whether somebody waits for a write.
    pub(super) fn is_urgent(&self) -> bool {
        !self.asks.is_empty() || !self.flushes.is_empty()
    }

    /// When notes must be written even if nobody asks.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = match self.notes.front() {
            Some((_, note)) => note.due,
            None => self.tray_due?,
        };
        Some(self.rest.map_or(due, |rest| rest.max(due)))
    }

    /// Takes out what goes into a write that begins now: notes, to be written first, and scans.
    pub(super) fn next_write(&mut self, now: Instant) -> (Vec<(u64, PendingDenial)>, Vec<WriteRequest>) {
        // All of it: what was left before a scan was asked about is found when the scan is written.
        self.gather();
        let many = self.asks.len().min(MOST_IN_A_WRITE);
        let asks: Vec<WriteRequest> = self.asks.drain(..many).collect();
        let mut notes = self.answered_before(&asks);
        // Notes are a write of their own: scans wait for it only when they are due.
        let due = self.due().is_some_and(|due| due <= now);
        if asks.is_empty() || due || !self.flushes.is_empty() {
            let room = match asks.len() {
                0 => MOST_NOTES_IN_A_WRITE,
                asks => (MOST_IN_A_WRITE - asks).max(ROOM_FOR_NOTES),
            };
            let many = self.notes.len().min(room);
            notes.extend(self.notes.drain(..many));
        }
        for (_, note) in &notes {
            self.noted.remove(&id_of(note));
        }
        (notes, asks)
    }

    /// Takes out the notes that scans are the retries of.
    fn answered_before(&mut self, asks: &[WriteRequest]) -> Vec<(u64, PendingDenial)> {
        let again: HashSet<_> = asks
            .iter()
            .map(|ask| id(&ask.attempt))
            .filter(|id| self.noted.contains(id))
            .collect();
        if again.is_empty() {
            return Vec::new();
        }
        let notes = std::mem::take(&mut self.notes).into_iter();
        let (taken, left): (Vec<_>, Vec<_>) = notes.partition(|(_, note)| again.contains(&id_of(note)));
        self.notes = left.into();
        taken
    }

    /// Takes back the notes that a write did not record; where it recorded none, they rest until then.
    pub(super) fn keep(&mut self, kept: Vec<(u64, PendingDenial)>, rest: Option<Instant>) {
        let failed = !kept.is_empty();
        self.rest = rest.filter(|_| failed);
        for (number, note) in kept.into_iter().rev() {
            self.noted.insert(id_of(&note));
            self.notes.push_front((number, note));
        }
        self.tell_flushed(failed);
    }

    /// Tells who waited for notes that are written, or that were tried.
    fn tell_flushed(&mut self, tried: bool) {
        let first = self.notes.front().map(|(number, _)| *number);
        let is_done = |before: u64| tried || first.is_none_or(|first| first >= before);
        for (before, done) in std::mem::take(&mut self.flushes) {
            if is_done(before) {
                // Whoever asked and went away need not be told.
                let _ = done.send(());
            } else {
                self.flushes.push((before, done));
            }
        }
    }

    /// Tells all who ask that the database is away; notes stay.
    pub(super) fn tell_all(&mut self, away: &Arc<StoreError>) {
        for ask in self.asks.drain(..) {
            // An asker that went away needs no answer.
            let _ = ask.asker.send(Err(RecordError::Store(Arc::clone(away))));
        }
    }
}

fn id(attempt: &Attempt) -> (OrganizationId, ScanId) {
    (attempt.organization_id, attempt.scan_id)
}

fn id_of(note: &PendingDenial) -> (OrganizationId, ScanId) {
    (note.scan.record.organization_id, note.scan.record.scan_id)
}

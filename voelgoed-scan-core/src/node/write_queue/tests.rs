use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::*;
use crate::model::{
    AuthenticatedDevice, DecidedBy, Denial, DeviceId, Direction, EventId, EventOccupancy, Fingerprint,
    GateId, OrganizationId, Reason, ReasonText, ScanId, ScanRecord, SessionId, Timestamp, TokenHash,
    Verification,
};
use crate::rules::KnownScan;
use crate::store::{Order, Page, PageRequest, ScanFilter, UndoOutcome, UndoPermission};

/// A database that keeps the batches it was given, waits for permits, and fails as it is told.
struct Slow {
    /// How many writes were begun.
    begun: AtomicUsize,
    batches: Mutex<Vec<Vec<ScanId>>>,
    permits: Semaphore,
    /// A scan that no batch with it survives.
    poison: Option<ScanId>,
    /// A scan that the database's own code does not survive.
    trap: Option<ScanId>,
    failures: AtomicUsize,
}

impl Slow {
    fn new(permits: usize) -> Self {
        Self {
            begun: AtomicUsize::new(0),
            batches: Mutex::default(),
            permits: Semaphore::new(permits),
            poison: None,
            trap: None,
            failures: AtomicUsize::new(0),
        }
    }

    async fn write(&self, scans: Vec<ScanId>) -> Result<(), StoreError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let permit = self.permits.acquire().await.expect("never closed");
        permit.forget();
        if self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return Err(StoreError::unavailable("as told"));
        }
        if scans.iter().any(|scan| Some(*scan) == self.poison) {
            return Err(StoreError::failed("a bad scan"));
        }
        assert!(!scans.iter().any(|scan| Some(*scan) == self.trap), "a trap");
        self.batches.lock().expect("no writer panicked").push(scans);
        Ok(())
    }

    fn batches(&self) -> Vec<Vec<ScanId>> {
        self.batches.lock().expect("no writer panicked").clone()
    }
}

#[async_trait]
impl ScanStore for Slow {
    async fn record(&self, batch: &[Attempt], _: &RuleSettings) -> Result<Vec<Recorded>, StoreError> {
        self.write(batch.iter().map(|attempt| attempt.scan_id).collect())
            .await?;
        Ok(batch.iter().map(|_| Recorded::ScanUndone).collect())
    }

    async fn record_denials(&self, denials: &[NewScan]) -> Result<(), StoreError> {
        self.write(denials.iter().map(|one| one.record.scan_id).collect())
            .await
    }

    async fn dry_run(&self, _: &Attempt, _: &RuleSettings) -> Result<Recorded, StoreError> {
        Ok(Recorded::ScanUndone)
    }

    async fn find_scan_for_retry(
        &self,
        _: OrganizationId,
        _: ScanId,
    ) -> Result<Option<KnownScan>, StoreError> {
        Ok(None)
    }

    async fn undo(
        &self,
        _: OrganizationId,
        _: ScanId,
        _: UndoPermission,
        _: &ReasonText,
        _: Timestamp,
        _: &RuleSettings,
    ) -> Result<Option<UndoOutcome>, StoreError> {
        Ok(None)
    }

    async fn scans(
        &self,
        _: OrganizationId,
        _: &ScanFilter,
        _: Order,
        _: &PageRequest,
    ) -> Result<Page<ScanRecord>, StoreError> {
        Ok(Page {
            data: Vec::new(),
            next: None,
        })
    }

    async fn occupancy(
        &self,
        _: OrganizationId,
        _: EventId,
        _: Timestamp,
    ) -> Result<Option<EventOccupancy>, StoreError> {
        Ok(None)
    }

    async fn find_device_by_token(&self, _: &TokenHash) -> Result<Option<AuthenticatedDevice>, StoreError> {
        Ok(None)
    }
}

struct Nothing;

impl PostCommit for Nothing {
    type Before = ();

    fn before(&self) {}

    fn after<'a>(&self, (): (), _: Vec<NewScan>, _: impl Iterator<Item = &'a Recorded>) -> Pending {
        None
    }
}

fn start(store: &Arc<Slow>) -> WriteQueue {
    WriteQueue::start(Arc::clone(store), RULES, Arc::new(Nothing)).expect("a thread")
}

const RULES: RuleSettings = RuleSettings {
    dedup_window: Duration::from_secs(300),
};

fn attempt(number: u128) -> Attempt {
    let id = uuid::Uuid::from_u128(number);
    Attempt {
        scan_id: ScanId::from_uuid(id),
        organization_id: OrganizationId::from_uuid(id),
        device_id: DeviceId::from_uuid(id),
        session_id: SessionId::from_uuid(id),
        event_id: EventId::from_uuid(id),
        gate_id: GateId::from_uuid(id),
        gate_name: "Main".to_owned(),
        authenticated: None,
        fingerprint: Fingerprint {
            sha256: [0; 32],
            format: None,
            kid: None,
        },
        verification: Verification::Denied(Box::new(Denial {
            reason: Reason::Malformed,
            decided_by: DecidedBy::Memory,
            claims: None,
            ticket: None,
            previous_scan: None,
        })),
        direction: Direction::Entry,
        now: Timestamp::from_millis(0),
        device_scanned_at: None,
        override_: None,
        metadata: None,
        warnings: Vec::new(),
    }
}

fn denial(number: u128) -> NewScan {
    let attempt = attempt(number);
    match attempt.verification.clone() {
        Verification::Denied(denial) => NewScan::denied(attempt, *denial),
        Verification::Verified(_) => panic!("it is denied"),
    }
}

async fn note(write_queue: &WriteQueue, number: u128) -> Result<(), RecordError> {
    let room = write_queue.room().await?;
    write_queue.note(room, denial(number))
}

fn id(number: u128) -> ScanId {
    ScanId::from_uuid(uuid::Uuid::from_u128(number))
}

/// Waits until something is so; the test's own time limit is the runner's.
async fn until(so: impl Fn() -> bool) {
    while !so() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn scans_that_arrive_during_a_write_go_together_in_the_next() {
    let store = Arc::new(Slow::new(0));
    let write_queue = start(&store);
    let mut asked = vec![tokio::spawn({
        let write_queue = write_queue.clone();
        async move { write_queue.record(Box::new(attempt(0))).await }
    })];
    until(|| store.begun.load(Ordering::SeqCst) == 1).await;
    for number in 1..=5 {
        let write_queue = write_queue.clone();
        asked.push(tokio::spawn(async move {
            write_queue.record(Box::new(attempt(number))).await
        }));
    }
    until(|| write_queue.places.available_permits() <= MOST_WAITING - 5).await;
    store.permits.add_permits(2);
    for one in asked {
        assert!(one.await.expect("no panic").is_ok());
    }
    let batches = store.batches();
    assert_eq!(batches.len(), 2, "{batches:?}");
    assert_eq!(batches[1].len(), 5);
}

#[tokio::test]
async fn a_bad_scan_does_not_fail_its_neighbours() {
    let store = Arc::new(Slow {
        poison: Some(id(2)),
        ..Slow::new(100)
    });
    let attempts: Vec<_> = (1..=3).map(attempt).collect();
    let desk = Writer {
        store,
        rules: RULES,
        aftermath: Arc::new(Nothing),
        written: mpsc::channel(1).0,
        tally: Arc::default(),
    };
    let outcomes = record_all(&desk, &attempts).await;
    let fine: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(fine, [true, false, true]);
}

/// Leaves three denials; all but the second are on record.
async fn noted_but_the_second(store: &Arc<Slow>) -> WriteQueue {
    let write_queue = start(store);
    for number in 1..=3 {
        note(&write_queue, number).await.expect("there is room");
    }
    write_queue.flush().await;
    assert_eq!(store.batches(), [vec![id(1)], vec![id(3)]]);
    write_queue
}

#[tokio::test]
async fn a_bad_denial_keeps_no_other_from_its_record() {
    let store = Arc::new(Slow {
        poison: Some(id(2)),
        ..Slow::new(100)
    });
    let write_queue = noted_but_the_second(&store).await;
    assert_eq!(write_queue.counts().denials_waiting, 1, "it is tried again");
}

#[tokio::test]
async fn a_scan_that_the_database_panics_at_fails_alone() {
    let store = Arc::new(Slow {
        trap: Some(id(2)),
        ..Slow::new(100)
    });
    let write_queue = noted_but_the_second(&store).await;
    for (number, fine) in [(1, true), (2, false), (3, true)] {
        let recorded = write_queue.record(Box::new(attempt(number))).await;
        assert_eq!(recorded.is_ok(), fine, "{number}: {recorded:?}");
    }
}

/// What follows a write, and panics.
struct Broken;

impl PostCommit for Broken {
    type Before = ();

    fn before(&self) {}

    fn after<'a>(&self, (): (), _: Vec<NewScan>, _: impl Iterator<Item = &'a Recorded>) -> Pending {
        panic!("as told")
    }
}

#[tokio::test]
async fn who_is_on_record_is_answered_whatever_becomes_of_what_follows() {
    let store = Arc::new(Slow::new(100));
    let write_queue = WriteQueue::start(store, RULES, Arc::new(Broken)).expect("a thread");
    for number in 1..=2 {
        let recorded = write_queue.record(Box::new(attempt(number))).await;
        assert!(recorded.is_ok(), "{number}: {recorded:?}");
    }
}

#[tokio::test]
async fn a_denial_left_to_be_written_survives_a_database_that_is_away() {
    let store = Arc::new(Slow::new(100));
    store.failures.store(1, Ordering::SeqCst);
    let write_queue = start(&store);
    note(&write_queue, 7).await.expect("there is room");
    until(|| !store.batches().is_empty()).await;
    assert_eq!(store.batches(), [vec![id(7)]]);
}

#[tokio::test]
async fn a_denial_is_written_before_the_retry_of_its_scan_however_many_wait() {
    let store = Arc::new(Slow::new(100));
    let write_queue = start(&store);
    let last = 2 * MOST_IN_A_WRITE as u128;
    for number in 0..=last {
        note(&write_queue, number).await.expect("there is room");
    }
    write_queue
        .record(Box::new(attempt(last)))
        .await
        .expect("the database is there");
    assert_eq!(store.batches()[..2], [[id(last)], [id(last)]]);
    write_queue.flush().await;
    assert_eq!(
        store.batches().concat().len() as u128,
        last + 2,
        "each is written once"
    );
}

/// Polls a call once, so that it is in the queue: it cannot end yet.
async fn begin<T>(call: Pin<&mut impl Future<Output = T>>) {
    tokio::select! {
        biased;
        _ = call => panic!("it had to wait"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn no_scan_waits_for_the_denials_before_it() {
    let store = Arc::new(Slow::new(0));
    let write_queue = start(&store);
    for number in 1..=MOST_NOTES as u128 {
        note(&write_queue, number).await.expect("there is room");
    }
    let mut denied = pin!(note(&write_queue, 20_000));
    begin(denied.as_mut()).await;
    let mut asked = pin!(write_queue.record(Box::new(attempt(0))));
    begin(asked.as_mut()).await;
    // One write may be under way; before the next, which has the scan, goes one of denials that are due.
    store.permits.add_permits(3);
    asked.await.expect("the database is there");
    let batches = store.batches();
    assert!(
        batches.len() <= 3 && batches.concat().contains(&id(0)),
        "{batches:?}"
    );
    store.permits.add_permits(100);
    denied.await.expect("there is room");
    write_queue.flush().await;
    assert_eq!(store.batches().concat().len(), MOST_NOTES + 2, "nothing is lost");
}

#[tokio::test]
async fn denials_have_room_beside_as_many_scans_as_a_write_takes() {
    let store = Arc::new(Slow::new(0));
    let write_queue = start(&store);
    let mut asked = Vec::new();
    let ask = |number: u128| {
        let write_queue = write_queue.clone();
        tokio::spawn(async move { write_queue.record(Box::new(attempt(number))).await })
    };
    // A write under way, while denials and more scans come than the next one takes.
    asked.push(ask(0));
    until(|| store.begun.load(Ordering::SeqCst) == 1).await;
    for number in 1..=2 * MOST_IN_A_WRITE as u128 {
        asked.push(ask(number));
    }
    until(|| write_queue.places.available_permits() == MOST_WAITING - 2 * MOST_IN_A_WRITE).await;
    let first_note = 10_000;
    for number in 0..100 {
        note(&write_queue, first_note + number)
            .await
            .expect("there is room");
    }
    let mut flushed = pin!(write_queue.flush());
    begin(flushed.as_mut()).await;
    store.permits.add_permits(100);
    flushed.await;
    let batches = store.batches();
    assert_eq!(batches[1].len(), ROOM_FOR_NOTES, "{batches:?}");
    assert_eq!(batches[1][0], id(first_note));
    assert_eq!(batches[2].len(), MOST_IN_A_WRITE);
    for one in asked {
        assert!(one.await.expect("no panic").is_ok());
    }
}

#[tokio::test]
async fn flushing_waits_for_what_was_left() {
    let store = Arc::new(Slow::new(100));
    let write_queue = start(&store);
    note(&write_queue, 1).await.expect("there is room");
    write_queue.flush().await;
    assert_eq!(store.batches(), [vec![id(1)]]);
    write_queue.flush().await;
}

#[tokio::test]
async fn past_its_bound_the_queue_says_so() {
    let store = Arc::new(Slow::new(0));
    let write_queue = start(&store);
    let mut asked = Vec::new();
    // One batch is being written, one is gathered, the queue itself holds the rest.
    for number in 0..=u128::try_from(MOST_WAITING + 2 * MOST_IN_A_WRITE).expect("small") {
        let write_queue = write_queue.clone();
        asked.push(tokio::spawn(async move {
            write_queue.record(Box::new(attempt(number))).await
        }));
    }
    until(|| asked.iter().any(tokio::task::JoinHandle::is_finished)).await;
    store.permits.add_permits(100);
    let mut overloaded = 0;
    for one in asked {
        overloaded += usize::from(matches!(
            one.await.expect("no panic"),
            Err(RecordError::Overloaded)
        ));
    }
    assert!(overloaded > 0);
}

#[tokio::test]
async fn what_was_written_what_failed_and_what_waits_is_counted() {
    let store = Arc::new(Slow::new(0));
    store.failures.store(1, Ordering::SeqCst);
    let write_queue = start(&store);
    note(&write_queue, 1).await.expect("there is room");
    until(|| write_queue.counts().denials_waiting == 1).await;
    store.permits.add_permits(1);
    until(|| write_queue.counts().failed == 1).await;
    assert_eq!(
        write_queue.counts().denials_waiting,
        1,
        "it is still to be written"
    );
    store.permits.add_permits(1);
    until(|| write_queue.counts().denials_waiting == 0).await;
    let counts = write_queue.counts();
    assert_eq!((counts.failed, counts.scans, counts.waiting), (1, 1, 0));
    assert_eq!(counts.took.iter().sum::<u64>(), 2, "both writes took their time");
}

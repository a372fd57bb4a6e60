mod lanes;
mod outages;

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::*;
use crate::model::{
    ActivityMinutes, AuditContext, AuthenticatedDevice, DecidedBy, Denial, DeviceId, Direction,
    EventActivity, EventId, EventOccupancy, Fingerprint, GateId, OrganizationId, Reason, ReasonText, ScanId,
    ScanRecord, ScannedBy, SessionId, Timestamp, TokenHash, Verification,
};
use crate::rules::KnownScan;
use crate::store::{Order, Page, PageRequest, ScanFilter, UndoOutcome, UndoPermission};

/// A store that keeps the batches it was given, waits for a permit before each, and fails on request.
struct FakeStore {
    /// How many writes have started.
    started: AtomicUsize,
    batches: Mutex<Vec<Vec<ScanId>>>,
    permits: Semaphore,
    /// A batch with this scan fails.
    failing_scan: Option<ScanId>,
    /// A batch with this scan panics.
    panicking_scan: Option<ScanId>,
    failures: AtomicUsize,
    concurrent_writes: usize,
    /// How many more may run while others wait for locks.
    more_writes: usize,
    /// Writes of these organizations wait for permits of their own.
    locked: Option<(Vec<OrganizationId>, Semaphore)>,
    /// Writes of these organizations time out.
    timed_out_organizations: Vec<OrganizationId>,
    /// After this number of writes the database is unavailable.
    unavailable_after: Option<usize>,
}

impl FakeStore {
    fn new(permits: usize) -> Self {
        Self {
            started: AtomicUsize::new(0),
            batches: Mutex::default(),
            permits: Semaphore::new(permits),
            failing_scan: None,
            panicking_scan: None,
            failures: AtomicUsize::new(0),
            concurrent_writes: 1,
            more_writes: 0,
            locked: None,
            timed_out_organizations: Vec::new(),
            unavailable_after: None,
        }
    }

    async fn write(&self, keys: Vec<(OrganizationId, ScanId)>) -> Result<(), StoreError> {
        let (organizations, scans): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
        let organization = organizations[0];
        assert!(
            organizations.iter().all(|one| *one == organization),
            "a batch holds one organization"
        );
        let writes_before = self.started.fetch_add(1, Ordering::SeqCst);
        let permits = match &self.locked {
            Some((locked, permits)) if locked.contains(&organization) => permits,
            _ => &self.permits,
        };
        permits.acquire().await.expect("never closed").forget();
        if self.timed_out_organizations.contains(&organization) {
            return Err(StoreError::timed_out("its rows are locked"));
        }
        if self
            .unavailable_after
            .is_some_and(|writes| writes_before >= writes)
        {
            return Err(StoreError::unavailable("from now on"));
        }
        if self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return Err(StoreError::unavailable("on request"));
        }
        if scans.iter().any(|scan| Some(*scan) == self.failing_scan) {
            return Err(StoreError::failed("a failing scan"));
        }
        assert!(
            !scans.iter().any(|scan| Some(*scan) == self.panicking_scan),
            "a panic on request"
        );
        self.batches.lock().push(scans);
        Ok(())
    }

    fn batches(&self) -> Vec<Vec<ScanId>> {
        self.batches.lock().clone()
    }
}

#[async_trait]
impl ScanStore for FakeStore {
    fn concurrent_writes(&self) -> usize {
        self.concurrent_writes
    }

    fn max_writes(&self) -> usize {
        self.concurrent_writes + self.more_writes
    }

    async fn record(&self, batch: &[Attempt], _: &RuleSettings) -> Result<Vec<Recorded>, StoreError> {
        let key = |attempt: &Attempt| (attempt.organization_id, attempt.scan_id);
        self.write(batch.iter().map(key).collect()).await?;
        Ok(batch.iter().map(|_| Recorded::ScanUndone).collect())
    }

    async fn record_denials(&self, denials: &[NewScan]) -> Result<(), StoreError> {
        let key = |one: &NewScan| (one.record.organization_id, one.record.scan_id);
        self.write(denials.iter().map(key).collect()).await
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
        _: &AuditContext,
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

    async fn activity(
        &self,
        _: OrganizationId,
        _: EventId,
        minutes: ActivityMinutes,
    ) -> Result<EventActivity, StoreError> {
        Ok(EventActivity {
            from: minutes.from(),
            to: minutes.to(),
            gates: Vec::new(),
        })
    }

    async fn find_device_by_token(&self, _: &TokenHash) -> Result<Option<AuthenticatedDevice>, StoreError> {
        Ok(None)
    }
}

struct NoPostCommit;

impl PostCommit for NoPostCommit {
    type Context = ();

    fn before_write(&self) {}

    fn after_write<'a>(
        &self,
        (): (),
        _: Vec<NewScan>,
        _: impl Iterator<Item = &'a Recorded>,
    ) -> PostCommitTask {
        None
    }
}

fn start(store: &Arc<FakeStore>) -> WriteQueue {
    WriteQueue::start(Arc::clone(store), RULES, Arc::new(NoPostCommit)).expect("a thread")
}

fn writer(store: Arc<FakeStore>) -> Writer<FakeStore, NoPostCommit> {
    Writer {
        store,
        rules: RULES,
        post_commit: Arc::new(NoPostCommit),
        completed: mpsc::channel(1).0,
        stats: Arc::default(),
        denial_batch_size: Arc::new(ChunkSize::new(Duration::from_millis(20))),
        unavailable: watch::channel(None).0,
    }
}

const RULES: RuleSettings = RuleSettings {
    dedup_window: Duration::from_secs(300),
};

/// The organization of the scans of most tests.
const ORGANIZATION: u128 = 1;

fn organization(number: u128) -> OrganizationId {
    OrganizationId::from_uuid(uuid::Uuid::from_u128(number))
}

fn attempt(number: u128) -> Attempt {
    attempt_of(ORGANIZATION, number)
}

fn attempt_of(of: u128, number: u128) -> Attempt {
    let id = uuid::Uuid::from_u128(number);
    Attempt {
        scan_id: ScanId::from_uuid(id),
        organization_id: organization(of),
        scanned_by: ScannedBy::Device {
            id: DeviceId::from_uuid(id),
            session_id: SessionId::from_uuid(id),
        },
        event_id: EventId::from_uuid(id),
        gate_id: GateId::from_uuid(id),
        gate_name: "Main".to_owned(),
        authenticated: None,
        fingerprint: Fingerprint {
            sha256: [0; 32],
            other_sha256: None,
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
        origin: None,
        claimed: true,
    }
}

fn denial_of(of: u128, number: u128) -> NewScan {
    let attempt = attempt_of(of, number);
    match attempt.verification.clone() {
        Verification::Denied(denial) => NewScan::denied(attempt, *denial),
        Verification::Verified(_) => panic!("the attempt is denied"),
    }
}

async fn enqueue(write_queue: &WriteQueue, number: u128) -> Result<(), RecordError> {
    enqueue_of(write_queue, ORGANIZATION, number).await
}

async fn enqueue_of(write_queue: &WriteQueue, of: u128, number: u128) -> Result<(), RecordError> {
    let permit = write_queue.reserve_denial(organization(of)).await?;
    write_queue.enqueue_denial(permit, denial_of(of, number))
}

fn id(number: u128) -> ScanId {
    ScanId::from_uuid(uuid::Uuid::from_u128(number))
}

/// Waits until a condition holds. The test runner limits the time.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn scans_that_arrive_during_a_write_share_the_next_batch() {
    let store = Arc::new(FakeStore::new(0));
    let write_queue = start(&store);
    let mut requests = vec![tokio::spawn({
        let write_queue = write_queue.clone();
        async move { write_queue.record(Box::new(attempt(0))).await }
    })];
    until(|| store.started.load(Ordering::SeqCst) == 1).await;
    for number in 1..=5 {
        let write_queue = write_queue.clone();
        requests.push(tokio::spawn(async move {
            write_queue.record(Box::new(attempt(number))).await
        }));
    }
    until(|| write_queue.scan_capacity.used() >= 5).await;
    store.permits.add_permits(2);
    for request in requests {
        assert!(request.await.expect("no panic").is_ok());
    }
    let batches = store.batches();
    assert_eq!(batches.len(), 2, "{batches:?}");
    assert_eq!(batches[1].len(), 5);
}

#[tokio::test]
async fn a_failing_scan_does_not_fail_the_others_of_its_batch() {
    let store = Arc::new(FakeStore {
        failing_scan: Some(id(2)),
        ..FakeStore::new(100)
    });
    let attempts: Vec<_> = (1..=3).map(attempt).collect();
    let outcomes = writer(store).write_scans(&attempts).await;
    let succeeded: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(succeeded, [true, false, true]);
}

/// Queues three denials, of which all but the second are written.
async fn write_all_but_the_second(store: &Arc<FakeStore>) -> WriteQueue {
    let write_queue = start(store);
    for number in 1..=3 {
        enqueue(&write_queue, number)
            .await
            .expect("the queue has capacity");
    }
    write_queue.flush_all().await;
    assert_eq!(store.batches(), [vec![id(1)], vec![id(3)]]);
    write_queue
}

#[tokio::test]
async fn a_failing_denial_does_not_fail_the_others_of_its_batch() {
    let store = Arc::new(FakeStore {
        failing_scan: Some(id(2)),
        ..FakeStore::new(100)
    });
    let write_queue = write_all_but_the_second(&store).await;
    assert_eq!(
        write_queue.counts().pending_denials,
        1,
        "the failed denial is tried again"
    );
}

#[tokio::test]
async fn a_scan_that_makes_the_store_panic_fails_alone() {
    let store = Arc::new(FakeStore {
        panicking_scan: Some(id(2)),
        ..FakeStore::new(100)
    });
    let write_queue = write_all_but_the_second(&store).await;
    for (number, succeeds) in [(1, true), (2, false), (3, true)] {
        let recorded = write_queue.record(Box::new(attempt(number))).await;
        assert_eq!(recorded.is_ok(), succeeds, "{number}: {recorded:?}");
    }
}

/// Post-commit work that panics.
struct PanickingPostCommit;

impl PostCommit for PanickingPostCommit {
    type Context = ();

    fn before_write(&self) {}

    fn after_write<'a>(
        &self,
        (): (),
        _: Vec<NewScan>,
        _: impl Iterator<Item = &'a Recorded>,
    ) -> PostCommitTask {
        panic!("on request")
    }
}

#[tokio::test]
async fn a_recorded_scan_is_answered_even_if_post_commit_work_panics() {
    let store = Arc::new(FakeStore::new(100));
    let write_queue = WriteQueue::start(store, RULES, Arc::new(PanickingPostCommit)).expect("a thread");
    for number in 1..=2 {
        let recorded = write_queue.record(Box::new(attempt(number))).await;
        assert!(recorded.is_ok(), "{number}: {recorded:?}");
    }
}

#[tokio::test]
async fn a_pending_denial_is_written_after_the_database_was_unavailable() {
    let store = Arc::new(FakeStore::new(100));
    store.failures.store(1, Ordering::SeqCst);
    let write_queue = start(&store);
    enqueue(&write_queue, 7).await.expect("the queue has capacity");
    until(|| !store.batches().is_empty()).await;
    assert_eq!(store.batches(), [vec![id(7)]]);
}

#[tokio::test]
async fn a_pending_denial_is_written_before_the_retry_of_its_scan() {
    let store = Arc::new(FakeStore::new(100));
    let write_queue = start(&store);
    let last = 2 * MAX_SCANS_PER_BATCH as u128;
    for number in 0..=last {
        enqueue(&write_queue, number)
            .await
            .expect("the queue has capacity");
    }
    write_queue
        .record(Box::new(attempt(last)))
        .await
        .expect("the database is available");
    assert_eq!(store.batches()[..2], [[id(last)], [id(last)]]);
    write_queue.flush_all().await;
    assert_eq!(
        store.batches().concat().len() as u128,
        last + 2,
        "each is written once"
    );
}

/// Polls a call once, which puts it into the queue. The call cannot complete yet.
async fn poll_once<T>(call: Pin<&mut impl Future<Output = T>>) {
    tokio::select! {
        biased;
        _ = call => panic!("the call must wait"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn a_scan_does_not_wait_for_all_pending_denials() {
    let store = Arc::new(FakeStore::new(0));
    let write_queue = start(&store);
    for number in 1..=MAX_PENDING_DENIALS as u128 {
        enqueue(&write_queue, number)
            .await
            .expect("the queue has capacity");
    }
    let mut blocked = pin!(enqueue(&write_queue, 20_000));
    poll_once(blocked.as_mut()).await;
    let mut requests = pin!(write_queue.record(Box::new(attempt(0))));
    poll_once(requests.as_mut()).await;
    // One write may be running. A write of due denials may precede the batch with the scan.
    store.permits.add_permits(3);
    requests.await.expect("the database is available");
    let batches = store.batches();
    assert!(
        batches.len() <= 3 && batches.concat().contains(&id(0)),
        "{batches:?}"
    );
    store.permits.add_permits(100);
    blocked.await.expect("the queue has capacity");
    write_queue.flush_all().await;
    assert_eq!(
        store.batches().concat().len(),
        MAX_PENDING_DENIALS + 2,
        "no denial is lost"
    );
}

#[tokio::test]
async fn denials_are_written_beside_a_full_batch_of_scans() {
    let store = Arc::new(FakeStore::new(0));
    let write_queue = start(&store);
    let mut requests = Vec::new();
    let record = |number: u128| {
        let write_queue = write_queue.clone();
        tokio::spawn(async move { write_queue.record(Box::new(attempt(number))).await })
    };
    // During a write, denials and more scans arrive than fit into the next batch.
    requests.push(record(0));
    until(|| store.started.load(Ordering::SeqCst) == 1).await;
    for number in 1..=2 * MAX_SCANS_PER_BATCH as u128 {
        requests.push(record(number));
    }
    until(|| write_queue.scan_capacity.used() == 2 * MAX_SCANS_PER_BATCH).await;
    let first_denial = 10_000;
    for number in 0..100 {
        enqueue(&write_queue, first_denial + number)
            .await
            .expect("the queue has capacity");
    }
    let mut flushed = pin!(write_queue.flush_all());
    poll_once(flushed.as_mut()).await;
    store.permits.add_permits(100);
    flushed.await;
    let batches = store.batches();
    assert_eq!(batches[1].len(), MIN_DENIALS_PER_BATCH, "{batches:?}");
    assert_eq!(batches[1][0], id(first_denial));
    assert_eq!(batches[2].len(), MAX_SCANS_PER_BATCH);
    for request in requests {
        assert!(request.await.expect("no panic").is_ok());
    }
}

#[tokio::test]
async fn flush_waits_for_pending_denials() {
    let store = Arc::new(FakeStore::new(100));
    let write_queue = start(&store);
    enqueue(&write_queue, 1).await.expect("the queue has capacity");
    write_queue.flush_all().await;
    assert_eq!(store.batches(), [vec![id(1)]]);
    write_queue.flush_all().await;
}

#[tokio::test]
async fn a_full_scan_queue_answers_overloaded() {
    let store = Arc::new(FakeStore::new(0));
    let write_queue = start(&store);
    let mut requests = Vec::new();
    // One batch is being written, one is collected; the queue holds the others.
    for number in 0..=u128::try_from(MAX_QUEUED_SCANS + 2 * MAX_SCANS_PER_BATCH).expect("small") {
        let write_queue = write_queue.clone();
        requests.push(tokio::spawn(async move {
            write_queue.record(Box::new(attempt(number))).await
        }));
    }
    until(|| requests.iter().any(tokio::task::JoinHandle::is_finished)).await;
    store.permits.add_permits(100);
    let mut overloaded = 0;
    for request in requests {
        overloaded += usize::from(matches!(
            request.await.expect("no panic"),
            Err(RecordError::Overloaded)
        ));
    }
    assert!(overloaded > 0);
}

#[tokio::test]
async fn writes_failures_and_queued_denials_are_counted() {
    let store = Arc::new(FakeStore::new(0));
    store.failures.store(1, Ordering::SeqCst);
    let write_queue = start(&store);
    enqueue(&write_queue, 1).await.expect("the queue has capacity");
    until(|| write_queue.counts().pending_denials == 1).await;
    store.permits.add_permits(1);
    until(|| write_queue.counts().failed == 1).await;
    assert_eq!(
        write_queue.counts().pending_denials,
        1,
        "the denial is still pending"
    );
    store.permits.add_permits(1);
    until(|| write_queue.counts().pending_denials == 0).await;
    let counts = write_queue.counts();
    assert_eq!((counts.failed, counts.scans, counts.queued_scans), (1, 1, 0));
    assert_eq!(counts.durations.iter().sum::<u64>(), 2, "both writes are counted");
}

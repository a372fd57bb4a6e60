//! The lanes: isolation of the organizations, their turns, and what they do while the database is unavailable.

use futures_util::FutureExt as _;
use tokio::task::JoinHandle;

use super::*;
use crate::node::write_queue::lanes::EndedBatch;

/// Records a scan in a task.
pub(super) fn record(write_queue: &WriteQueue, of: u128, number: u128) -> JoinHandle<Outcome> {
    let write_queue = write_queue.clone();
    tokio::spawn(async move { write_queue.record(Box::new(attempt_of(of, number))).await })
}

pub(super) async fn is_recorded(request: JoinHandle<Outcome>) -> bool {
    request.await.expect("no panic").is_ok()
}

/// Waits until the scans of earlier calls are in their lanes: the writer handles messages in their order, and no denial
/// is pending.
pub(super) async fn settle(write_queue: &WriteQueue, queued: usize) {
    until(|| write_queue.counts().queued_scans == queued).await;
    write_queue.flush_all().await;
}

/// A store with four concurrent writes, of which those of organization 1 wait for permits of their own.
fn store_with_a_locked_organization() -> Arc<FakeStore> {
    Arc::new(FakeStore {
        concurrent_writes: 4,
        locked: Some((vec![organization(1)], Semaphore::new(0))),
        ..FakeStore::new(1000)
    })
}

fn unlock(store: &FakeStore) {
    let (_, permits) = store.locked.as_ref().expect("an organization is locked");
    permits.add_permits(1000);
}

#[tokio::test]
async fn a_locked_organization_delays_no_other() {
    let store = store_with_a_locked_organization();
    let write_queue = start(&store);
    let locked = record(&write_queue, 1, 1);
    until(|| store.started.load(Ordering::SeqCst) == 1).await;
    for number in 10..20 {
        assert!(is_recorded(record(&write_queue, number % 3 + 2, number)).await);
    }
    assert!(!locked.is_finished());
    unlock(&store);
    assert!(is_recorded(locked).await);
}

#[tokio::test]
async fn a_locked_organization_fills_no_queue_for_others() {
    let store = store_with_a_locked_organization();
    let write_queue = start(&store);
    let share = u128::try_from(MAX_QUEUED_SCANS.max(MAX_PENDING_DENIALS)).expect("small");
    let scans: Vec<_> = (0..=2 * share)
        .map(|number| record(&write_queue, 1, number))
        .collect();
    for number in (4 * share..).take(MAX_PENDING_DENIALS) {
        enqueue_of(&write_queue, 1, number).await.expect("capacity");
    }
    until(|| scans.iter().any(JoinHandle::is_finished)).await;
    let full = enqueue_of(&write_queue, 1, 8 * share).await;
    assert!(matches!(full, Err(RecordError::Overloaded)), "{full:?}");
    assert!(is_recorded(record(&write_queue, 2, 8 * share + 1)).await);
    enqueue_of(&write_queue, 2, 8 * share + 2)
        .now_or_never()
        .expect("it does not wait")
        .expect("capacity");
    unlock(&store);
    write_queue.flush_all().await;
}

#[tokio::test]
async fn as_many_locked_organizations_as_concurrent_writes_stop_no_other() {
    let store = Arc::new(FakeStore {
        concurrent_writes: 2,
        more_writes: 2,
        locked: Some((vec![organization(1), organization(2)], Semaphore::new(0))),
        ..FakeStore::new(1000)
    });
    let write_queue = start(&store);
    let locked = [record(&write_queue, 1, 1), record(&write_queue, 2, 2)];
    until(|| store.started.load(Ordering::SeqCst) == 2).await;
    for number in 10..20 {
        assert!(is_recorded(record(&write_queue, number % 3 + 3, number)).await);
    }
    unlock(&store);
    for request in locked {
        assert!(is_recorded(request).await);
    }
}

#[tokio::test]
async fn one_write_of_an_organization_runs_at_a_time() {
    let store = store_with_a_locked_organization();
    let write_queue = start(&store);
    let first = record(&write_queue, 1, 1);
    until(|| store.started.load(Ordering::SeqCst) == 1).await;
    let second = record(&write_queue, 1, 2);
    settle(&write_queue, 1).await;
    assert!(is_recorded(record(&write_queue, 2, 3)).await);
    assert_eq!(store.started.load(Ordering::SeqCst), 2, "the second scan waits");
    unlock(&store);
    assert!(is_recorded(first).await && is_recorded(second).await);
    assert_eq!(store.batches(), [[id(3)], [id(1)], [id(2)]]);
}

#[tokio::test]
async fn a_flush_does_not_wait_for_the_denials_of_a_locked_organization() {
    let store = store_with_a_locked_organization();
    let write_queue = start(&store);
    enqueue_of(&write_queue, 1, 1).await.expect("capacity");
    until(|| store.started.load(Ordering::SeqCst) == 1).await;
    enqueue_of(&write_queue, 2, 2).await.expect("capacity");
    write_queue.flush(organization(2)).await;
    assert_eq!(store.batches(), [[id(2)]]);
    let mut all = pin!(write_queue.flush_all());
    poll_once(all.as_mut()).await;
    unlock(&store);
    all.await;
    assert_eq!(store.batches(), [[id(2)], [id(1)]]);
}

#[tokio::test]
async fn organizations_with_work_take_turns() {
    let store = Arc::new(FakeStore::new(0));
    let write_queue = start(&store);
    let mut requests = vec![record(&write_queue, 1, 0)];
    until(|| store.started.load(Ordering::SeqCst) == 1).await;
    let many = 2 * MAX_SCANS_PER_BATCH as u128;
    for number in 1..=many {
        requests.push(record(&write_queue, 1, number));
    }
    requests.push(record(&write_queue, 2, 10_002));
    requests.push(record(&write_queue, 3, 10_003));
    settle(&write_queue, many as usize + 2).await;
    store.permits.add_permits(1000);
    for request in requests {
        assert!(is_recorded(request).await);
    }
    let batches = store.batches();
    let lengths: Vec<_> = batches.iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 1, 1, MAX_SCANS_PER_BATCH, MAX_SCANS_PER_BATCH]);
    assert_eq!(batches[1..3], [[id(10_002)], [id(10_003)]]);
}

#[tokio::test]
async fn when_the_database_is_unavailable_the_scans_of_all_organizations_fail_at_once() {
    let store = Arc::new(FakeStore::new(0));
    store.failures.store(1, Ordering::SeqCst);
    let write_queue = start(&store);
    let mut requests = vec![record(&write_queue, 1, 1)];
    until(|| store.started.load(Ordering::SeqCst) == 1).await;
    for number in 1..=3 {
        requests.push(record(&write_queue, number, 10 + number));
    }
    settle(&write_queue, 3).await;
    store.permits.add_permits(1);
    for request in requests {
        assert!(!is_recorded(request).await);
    }
    assert_eq!(store.started.load(Ordering::SeqCst), 1, "one write was tried");
    store.permits.add_permits(1);
    assert!(
        is_recorded(record(&write_queue, 2, 20)).await,
        "the database is back"
    );
}

#[tokio::test]
async fn a_failing_organization_fails_only_its_own_scans_while_others_are_written() {
    let store = Arc::new(FakeStore {
        concurrent_writes: 2,
        locked: Some((vec![organization(1)], Semaphore::new(0))),
        timed_out_organizations: vec![organization(1)],
        ..FakeStore::new(1)
    });
    let write_queue = start(&store);
    let running = record(&write_queue, 1, 1);
    until(|| store.started.load(Ordering::SeqCst) == 1).await;
    let failing = [running, record(&write_queue, 1, 2)];
    settle(&write_queue, 1).await;
    assert!(is_recorded(record(&write_queue, 2, 3)).await);
    let running = record(&write_queue, 2, 4);
    until(|| store.started.load(Ordering::SeqCst) == 3).await;
    let queued = record(&write_queue, 2, 5);
    settle(&write_queue, 2).await;
    unlock(&store);
    for request in failing {
        assert!(!is_recorded(request).await);
    }
    store.permits.add_permits(2);
    assert!(is_recorded(running).await && is_recorded(queued).await);
}

#[tokio::test]
async fn a_full_denial_queue_fails_at_once_while_the_database_is_unavailable() {
    let store = Arc::new(FakeStore::new(0));
    store.failures.store(1, Ordering::SeqCst);
    let write_queue = start(&store);
    for number in 1..=MAX_PENDING_DENIALS as u128 {
        enqueue(&write_queue, number).await.expect("capacity");
    }
    let mut waiting = pin!(enqueue(&write_queue, 20_000));
    poll_once(waiting.as_mut()).await;
    store.permits.add_permits(1);
    let is_unavailable = |error: &RecordError| matches!(error, RecordError::Store(error) if matches!(**error, StoreError::Unavailable { .. }));
    let error = waiting.await.expect_err("the queue is full");
    assert!(is_unavailable(&error), "{error:?}");
    let error = enqueue(&write_queue, 20_001)
        .now_or_never()
        .expect("it does not wait")
        .expect_err("the queue is full");
    assert!(is_unavailable(&error), "{error:?}");
    // The database is back.
    store.permits.add_permits(1000);
    write_queue.flush_all().await;
    enqueue(&write_queue, 20_002).await.expect("capacity");
    write_queue.flush_all().await;
    assert_eq!(
        store.batches().concat().len(),
        MAX_PENDING_DENIALS + 1,
        "no denial that was answered is lost"
    );
}

#[tokio::test]
async fn a_full_denial_queue_does_not_wait_for_ever_for_a_database_that_does_not_answer() {
    let store = Arc::new(FakeStore::new(0));
    let write_queue = start(&store);
    for number in 1..=MAX_PENDING_DENIALS as u128 {
        enqueue(&write_queue, number).await.expect("capacity");
    }
    let refused = enqueue(&write_queue, 20_000).await;
    assert!(matches!(refused, Err(RecordError::Overloaded)), "{refused:?}");
}

#[tokio::test]
async fn a_bulk_chunk_waits_for_the_scans_before_it() {
    let store = Arc::new(FakeStore::new(0));
    let write_queue = start(&store);
    let request = record(&write_queue, 1, 1);
    until(|| store.started.load(Ordering::SeqCst) == 1).await;
    let bulk_writes = write_queue.bulk_writes();
    let mut chunk = pin!(bulk_writes.start_chunk(organization(2), BulkKind::Upload));
    assert!(chunk.as_mut().now_or_never().is_none());
    store.permits.add_permits(1);
    assert!(is_recorded(request).await);
    chunk.await;
}

#[tokio::test]
async fn a_bulk_chunk_starts_when_scans_fail() {
    let store = Arc::new(FakeStore::new(0));
    store.failures.store(1, Ordering::SeqCst);
    let write_queue = start(&store);
    let requests = [record(&write_queue, 1, 1), record(&write_queue, 2, 2)];
    until(|| store.started.load(Ordering::SeqCst) == 1).await;
    settle(&write_queue, 1).await;
    store.permits.add_permits(1);
    for request in requests {
        assert!(!is_recorded(request).await);
    }
    write_queue
        .bulk_writes()
        .start_chunk(organization(1), BulkKind::Import)
        .await;
}

#[tokio::test]
async fn a_lane_without_work_is_removed() {
    let bulk_writes = BulkWrites::new(Contention::Organization);
    let size = Arc::new(ChunkSize::new(Duration::from_millis(20)));
    let buffer = Arc::<ScanBuffer>::default();
    let mut lanes = Lanes::new(Arc::clone(&buffer), Arc::default(), size, bulk_writes);
    let capacity = Capacity::new(10);
    let mut replies = Vec::new();
    for number in 1..=3 {
        let (reply, outcome) = oneshot::channel();
        let permit = capacity.try_acquire(organization(number)).expect("a place");
        let attempt = Box::new(attempt_of(number, number));
        buffer.push(WriteRequest {
            attempt,
            reply,
            permit,
            span: tracing::Span::none(),
        });
        replies.push(outcome);
    }
    lanes.apply(Command::DrainScans);
    let batch = lanes.start_batch(Instant::now(), false).expect("work");
    assert_eq!(lanes.len(), 3);
    lanes.end_batch(EndedBatch {
        organization: batch.organization,
        unwritten: Vec::new(),
        retry_at: None,
        had_scans: true,
    });
    assert_eq!(lanes.len(), 2);
    lanes.fail_scans(None, &Arc::new(StoreError::unavailable("on request")));
    assert_eq!(lanes.len(), 0);
}

#[tokio::test]
async fn a_scan_wakes_the_writer_unless_a_write_of_its_organization_runs() {
    let bulk_writes = BulkWrites::new(Contention::Organization);
    let size = Arc::new(ChunkSize::new(Duration::from_millis(20)));
    let buffer = Arc::<ScanBuffer>::default();
    let mut lanes = Lanes::new(Arc::clone(&buffer), Arc::default(), size, bulk_writes);
    let capacity = Capacity::new(10);
    let request = |of, number| WriteRequest {
        attempt: Box::new(attempt_of(of, number)),
        reply: oneshot::channel().0,
        permit: capacity.try_acquire(organization(of)).expect("a place"),
        span: tracing::Span::none(),
    };
    assert!(buffer.push(request(1, 1)));
    lanes.apply(Command::DrainScans);
    let batch = lanes.start_batch(Instant::now(), false).expect("work");
    assert!(!buffer.push(request(1, 2)), "the end of the write finds it");
    assert!(
        buffer.push(request(2, 3)),
        "another organization's write can start"
    );
    lanes.drain_scans();
    assert_eq!(lanes.len(), 2);
    lanes.end_batch(EndedBatch {
        organization: batch.organization,
        unwritten: Vec::new(),
        retry_at: None,
        had_scans: true,
    });
    assert!(buffer.push(request(1, 4)));
}

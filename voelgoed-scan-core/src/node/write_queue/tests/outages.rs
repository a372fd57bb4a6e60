//! The database becomes unavailable.

use super::lanes::{is_recorded, record, settle};
use super::*;

/// A store that fails the batch of five scans, writes the first of them, and is unavailable from then on.
fn store_that_fails_and_becomes_unavailable() -> Arc<FakeStore> {
    Arc::new(FakeStore {
        failing_scan: Some(id(5)),
        unavailable_after: Some(2),
        ..FakeStore::new(100)
    })
}

#[tokio::test]
async fn scans_written_one_by_one_share_the_error_of_a_database_that_becomes_unavailable() {
    let store = store_that_fails_and_becomes_unavailable();
    let attempts: Vec<_> = (1..=5).map(attempt).collect();
    let outcomes = writer(Arc::clone(&store)).write_scans(&attempts).await;
    let succeeded: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(succeeded, [true, false, false, false, false]);
    assert_eq!(
        store.started.load(Ordering::SeqCst),
        3,
        "the batch, the first and the second scan"
    );
}

#[tokio::test]
async fn denials_written_one_by_one_stay_pending_when_the_database_becomes_unavailable() {
    let store = store_that_fails_and_becomes_unavailable();
    let capacity = Capacity::new(10);
    let denial = |number: u64| {
        let denial = PendingDenial {
            scan: Box::new(denial_of(ORGANIZATION, number.into())),
            due: Instant::now(),
            permit: capacity.try_acquire(organization(ORGANIZATION)).expect("a place"),
        };
        (number, denial)
    };
    let denials = (1..=5).map(denial).collect();
    let (written, unwritten, unavailable) = writer(Arc::clone(&store)).write_denials(denials).await;
    assert_eq!((written.len(), unwritten.len()), (1, 4));
    assert!(unavailable.is_some(), "the scans of the batch are not tried");
    assert_eq!(
        store.started.load(Ordering::SeqCst),
        3,
        "the batch, the first and the second denial"
    );
}

#[tokio::test]
async fn a_write_that_times_out_fails_no_scan_of_another_organization() {
    let store = Arc::new(FakeStore {
        timed_out_organizations: vec![organization(1)],
        ..FakeStore::new(0)
    });
    let write_queue = start(&store);
    let running = record(&write_queue, 1, 1);
    until(|| store.started.load(Ordering::SeqCst) == 1).await;
    let locked = [running, record(&write_queue, 1, 2)];
    let other = record(&write_queue, 2, 3);
    settle(&write_queue, 2).await;
    store.permits.add_permits(2);
    assert!(is_recorded(other).await);
    for request in locked {
        assert!(!is_recorded(request).await);
    }
    assert_eq!(store.started.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn when_two_organizations_time_out_the_scans_of_all_fail_at_once() {
    let store = Arc::new(FakeStore {
        timed_out_organizations: vec![organization(1), organization(2)],
        ..FakeStore::new(0)
    });
    let write_queue = start(&store);
    let mut requests = vec![record(&write_queue, 1, 1)];
    until(|| store.started.load(Ordering::SeqCst) == 1).await;
    requests.extend([record(&write_queue, 2, 2), record(&write_queue, 3, 3)]);
    settle(&write_queue, 2).await;
    store.permits.add_permits(2);
    for request in requests {
        assert!(!is_recorded(request).await);
    }
    assert_eq!(store.started.load(Ordering::SeqCst), 2, "the third was not tried");
    // The database is back, so a write that times out may have waited for a lock.
    store.permits.add_permits(1);
    assert!(is_recorded(record(&write_queue, 3, 4)).await);
    let running = record(&write_queue, 1, 5);
    until(|| store.started.load(Ordering::SeqCst) == 4).await;
    let other = record(&write_queue, 3, 6);
    settle(&write_queue, 1).await;
    store.permits.add_permits(2);
    assert!(is_recorded(other).await && !is_recorded(running).await);
}

#[tokio::test]
async fn a_flush_before_the_end_tries_again_what_failed() {
    let store = Arc::new(FakeStore::new(100));
    store.failures.store(1, Ordering::SeqCst);
    let write_queue = start(&store);
    enqueue(&write_queue, 1).await.expect("capacity");
    assert_eq!(write_queue.flush_within(Duration::from_mins(1)).await, 0);
    assert_eq!(store.batches(), [[id(1)]]);
}

#[tokio::test]
async fn a_flush_before_the_end_counts_what_is_lost() {
    let store = Arc::new(FakeStore {
        unavailable_after: Some(0),
        ..FakeStore::new(100)
    });
    let write_queue = start(&store);
    for number in 1..=3 {
        enqueue(&write_queue, number).await.expect("capacity");
    }
    assert_eq!(write_queue.flush_within(Duration::from_millis(1)).await, 3);
}

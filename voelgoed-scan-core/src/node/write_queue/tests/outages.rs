//! The database becomes unavailable.

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
    let permits = Arc::new(Semaphore::new(10));
    let denial = |number: u64| {
        let denial = PendingDenial {
            scan: Box::new(denial_of(ORGANIZATION, number.into())),
            due: Instant::now(),
            permit: Arc::clone(&permits).try_acquire_owned().expect("a permit"),
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

use std::pin::{Pin, pin};

use futures_util::FutureExt as _;

use super::*;

fn organization(number: u128) -> OrganizationId {
    OrganizationId::from_uuid(uuid::Uuid::from_u128(number))
}

/// Polls a request for a chunk once. Returns the permit if it is granted.
fn poll(request: Pin<&mut impl Future<Output = BulkPermit>>) -> Option<BulkPermit> {
    request.now_or_never()
}

#[tokio::test]
async fn on_a_database_with_one_writer_one_chunk_runs_at_a_time() {
    let bulk = BulkWrites::new(Contention::Database);
    let first = bulk.start_chunk(organization(1), BulkKind::Upload).await;
    let mut second = pin!(bulk.start_chunk(organization(2), BulkKind::Import));
    assert!(poll(second.as_mut()).is_none());
    drop(first);
    assert!(poll(second.as_mut()).is_some());
}

#[tokio::test]
async fn otherwise_one_chunk_of_an_organization_runs_at_a_time_and_a_few_of_a_node() {
    let bulk = BulkWrites::new(Contention::Organization);
    let mut running = Vec::new();
    for number in 1..=MAX_CHUNKS as u128 {
        running.push(bulk.start_chunk(organization(number), BulkKind::Upload).await);
    }
    let mut same = pin!(bulk.start_chunk(organization(1), BulkKind::Upload));
    let mut other = pin!(bulk.start_chunk(organization(9), BulkKind::Upload));
    assert!(poll(same.as_mut()).is_none() && poll(other.as_mut()).is_none());
    drop(running.pop());
    assert!(
        poll(same.as_mut()).is_none(),
        "its organization has a running chunk"
    );
    assert!(poll(other.as_mut()).is_some());
}

#[tokio::test]
async fn slow_chunks_leave_their_places_to_others() {
    let bulk = BulkWrites::new(Contention::Organization);
    let mut slow = Vec::new();
    for number in 1..=MAX_CHUNKS as u128 {
        slow.push(bulk.start_chunk(organization(number), BulkKind::Upload).await);
    }
    let mut other = pin!(bulk.start_chunk(organization(9), BulkKind::Upload));
    assert!(poll(other.as_mut()).is_none());
    drop(other.await);
    let bulk = BulkWrites::new(Contention::Database);
    let _slow = bulk.start_chunk(organization(1), BulkKind::Upload).await;
    let other = bulk.start_chunk(organization(2), BulkKind::Upload);
    assert!(
        timeout(SLOW_AFTER * 2, other).await.is_err(),
        "one connection writes"
    );
}

#[tokio::test]
async fn a_chunk_waits_for_the_scans_of_its_scope_only() {
    for (contention, other_waits) in [(Contention::Database, true), (Contention::Organization, false)] {
        let bulk = BulkWrites::new(contention);
        bulk.scans_started(organization(1));
        let mut own = pin!(bulk.start_chunk(organization(1), BulkKind::Upload));
        assert!(poll(own.as_mut()).is_none());
        let mut other = pin!(bulk.start_chunk(organization(2), BulkKind::Upload));
        assert_eq!(poll(other.as_mut()).is_none(), other_waits, "{contention:?}");
        bulk.scans_ended(organization(1));
        assert!(poll(own.as_mut()).is_some(), "{contention:?}");
    }
}

#[tokio::test]
async fn a_chunk_starts_after_some_writes_of_scans_even_if_scans_never_stop() {
    for contention in [Contention::Database, Contention::Organization] {
        let bulk = BulkWrites::new(contention);
        bulk.scans_started(organization(1));
        for (kind, writes_ahead) in [
            (BulkKind::Upload, 8),
            (BulkKind::Background, 16),
            (BulkKind::Import, 8),
        ] {
            let mut chunk = pin!(bulk.start_chunk(organization(1), kind));
            for _ in 0..writes_ahead {
                assert!(poll(chunk.as_mut()).is_none(), "{contention:?}, {kind:?}");
                bulk.scans_written(organization(1));
            }
            let permit = poll(chunk.as_mut()).expect("it starts");
            assert!(permit.delays_scans());
        }
    }
    let bulk = BulkWrites::new(Contention::Database);
    let permit = bulk.start_chunk(organization(1), BulkKind::Background).await;
    assert!(!permit.delays_scans());
}

#[tokio::test]
async fn work_in_the_background_lets_no_upload_wait_longer() {
    let bulk = BulkWrites::new(Contention::Database);
    bulk.scans_started(organization(1));
    let mut background = pin!(bulk.start_chunk(organization(1), BulkKind::Background));
    let mut upload = pin!(bulk.start_chunk(organization(2), BulkKind::Upload));
    assert!(poll(background.as_mut()).is_none());
    for _ in 0..8 {
        assert!(poll(upload.as_mut()).is_none());
        bulk.scans_written(organization(1));
    }
    drop(poll(background.as_mut()).expect("its organization has its turn"));
    for _ in 0..8 {
        assert!(poll(upload.as_mut()).is_none());
        bulk.scans_written(organization(1));
    }
    assert!(poll(upload.as_mut()).is_some());
}

#[tokio::test]
async fn an_organization_with_many_chunks_does_not_delay_the_chunk_of_another() {
    let bulk = BulkWrites::new(Contention::Database);
    let running = bulk.start_chunk(organization(1), BulkKind::Upload).await;
    let mut first = pin!(bulk.start_chunk(organization(1), BulkKind::Upload));
    let mut second = pin!(bulk.start_chunk(organization(1), BulkKind::Upload));
    let mut other = pin!(bulk.start_chunk(organization(2), BulkKind::Import));
    for waiting in [first.as_mut(), second.as_mut()] {
        assert!(poll(waiting).is_none());
    }
    assert!(poll(other.as_mut()).is_none());
    drop(running);
    let permit = poll(other.as_mut()).expect("the organizations take turns");
    assert!(poll(first.as_mut()).is_none());
    drop(permit);
    drop(poll(first.as_mut()).expect("in the order of arrival"));
    assert!(poll(second.as_mut()).is_some());
}

#[tokio::test]
async fn a_caller_that_goes_away_gives_up_its_turn() {
    let bulk = BulkWrites::new(Contention::Database);
    let running = bulk.start_chunk(organization(1), BulkKind::Upload).await;
    let mut granted = Box::pin(bulk.start_chunk(organization(1), BulkKind::Upload));
    let mut waiting = Box::pin(bulk.start_chunk(organization(1), BulkKind::Upload));
    let mut last = pin!(bulk.start_chunk(organization(1), BulkKind::Upload));
    assert!(poll(granted.as_mut()).is_none() && poll(waiting.as_mut()).is_none());
    assert!(poll(last.as_mut()).is_none());
    drop(waiting);
    drop(running);
    // Its permit is granted, but it never takes it.
    drop(granted);
    assert!(poll(last.as_mut()).is_some());
    assert_eq!((bulk.waiting_chunks(), bulk.tracked_scopes()), (0, 0));
}

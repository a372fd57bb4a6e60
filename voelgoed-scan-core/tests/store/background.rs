//! Leases of tasks, and cursors in the feeds.

use std::time::Duration;

use uuid::Uuid;
use voelgoed_scan_core::store::FeedAhead;

use crate::attempts::entry;
use crate::fixture::Fixture;

const NODES: [Uuid; 2] = [Uuid::from_u128(1), Uuid::from_u128(2)];

impl Fixture {
    async fn hold(&self, node: Uuid, duration: Duration) -> bool {
        let held = self.store.hold_lease("task", node, duration).await;
        held.expect("the lease is asked for")
    }

    async fn ahead(&self, consumer: &str) -> Vec<FeedAhead> {
        let ahead = self.store.feeds_ahead(consumer, 10).await;
        ahead.expect("the feeds are read")
    }

    async fn advance(&self, consumer: &str, from: i64, to: i64) -> bool {
        self.store
            .advance_cursor(self.organization, consumer, self.event, from, to)
            .await
            .expect("the cursor is written")
    }
}

pub(crate) async fn one_node_has_the_lease_of_a_task(fixture: Fixture) {
    let [one, two] = NODES;
    let minute = Duration::from_secs(60);
    assert!(fixture.hold(one, minute).await);
    assert!(fixture.hold(one, minute).await, "it renews its lease");
    if !fixture.store.is_shared() {
        return;
    }
    assert!(!fixture.hold(two, minute).await);
    fixture
        .store
        .release_lease("task", two)
        .await
        .expect("another's lease stays");
    assert!(!fixture.hold(two, minute).await);
    fixture
        .store
        .release_lease("task", one)
        .await
        .expect("the lease is given up");
    assert!(fixture.hold(two, Duration::ZERO).await);
    tokio::time::timeout(minute, async { while !fixture.hold(one, minute).await {} })
        .await
        .expect("a lease that has run out is taken over");
}

pub(crate) async fn a_cursor_advances_from_where_it_is(fixture: Fixture) {
    assert_eq!(fixture.ahead("one").await, []);
    let ticket = fixture.ticket("{}").await;
    fixture.record(&[entry(&fixture.main_session, ticket, 100)]).await;
    let [feed] = fixture.ahead("one").await[..] else {
        panic!("one feed has an entry");
    };
    assert_eq!(
        (feed.organization_id, feed.event_id, feed.position),
        (fixture.organization, fixture.event, 0)
    );
    assert!(
        !fixture.advance("one", feed.last + 1, feed.last + 2).await,
        "no cursor is there"
    );
    assert!(fixture.advance("one", 0, feed.last).await);
    assert!(
        !fixture.advance("one", 0, feed.last).await,
        "another node was faster"
    );
    assert_eq!(fixture.ahead("one").await, []);
    assert_eq!(
        fixture.ahead("two").await,
        [feed],
        "consumers have cursors of their own"
    );

    fixture.record(&[entry(&fixture.main_session, ticket, 101)]).await;
    let [next] = fixture.ahead("one").await[..] else {
        panic!("the feed has another entry");
    };
    assert_eq!(next.position, feed.last);
    assert!(fixture.advance("one", next.position, next.last).await);
    assert_eq!(fixture.ahead("one").await, []);
}

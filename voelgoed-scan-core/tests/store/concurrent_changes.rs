//! Events and gates that change while a scan waits for its locks. PostgreSQL only: SQLite has one writer, which reads its
//! facts after it has the lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tokio::task::{JoinHandle, yield_now};
use voelgoed_scan_core::model::{Reason, TicketCode};
use voelgoed_scan_core::store::{StoreError, UndoOutcome, UndoPermission};

use crate::attempts::{entry, reasons};
use crate::database::{Database, postgres};
use crate::fixture::{Fixture, RULES, after, open_gate, put_gate, with_identities};

/// Another node in the middle of a transaction that has locked rows.
struct Blocker {
    transaction: sqlx::PgConnection,
    /// Reads `pg_stat_activity` outside of any transaction: inside of one, PostgreSQL repeats the first snapshot.
    monitor: sqlx::PgConnection,
}

impl Blocker {
    /// Locks all occupancy counters.
    async fn lock_counters(database: &Database) -> Self {
        Self::lock(database, "select gate_id from occupancy for update").await
    }

    async fn lock(database: &Database, statement: &str) -> Self {
        let connect = || sqlx::PgConnection::connect(&database.url);
        let (mut transaction, monitor) = (
            connect().await.expect("a connection"),
            connect().await.expect("a connection"),
        );
        transaction
            .execute(AssertSqlSafe(format!("begin; {statement}")))
            .await
            .expect("the rows are not locked yet");
        Self { transaction, monitor }
    }

    /// Waits until `count` connections wait for a lock, or until `done` returns true.
    async fn wait_for_blocked(&mut self, count: i64, done: impl Fn() -> bool) {
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
            )
            .fetch_one(&mut self.monitor)
            .await
            .expect("the locks are counted");
            if waiting >= count || done() {
                return;
            }
            yield_now().await;
        }
    }

    async fn commit(mut self) {
        self.transaction
            .execute("commit")
            .await
            .expect("the other transaction commits");
    }
}

fn scan(fixture: &Arc<Fixture>, code: TicketCode) -> JoinHandle<Reason> {
    let fixture = Arc::clone(fixture);
    tokio::spawn(async move { reasons(&fixture.record(&[entry(&fixture.main_session, code, 0)]).await)[0] })
}

/// Sets a capacity to zero and returns how many people are inside after that.
fn close(fixture: &Arc<Fixture>, limited: Limited) -> JoinHandle<i64> {
    let fixture = Arc::clone(fixture);
    tokio::spawn(async move {
        match limited {
            Limited::Event => {
                fixture.change_event(|event| event.capacity = Some(0)).await;
            }
            Limited::Gate => {
                fixture
                    .change_gate(fixture.main_gate, |gate| gate.capacity = Some(0))
                    .await;
            }
        }
        fixture.inside().await.2
    })
}

/// What a capacity limits.
#[derive(Clone, Copy)]
enum Limited {
    Event,
    Gate,
}

/// Once the new capacity is acknowledged, a waiting scan does not admit any more: the count that is read after the
/// acknowledgement does not rise.
async fn set_capacity_while_a_scan_waits(fixture: &Arc<Fixture>, limited: Limited, scan_first: bool) {
    let code = fixture.ticket("{}").await;
    let (_, _, before) = fixture.inside().await;
    let mut blocker = Blocker::lock_counters(&fixture.database).await;
    let (scan, change) = if scan_first {
        let scan = scan(fixture, code);
        blocker.wait_for_blocked(1, || false).await;
        let change = close(fixture, limited);
        blocker.wait_for_blocked(2, || change.is_finished()).await;
        (scan, change)
    } else {
        let change = close(fixture, limited);
        blocker.wait_for_blocked(1, || change.is_finished()).await;
        let scan = scan(fixture, code);
        blocker.wait_for_blocked(2, || scan.is_finished()).await;
        (scan, change)
    };
    blocker.commit().await;
    let (reason, inside_then) = (
        scan.await.expect("the scan is decided"),
        change.await.expect("the capacity is changed"),
    );
    let admitted = i64::from(reason == Reason::Admitted);
    let inside = fixture.inside().await.2;
    assert_eq!(inside, before + admitted, "{reason:?}");
    assert_eq!(
        inside_then, inside,
        "{reason:?}: the count after the capacity was set"
    );
}

/// A waiting scan also counts the people at a gate that was created after its statement began.
async fn create_gate_while_a_scan_waits(fixture: &Arc<Fixture>) {
    let (_, _, before) = fixture.inside().await;
    let capacity = before + 1;
    fixture
        .change_event(|event| event.capacity = u32::try_from(capacity).ok())
        .await;
    fixture
        .change_gate(fixture.main_gate, |gate| gate.capacity = None)
        .await;
    let (first, second) = (fixture.ticket("{}").await, fixture.ticket("{}").await);
    let mut blocker = Blocker::lock_counters(&fixture.database).await;
    let admitted_at_new_gate = {
        let fixture = Arc::clone(fixture);
        tokio::spawn(async move {
            let gate = put_gate(
                &*fixture.store,
                fixture.organization,
                fixture.event,
                &open_gate("North"),
            )
            .await;
            let session = fixture.device_at(gate, "north").await;
            reasons(&fixture.record(&[entry(&session, first, 0)]).await)[0]
        })
    };
    blocker
        .wait_for_blocked(1, || admitted_at_new_gate.is_finished())
        .await;
    let waiting = scan(fixture, second);
    blocker.wait_for_blocked(2, || waiting.is_finished()).await;
    blocker.commit().await;
    let mut reasons = [
        admitted_at_new_gate.await.expect("the scan is decided"),
        waiting.await.expect("the scan is decided"),
    ];
    reasons.sort_unstable();
    assert_eq!(reasons, [Reason::Admitted, Reason::EventFull]);
    assert_eq!(fixture.occupancy().await.event.inside, capacity);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_capacity_applies_to_scans_that_wait_for_locks() {
    let database = Arc::new(postgres().await);
    let fixture = Arc::new(Fixture::new(Arc::clone(&database)).await);
    for scan_first in [true, false] {
        // Without a capacity of the event, a scan locks the counters of its gate; with one, those of all gates.
        for capacity in [None, Some(100)] {
            for limited in [Limited::Event, Limited::Gate] {
                fixture.change_event(|event| event.capacity = capacity).await;
                fixture
                    .change_gate(fixture.main_gate, |gate| gate.capacity = capacity)
                    .await;
                set_capacity_while_a_scan_waits(&fixture, limited, scan_first).await;
            }
        }
    }
    create_gate_while_a_scan_waits(&fixture).await;
    drop(fixture);
    Arc::into_inner(database)
        .expect("the test dropped its fixture")
        .drop()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_of_an_organization_whose_rows_are_locked_times_out() {
    let database = Arc::new(postgres().await);
    let fixture = Fixture::new(Arc::clone(&database)).await;
    let code = fixture.ticket("{}").await;
    let batch = with_identities(&*fixture.store, &[entry(&fixture.main_session, code, 0)]).await;
    let blocker = Blocker::lock_counters(&database).await;
    let recorded = fixture.store.record(&batch, &RULES).await;
    let is_timeout = matches!(recorded, Err(StoreError::Unavailable { timed_out: true, .. }));
    assert!(is_timeout, "{recorded:?}");
    blocker.commit().await;
    drop(fixture);
    Arc::into_inner(database)
        .expect("the test dropped its fixture")
        .drop()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_uploads_keeps_no_other_from_being_marked_as_seen() {
    let database = Arc::new(postgres().await);
    let fixture = Fixture::new(Arc::clone(&database)).await;
    let (uploading, other) = (fixture.main_session.device, fixture.side_session.device);
    let lock = format!(
        "select id from devices where id = '{}' for update",
        uploading.as_uuid()
    );
    let blocker = Blocker::lock(&database, &lock).await;
    let seen = [(uploading, after(5)), (other, after(5))];
    let mark = || fixture.store.mark_devices_seen(fixture.organization, &seen);
    assert_eq!(mark().await.expect("the write succeeds"), [other]);
    blocker.commit().await;
    assert_eq!(mark().await.expect("the write succeeds").len(), 2);
    drop(fixture);
    Arc::into_inner(database)
        .expect("the test dropped its fixture")
        .drop()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_wait_for_an_audit_log_leave_connections_to_other_organizations() {
    let database = Arc::new(postgres().await);
    let fixture = Arc::new(Fixture::new(Arc::clone(&database)).await);
    let changes = (0..MORE_THAN_CONNECTIONS).map(|number| {
        let fixture = Arc::clone(&fixture);
        async move {
            let gate = open_gate(&format!("Gate {number}"));
            put_gate(&*fixture.store, fixture.organization, fixture.event, &gate).await;
        }
    });
    leave_connections(&database, &fixture, "audit_heads", changes).await;
    drop_with(fixture, database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undos_that_wait_for_a_locked_event_leave_connections_to_other_organizations() {
    let database = Arc::new(postgres().await);
    let fixture = Arc::new(Fixture::new(Arc::clone(&database)).await);
    let mut scans = Vec::new();
    for _ in 0..MORE_THAN_CONNECTIONS {
        scans.push(entry(&fixture.main_session, fixture.ticket("{}").await, 0));
    }
    fixture.record(&scans).await;
    let undos = scans.iter().map(|scan| {
        let (fixture, scan) = (Arc::clone(&fixture), scan.scan_id);
        async move {
            let outcome = fixture.undo(scan, UndoPermission::Member, 1).await;
            assert!(matches!(outcome, Some(UndoOutcome::Undone { .. })), "{outcome:?}");
        }
    });
    leave_connections(&database, &fixture, "occupancy", undos).await;
    drop_with(fixture, database).await;
}

const MORE_THAN_CONNECTIONS: usize = 30;

/// Locks the rows that an organization has in a table. Another organization must find connections while all changes wait for
/// them. After that the changes succeed.
async fn leave_connections<F: Future<Output = ()> + Send + 'static>(
    database: &Arc<Database>,
    fixture: &Fixture,
    table: &str,
    changes: impl Iterator<Item = F>,
) {
    let other = fixture.another().await;
    let lock = format!(
        "select 1 from {table} where organization_id = '{}' for update",
        fixture.organization.as_uuid()
    );
    let mut blocker = Blocker::lock(database, &lock).await;
    let changes: Vec<_> = changes.map(tokio::spawn).collect();
    // Without a limit they take all connections within this time.
    let since = Instant::now();
    blocker
        .wait_for_blocked(13, || since.elapsed() > Duration::from_millis(500))
        .await;
    let found = other.store.event(other.organization, other.event).await;
    assert!(found.expect("a connection is free").is_some());
    put_gate(&*other.store, other.organization, other.event, &open_gate("Free")).await;
    blocker.commit().await;
    for change in changes {
        change.await.expect("the change succeeds");
    }
}

async fn drop_with(fixture: Arc<Fixture>, database: Arc<Database>) {
    drop(fixture);
    Arc::into_inner(database)
        .expect("the test dropped its fixtures")
        .drop()
        .await;
}

//! What if facts change while a scan waits for its locks? On a database of several nodes, where that can be.

use std::sync::Arc;

use sqlx::{Connection as _, Executor as _};
use tokio::task::{JoinHandle, yield_now};
use voelgoed_scan_core::model::{Reason, TicketCode};

use crate::attempts::{entry, reasons};
use crate::database::{Database, postgres};
use crate::world::{World, open_gate, put_gate};

/// Another node in the middle of a write: it holds the counters.
struct Other {
    writes: sqlx::PgConnection,
    /// Looks on, outside of any transaction: within one, PostgreSQL shows the connections of its beginning.
    looks_on: sqlx::PgConnection,
}

impl Other {
    async fn write(database: &Database) -> Self {
        let connect = || sqlx::PgConnection::connect(&database.url);
        let (mut writes, looks_on) = (
            connect().await.expect("a connection"),
            connect().await.expect("a connection"),
        );
        writes
            .execute("begin; select gate_id from occupancy for update")
            .await
            .expect("the counters are free");
        Self { writes, looks_on }
    }

    /// Waits until so many wait for a lock.
    async fn is_waited_for_by(&mut self, many: i64, or: impl Fn() -> bool) {
        loop {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
            )
            .fetch_one(&mut self.looks_on)
            .await
            .expect("counted");
            if waiting >= many || or() {
                return;
            }
            yield_now().await;
        }
    }

    async fn end(mut self) {
        self.writes.execute("commit").await.expect("the other node ends");
    }
}

fn scan(world: &Arc<World>, code: TicketCode) -> JoinHandle<Reason> {
    let world = Arc::clone(world);
    tokio::spawn(async move { reasons(&world.record(&[entry(&world.post, code, 0)]).await)[0] })
}

fn close(world: &Arc<World>, place: Place) -> JoinHandle<i64> {
    let world = Arc::clone(world);
    tokio::spawn(async move {
        match place {
            Place::Event => {
                world.change_event(|event| event.capacity = Some(0)).await;
            }
            Place::Gate => {
                world
                    .change_gate(world.main, |gate| gate.capacity = Some(0))
                    .await;
            }
        }
        world.inside().await.2
    })
}

#[derive(Clone, Copy)]
enum Place {
    Event,
    Gate,
}

/// Nobody is let in any more by a scan that waits, and meanwhile that is set. Whoever set it and was answered finds the
/// count that stays.
async fn a_capacity_is_set_while_a_scan_waits(world: &Arc<World>, place: Place, scan_first: bool) {
    let code = world.ticket("{}").await;
    let (_, _, before) = world.inside().await;
    let mut other = Other::write(&world.database).await;
    let (scan, change) = if scan_first {
        let scan = scan(world, code);
        other.is_waited_for_by(1, || false).await;
        let change = close(world, place);
        other.is_waited_for_by(2, || change.is_finished()).await;
        (scan, change)
    } else {
        let change = close(world, place);
        other.is_waited_for_by(1, || change.is_finished()).await;
        let scan = scan(world, code);
        other.is_waited_for_by(2, || scan.is_finished()).await;
        (scan, change)
    };
    other.end().await;
    let (reason, inside_then) = (scan.await.expect("decided"), change.await.expect("changed"));
    let admitted = i64::from(reason == Reason::Admitted);
    let inside = world.inside().await.2;
    assert_eq!(inside, before + admitted, "{reason:?}");
    assert_eq!(inside_then, inside, "{reason:?} after the capacity was set");
}

/// People at a gate that a waiting scan has not seen count as well.
async fn a_gate_is_made_while_a_scan_waits(world: &Arc<World>) {
    let (_, _, before) = world.inside().await;
    let room = before + 1;
    world
        .change_event(|event| event.capacity = u32::try_from(room).ok())
        .await;
    world.change_gate(world.main, |gate| gate.capacity = None).await;
    let (first, second) = (world.ticket("{}").await, world.ticket("{}").await);
    let mut other = Other::write(&world.database).await;
    let made = {
        let world = Arc::clone(world);
        tokio::spawn(async move {
            let gate = put_gate(
                &*world.store,
                world.organization,
                world.event,
                &open_gate("North"),
            )
            .await;
            let post = world.device_at(gate, "north").await;
            reasons(&world.record(&[entry(&post, first, 0)]).await)[0]
        })
    };
    other.is_waited_for_by(1, || made.is_finished()).await;
    let waiting = scan(world, second);
    other.is_waited_for_by(2, || waiting.is_finished()).await;
    other.end().await;
    let mut reasons = [made.await.expect("decided"), waiting.await.expect("decided")];
    reasons.sort_unstable();
    assert_eq!(reasons, [Reason::Admitted, Reason::EventFull]);
    assert_eq!(world.occupancy().await.event.inside, room);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capacity_that_is_set_meanwhile_holds_from_its_answer_on() {
    let database = Arc::new(postgres().await);
    let world = Arc::new(World::new(Arc::clone(&database)).await);
    for scan_first in [true, false] {
        // Where there is no capacity, the counters of the gate are locked; where there is one, the event's.
        for capacity in [None, Some(100)] {
            for place in [Place::Event, Place::Gate] {
                world.change_event(|event| event.capacity = capacity).await;
                world
                    .change_gate(world.main, |gate| gate.capacity = capacity)
                    .await;
                a_capacity_is_set_while_a_scan_waits(&world, place, scan_first).await;
            }
        }
    }
    a_gate_is_made_while_a_scan_waits(&world).await;
    drop(world);
    Arc::into_inner(database).expect("the world is gone").drop().await;
}

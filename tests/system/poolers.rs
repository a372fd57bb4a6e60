//! `PgBouncer` in front of PostgreSQL: transaction pooling needs its flag, and is found without it; session pooling needs
//! nothing.

use std::sync::atomic::AtomicUsize;

use serde_json::json;
use voelgoed_scan_server::config::DatabasePooler;
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::program::Launch;
use voelgoed_scan_suite::services::{
    PgBouncer, PoolMode, Transaction, query_sql, shared_database, shared_redis,
};
use voelgoed_scan_suite::{Client, Cluster, wait_until};

use crate::outages::load::{assert_consistent, import_tickets, run_load};

const TRANSACTION_MODES: [PoolMode; 2] = [
    PoolMode::Transaction { round_robin: false },
    PoolMode::Transaction { round_robin: true },
];

/// A program with a secret.
fn server(database_url: &str) -> Launch {
    Launch::new(database_url).variable("VOELGOED_SCAN_SECRET_KEY", &"5e".repeat(32))
}

#[tokio::test]
async fn a_pool_of_transactions_is_refused_without_its_flag_and_the_message_says_what_to_do() {
    let database = shared_database();
    for mode in TRANSACTION_MODES {
        for pool_size in [1, 20] {
            let pooler = PgBouncer::start(mode, pool_size).await;
            let launch = server(&pooler.url_of(&database));
            for launch in [launch.clone(), launch.clone().with(["--migrate-only"])] {
                let message = launch.fail();
                for part in ["--database-pooler transaction", "pool_mode = session"] {
                    assert!(message.contains(part), "{mode:?} {pool_size}: {message}");
                }
            }
        }
    }
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    assert_eq!(query_sql(&database, tables), "0", "nothing was migrated");
    // The pool that was refused works with the flag.
    let pooler = PgBouncer::start(TRANSACTION_MODES[1], 20).await;
    let launch = server(&pooler.url_of(&database)).with(["--database-pooler", "transaction"]);
    let program = launch.start().await;
    Client::new(program.address()).get("/readyz").await.expect(200);
}

#[test]
fn the_flag_is_refused_where_it_cannot_hold() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = format!("sqlite://{}", directory.path().join("gate.db").display());
    let options = format!("{}?options=-c%20work_mem%3D8MB", shared_database());
    for (url, part) in [
        (file, "is for PostgreSQL"),
        (options, "remove options= from the URL"),
    ] {
        let message = server(&url).with(["--database-pooler", "transaction"]).fail();
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_admit_each_ticket_once_through_a_pool_of_few_sessions() {
    for mode in TRANSACTION_MODES {
        let pooler = PgBouncer::start(mode, 3).await;
        let database = shared_database();
        let url = pooler.url_of(&database);
        let cluster = Cluster::start_behind(DatabasePooler::Transaction, 2, url, Some(shared_redis())).await;
        let tenant = cluster.tenant("Pooled").await;
        let tickets = import_tickets(&tenant, 200).await;
        let devices = [0, 1].map(|node| cluster.client_at(node, &tenant.device));
        let result = run_load(&devices, &tickets, &AtomicUsize::new(0)).await;
        assert_consistent(&tenant.owner, &tenant.event, &result, &tickets, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_session_remains_in_a_pool_of_transactions() {
    // One session, so that the questions below meet the one that the server uses.
    let pooler = PgBouncer::start(PoolMode::Transaction { round_robin: false }, 1).await;
    let url = pooler.url_of(&shared_database());
    let cluster = Cluster::start_behind(DatabasePooler::Transaction, 1, url.clone(), None).await;
    Client::new(cluster.address(0)).get("/readyz").await.expect(200);
    let tenant = cluster.tenant("Stateless").await;
    for ticket in [1, 1, 2] {
        let body = json!({ "qr": tenant.qr(ticket).await, "scan_id": new_id() });
        tenant.device.scan(&body).await.expect(200);
    }
    for path in [
        "/api/v1/events",
        "/api/v1/scanning/devices",
        "/api/v1/scanning/signals",
    ] {
        tenant.owner.get(path).await.expect(200);
    }
    let state = "select (select count(*) from pg_prepared_statements)
        || ' ' || (select count(*) from pg_listening_channels())
        || ' ' || (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())
        || ' ' || (select count(*) from pg_settings where source = 'session' and name like '%timeout')";
    assert_eq!(query_sql(&url, state), "0 0 0 0");
}

#[tokio::test]
async fn the_limits_of_a_session_hold_in_a_pool_of_transactions() {
    let database = shared_database();
    let pooler = PgBouncer::start(TRANSACTION_MODES[0], 20).await;
    let url = pooler.url_of(&database);
    let cluster = Cluster::start_behind(DatabasePooler::Transaction, 1, url, None).await;
    let tenant = cluster.tenant("Limited").await;
    let obstacle = Transaction::begin(&database, "lock table devices in access exclusive mode");
    let path = "/api/v1/scanning/devices";
    let body = json!({ "device_id": "late", "name": "Late" });
    let (read, written) = tokio::join!(tenant.owner.get(path), tenant.owner.post(path, &body));
    assert_eq!([read.status, written.status], [503, 503], "{read:?} {written:?}");
    // Background tasks begin new queries meanwhile. Those that wait now end, although the lock is still held.
    let waiting = "pid || ' ' || query_start from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    let mut first = String::new();
    wait_until("queries wait for the lock", || {
        first = query_sql(&database, &format!("select {waiting}"));
        std::future::ready(!first.is_empty())
    })
    .await;
    wait_until("these queries wait no longer", || {
        let now = query_sql(&database, &format!("select {waiting}"));
        std::future::ready(!first.lines().any(|query| now.lines().any(|other| other == query)))
    })
    .await;
    obstacle.commit();
    wait_until("devices are read again", || async {
        tenant.owner.get(path).await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_sessions_needs_no_flag_and_carries_the_messages_between_nodes() {
    let pooler = PgBouncer::start(PoolMode::Session, 100).await;
    let url = pooler.url_of(&shared_database());
    let cluster = Cluster::start(2, url, None).await;
    for node in 0..2 {
        wait_until("the bus is up", || async {
            cluster.node(node).scanner().bus_is_up() == Some(true)
        })
        .await;
    }
    let tenant = cluster.tenant("Sessions").await;
    let tickets = import_tickets(&tenant, 100).await;
    let devices = [0, 1].map(|node| cluster.client_at(node, &tenant.device));
    let result = run_load(&devices, &tickets, &AtomicUsize::new(0)).await;
    assert_consistent(&tenant.owner, &tenant.event, &result, &tickets, 1).await;
}

#[tokio::test]
async fn a_pool_of_one_session_is_refused_with_the_number_that_a_node_needs() {
    let pooler = PgBouncer::start(PoolMode::Session, 1).await;
    let message = server(&pooler.url_of(&shared_database())).fail();
    assert!(message.contains("a pool of 28 sessions"), "{message}");
}

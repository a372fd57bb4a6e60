//! A node is killed, or its log blocks.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use voelgoed_scan_suite::cluster::ServerProcess;
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::services::{free_port, shared_database};
use voelgoed_scan_suite::wait::CONDITION_TIMEOUT;
use voelgoed_scan_suite::{Client, Cluster};

use super::load::{CALLERS, assert_consistent, import_tickets, run_load, wait_for_scans};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_on_sqlite_keeps_every_acknowledged_admission() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("gate.db");
    kill_nodes_under_load(format!("sqlite://{}", file.display()), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_on_postgresql_keeps_every_acknowledged_admission() {
    kill_nodes_under_load(shared_database(), 2).await;
}

async fn kill_nodes_under_load(database: String, nodes: usize) {
    let mut cluster = Cluster::start(1, database, None).await;
    let tenant = cluster.tenant("Killed").await;
    let tickets = import_tickets(&tenant, 200).await;
    cluster.stop().await;
    let ports: Vec<u16> = (0..nodes).map(|_| free_port()).collect();
    let mut servers: Vec<ServerProcess> = Vec::new();
    for port in &ports {
        servers.push(cluster.spawn_server(*port).await);
    }
    let devices: Vec<Client> = servers.iter().map(|one| tenant.device.at(one.address)).collect();
    let started_scans = AtomicUsize::new(0);
    let faults_done = AtomicBool::new(false);
    let faults = async {
        for scans in [60, 160, 260] {
            wait_for_scans(&started_scans, scans).await;
            let port = ports[0];
            servers[0].kill();
            servers[0] = cluster.spawn_server(port).await;
        }
        faults_done.store(true, Ordering::Relaxed);
    };
    let (result, ()) = tokio::join!(run_load(&devices, &tickets, &started_scans), faults);
    assert!(faults_done.load(Ordering::Relaxed));
    assert!(result.unanswered > 0, "a node was unavailable");
    let owner = tenant.owner.at(servers[0].address);
    assert_consistent(&owner, &tenant.event, &result, &tickets, 1).await;
}

/// A log collector that hangs must not block the server: it drops log lines and counts them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_a_reader_blocks_no_request() {
    const REQUESTS: usize = 12_000;
    let mut cluster = Cluster::start(1, shared_database(), None).await;
    let tenant = cluster.tenant("Unread").await;
    let scan = json!({ "qr": tenant.qr(1).await, "scan_id": new_id() });
    cluster.stop().await;
    let mut server = cluster.spawn_server_with_unread_log(free_port()).await;
    let anonymous = Client::new(server.address);
    // More lines than the pipe and the log's own queue can hold.
    let requests = (0..CALLERS).map(|_| async {
        for _ in 0..REQUESTS / CALLERS {
            anonymous.get("/healthz").await.expect(200);
        }
    });
    let requests = futures_util::future::join_all(requests);
    tokio::time::timeout(CONDITION_TIMEOUT, requests)
        .await
        .expect("every request is answered");
    let answer = tenant.device.at(server.address).scan(&scan).await;
    assert_eq!(answer.expect(200).json()["result"], "valid");

    let metrics = anonymous.get("/metrics").await.expect(200);
    let dropped = metrics.text().lines().find_map(|line| {
        let number = line.strip_prefix("voelgoed_scan_log_lines_dropped_total ")?;
        number.parse::<usize>().ok()
    });
    let dropped = dropped.expect("the metric");
    assert!((1..REQUESTS).contains(&dropped), "{dropped}");
    assert!(server.terminate().await, "exit status 0");
}

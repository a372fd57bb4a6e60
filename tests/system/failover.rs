//! The primary of PostgreSQL dies under load, and its synchronous standby takes over behind `HAProxy`.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::services::{execute_sql, free_port, query_sql, shared_redis, signal};
use voelgoed_scan_suite::wait::report_duration;
use voelgoed_scan_suite::{Client, Cluster, Postgres, wait_until};

use crate::outages::load::{assert_consistent, import_tickets, run_load, wait_for_scans};

/// The addresses in the configuration of `deploy/`.
const SERVERS: [&str; 2] = ["pg-a:5432", "pg-b:5432"];

/// The `HAProxy` of `deploy/` in front of two servers. It ends when this value is dropped.
struct HaProxy {
    process: Child,
    port: u16,
    _directory: TempDir,
}

impl HaProxy {
    fn start(servers: [&Postgres; 2]) -> Self {
        let port = free_port();
        let mut text = include_str!("../../deploy/haproxy-postgres.cfg").to_owned();
        for (name, server) in SERVERS.iter().zip(servers) {
            assert!(text.contains(name), "{text}");
            text = text.replace(name, &format!("127.0.0.1:{}", server.port()));
        }
        let text = text.replace("bind *:5432", &format!("bind 127.0.0.1:{port}"));
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("haproxy.cfg");
        std::fs::write(&path, text).expect("written");
        let process = Command::new("/usr/sbin/haproxy")
            .args(["-db", "-f"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("HAProxy starts: scripts/services installs it");
        Self {
            process,
            port,
            _directory: directory,
        }
    }

    fn url_of(&self, database_url: &str) -> String {
        let (_, name) = database_url.rsplit_once('/').expect("the URL of a database");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        signal(self.process.id(), "TERM");
        let _ = self.process.wait();
    }
}

async fn wait_for_readiness(client: &Client, status: u16) {
    wait_until(&format!("/readyz is {status}"), || async {
        client.get("/readyz").await.status == status
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_takes_over_has_every_acknowledged_admission() {
    let mut primary = Postgres::start().await;
    execute_sql(&primary.url("postgres"), "create role haproxy_check login");
    let database = primary.create_database();
    let standby = primary.start_synchronous_standby().await;
    let proxy = HaProxy::start([&primary, &standby]);
    let url = proxy.url_of(&database);
    // Until its first checks HAProxy uses both servers in turn.
    wait_until("HAProxy leads to the primary alone", || {
        std::future::ready((0..4).all(|_| primary_answers(&url)))
    })
    .await;
    let cluster = Cluster::start(2, url.clone(), Some(shared_redis())).await;
    let tenant = cluster.tenant("Failover").await;
    let tickets = import_tickets(&tenant, 300).await;
    let devices = [0, 1].map(|node| cluster.client_at(node, &tenant.device));
    let started_scans = AtomicUsize::new(0);
    let anonymous = Client::new(cluster.address(0));
    let failure = async {
        wait_for_scans(&started_scans, 200).await;
        primary.kill();
        let killed = Instant::now();
        wait_for_readiness(&anonymous, 503).await;
        standby.promote();
        wait_for_readiness(&anonymous, 200).await;
        report_duration(
            "from the death of the primary until scans are recorded",
            killed.elapsed(),
        );
    };
    let (result, ()) = tokio::join!(run_load(&devices, &tickets, &started_scans), failure);
    assert!(result.unanswered > 0, "the failure met scans");
    report_duration("the longest request", result.slowest);
    assert_eq!(query_sql(&url, "select pg_is_in_recovery()"), "f");
    assert_consistent(&tenant.owner, &tenant.event, &result, &tickets, 1).await;
}

/// Whether the proxy leads to a server that accepts writes.
fn primary_answers(url: &str) -> bool {
    let psql = voelgoed_scan_suite::services::postgres_program("psql");
    let output = Command::new(psql)
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--dbname", url])
        .args(["--command", "show transaction_read_only"])
        .output()
        .expect("psql runs");
    output.stdout.trim_ascii() == b"off"
}

/// A scan, an undo and a write of the administration are 503; lists are read.
async fn assert_read_only(tenant: &Tenant, qr: &str) {
    let scan = json!({ "qr": qr, "scan_id": new_id() });
    let refused = tenant.device.scan(&scan).await;
    let refused = refused.expect_problem(503, "storage_unavailable");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let body = json!({ "name": "late", "role": "viewer" });
    let refused = tenant.owner.post("/api/v1/api-keys", &body).await;
    refused.expect_problem(503, "storage_unavailable");
    wait_until("lists are read", || async {
        tenant.owner.get("/api/v1/events").await.status == 200
    })
    .await;
}

async fn assert_admits(tenant: &Tenant, qr: &str) {
    let scan = json!({ "qr": qr, "scan_id": new_id() });
    let answer = tenant.device.scan(&scan).await.expect(200).json();
    assert_eq!(answer["reason"], "admitted", "{answer}");
    let body = json!({ "name": "late", "role": "viewer" });
    wait_until("the administration writes", || async {
        tenant.owner.post("/api/v1/api-keys", &body).await.status == 201
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_on_a_standby_is_not_ready_until_it_is_promoted() {
    let primary = Postgres::start().await;
    let database = primary.create_database();
    let mut cluster = Cluster::start(1, database.clone(), None).await;
    let tenant = cluster.tenant("Standby").await;
    let qr = tenant.qr(1).await;
    let standby = primary.start_synchronous_standby().await;
    cluster.stop().await;
    let (_, name) = database.rsplit_once('/').expect("the URL of a database");
    cluster.config.database_url = standby.url(name);
    cluster.nodes.clear();
    cluster.add_node(0).await;
    let tenant = tenant.at(cluster.address(0));
    let anonymous = Client::new(cluster.address(0));
    anonymous.get("/readyz").await.expect(503);
    assert_read_only(&tenant, &qr).await;
    drop(primary);
    standby.promote();
    wait_for_readiness(&anonymous, 200).await;
    assert_admits(&tenant, &qr).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_turns_read_only_makes_scans_503_until_it_takes_writes_again() {
    let postgres = Postgres::start().await;
    let database = postgres.create_database();
    let cluster = Cluster::start(1, database.clone(), None).await;
    let tenant = cluster.tenant("Read-only").await;
    let qr = tenant.qr(1).await;
    let anonymous = Client::new(cluster.address(0));
    let (_, name) = database.rsplit_once('/').expect("the URL of a database");
    // A session keeps the mode that it began with.
    let end_sessions = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()";
    let read_only = "default_transaction_read_only";
    let administration = postgres.url("postgres");
    execute_sql(
        &administration,
        &format!("alter database {name} set {read_only} = on"),
    );
    execute_sql(&database, end_sessions);
    wait_for_readiness(&anonymous, 503).await;
    assert_read_only(&tenant, &qr).await;
    execute_sql(
        &administration,
        &format!("alter database {name} reset {read_only}"),
    );
    wait_for_readiness(&anonymous, 200).await;
    assert_admits(&tenant, &qr).await;
}

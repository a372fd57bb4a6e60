//! A node that Redis does not reach: its changes apply at the other nodes all the same, though Redis holds older tickets.

use serde_json::{Value, json};
use voelgoed_scan_suite::fixture::Tenant;
use voelgoed_scan_suite::services::{Redis, shared_database};
use voelgoed_scan_suite::wait::report_duration;
use voelgoed_scan_suite::{Client, Cluster, wait_until};

use super::{UNREACHABLE_REDIS, scan, wait_for_bus, wait_for_reason};

/// Two nodes that share the ticket cache in Redis.
async fn two_nodes_with_redis() -> (Cluster, Tenant, Redis) {
    let redis = Redis::start().await;
    let cluster = Cluster::start(2, shared_database(), Some(redis.url())).await;
    for node in 0..2 {
        wait_for_bus(&cluster, node).await;
    }
    let tenant = cluster.tenant("Cut off").await;
    (cluster, tenant, redis)
}

/// Adds a node that Redis does not reach.
async fn add_a_node_that_is_cut_off(cluster: &mut Cluster) {
    cluster.config.redis_url = Some(UNREACHABLE_REDIS.to_owned());
    cluster.add_node(0).await;
}

/// Two nodes that share the ticket cache in Redis, and a third one without it.
async fn with_a_node_that_is_cut_off() -> (Cluster, Tenant, Redis) {
    let (mut cluster, tenant, redis) = two_nodes_with_redis().await;
    add_a_node_that_is_cut_off(&mut cluster).await;
    (cluster, tenant, redis)
}

/// Scans without an id.
async fn scan_without_id(device: &Client, qr: &str) -> Value {
    device.scan(&json!({ "qr": qr })).await.expect(200).json()
}

/// Waits until both nodes that reach Redis deny a ticket from their memory. Redis holds it, too.
async fn cache_everywhere(cluster: &Cluster, tenant: &Tenant, qr: &str) {
    for node in [0, 1] {
        let device = cluster.client_at(node, &tenant.device);
        wait_until("the memory denies the ticket", || async {
            scan_without_id(&device, qr).await["decided_by"] == "memory"
        })
        .await;
    }
}

async fn wait_until_admitted(device: &Client, qr: &str) {
    let duration = wait_until("the undo applies", || async {
        scan_without_id(device, qr).await["reason"] == "admitted"
    })
    .await;
    report_duration("an undo by a cut-off node", duration);
}

#[tokio::test]
async fn an_undo_at_a_node_that_is_cut_off_applies_at_the_others() {
    let (cluster, tenant, _redis) = with_a_node_that_is_cut_off().await;
    let cut_off = cluster.client_at(2, &tenant.owner);
    for ticket in 1..=4 {
        let qr = tenant.qr(ticket).await;
        let admitted = scan(&tenant.device, &qr).await;
        assert_eq!(admitted["reason"], "admitted");
        let scan_id = admitted["scan_id"].as_str().expect("an id");
        let undo = format!("/api/v1/scanning/scans/{scan_id}/undo");
        let reason = json!({ "reason": "a mistake" });
        cut_off.post(&undo, &reason).await.expect(200);
        let other_node = cluster.client_at(ticket % 2, &tenant.device);
        wait_for_reason("an undo by a cut-off node", &other_node, &qr, "admitted").await;
    }
}

#[tokio::test]
async fn a_status_and_an_import_at_a_node_that_is_cut_off_apply_at_the_others() {
    let (cluster, tenant, _redis) = with_a_node_that_is_cut_off().await;
    let cut_off = cluster.client_at(2, &tenant.owner);
    let (event, code) = (&tenant.event, &tenant.codes[1]);
    let qr = tenant.qr(1).await;
    assert_eq!(scan(&tenant.device, &qr).await["reason"], "admitted");
    let other_node = cluster.client_at(1, &tenant.device);
    let ticket = format!("/api/v1/events/{event}/tickets/{code}");
    for (status, reason) in [("voided", "ticket_voided"), ("active", "already_scanned")] {
        let body = json!({ "status": status });
        cut_off.call_with("PATCH", &ticket, &body).await.expect(200);
        wait_for_reason("a status by a cut-off node", &other_node, &qr, reason).await;
    }
    let line = json!({ "code": code, "entry_limit": 2 });
    cut_off.import(event, format!("{line}\n")).await.expect(200);
    wait_for_reason("an import by a cut-off node", &other_node, &qr, "admitted").await;
}

#[tokio::test]
async fn what_redis_holds_from_before_a_change_never_comes_back() {
    let (mut cluster, tenant, redis) = two_nodes_with_redis().await;
    let (qr, other_qr) = (tenant.qr(1).await, tenant.qr(0).await);
    let admitted = scan(&tenant.device, &qr).await;
    // While a node is cut off, no cache answers a new scan.
    cache_everywhere(&cluster, &tenant, &qr).await;
    add_a_node_that_is_cut_off(&mut cluster).await;
    let cut_off = cluster.client_at(2, &tenant.owner);
    let key = format!("voelgoed-scan:*{}*", tenant.codes[1]);
    let key = redis.execute(&["keys", &key]).trim().to_owned();
    let before = redis.execute(&["get", &key]).trim().to_owned();
    assert!(!before.is_empty(), "Redis holds the ticket: {key}");
    let scan_id = admitted["scan_id"].as_str().expect("an id");
    let undo = format!("/api/v1/scanning/scans/{scan_id}/undo");
    let reason = json!({ "reason": "a mistake" });
    cut_off.post(&undo, &reason).await.expect(200);
    wait_until_admitted(&tenant.device, &qr).await;
    // Another undo, and Redis gets back what it held before the first one.
    let path = format!("/api/v1/scanning/scans?event_id={}&result=valid", tenant.event);
    let page = tenant.owner.get(&path).await.expect(200).json();
    let last = page["data"][0]["scan_id"].clone();
    let undo = format!("/api/v1/scanning/scans/{}/undo", last.as_str().expect("an id"));
    cut_off.post(&undo, &reason).await.expect(200);
    redis.execute(&["set", &key, &before]);
    // The node goes, and the caches of the others answer again.
    let cut_off = cluster.nodes.pop().flatten().expect("it runs");
    cut_off.stop().await;
    cache_everywhere(&cluster, &tenant, &other_qr).await;
    wait_until_admitted(&cluster.client_at(1, &tenant.device), &qr).await;
}

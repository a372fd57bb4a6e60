//! Signals of several nodes on one database, and what webhooks are told.

use serde_json::{Value, json};
use voelgoed_scan_core::model::{AuditContext, OrganizationId};
use voelgoed_scan_core::store::{PageRequest, PutOutcome};
use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::fixture::Tenant;
use voelgoed_scan_suite::services::shared_database;
use voelgoed_scan_suite::{Cluster, wait_until};

use super::{Gate, change, ended, opened, scan_times, signals};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_signal_opens_whichever_nodes_take_the_scans_and_each_stream_gets_it() {
    let cluster = Cluster::start(2, shared_database(), None).await;
    let tenant = cluster.tenant("Two nodes").await;
    let mut streams = Vec::new();
    for node in 0..2 {
        let owner = cluster.client_at(node, &tenant.owner);
        streams.push(EventStream::open(&owner, &tenant.event).await);
    }
    let qr = tenant.qr(0).await;
    for _ in 0..8 {
        for node in 0..2 {
            scan_times(&cluster.client_at(node, &tenant.device), &qr, 1).await;
        }
    }
    let signal = opened(&tenant.owner, "duplicate_spam").await;
    for stream in &mut streams {
        let sent = stream.next_named("signal").await.data;
        assert_eq!(sent["id"], signal["id"]);
    }
    let other = cluster.client_at(1, &tenant.owner);
    assert_eq!(signals(&other, "?kind=duplicate_spam").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_goes_on_where_one_stopped() {
    let mut cluster = Cluster::start(1, shared_database(), None).await;
    let tenant = cluster.tenant("Taken over").await;
    change(&tenant.owner, json!({ "high_velocity": { "within_s": 3600 } })).await;
    // 1 scan of the fixture, 40 here, 20 at the next node.
    scan_times(&tenant.device, "x", 40).await;
    wait_for_marker(&tenant, 5000).await;
    assert_eq!(
        signals(&tenant.owner, "?kind=high_velocity").await,
        [Value::Null; 0]
    );
    cluster.add_node(0).await;
    cluster.nodes[0].take().expect("a node").stop().await;
    let owner = cluster.client_at(1, &tenant.owner);
    scan_times(&cluster.client_at(1, &tenant.device), "x", 20).await;
    let signal = opened(&owner, "high_velocity").await;
    assert_eq!(signal["details"]["scans"], 61);
}

/// Waits until all before was looked at.
async fn wait_for_marker(tenant: &Tenant, waiting: u32) {
    let report = json!({ "waiting": waiting });
    tenant
        .device
        .put("/api/v1/scanning/device", &report)
        .await
        .expect(200);
    wait_until("the marker has a signal", || async {
        !super::open_signals(&tenant.owner, "sync_waiting")
            .await
            .is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_told_as_a_signal_opens_and_ends() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    let organization = organization(tenant).await;
    let create = json!({
        "url": "https://example.org/hook", "types": ["device.*", "occupancy.threshold", "fraud.signal"],
    });
    let create = serde_json::from_value(create).expect("a webhook");
    let created = gate
        .fixture
        .server
        .admin()
        .create_webhook(organization, &create, &AuditContext::cli(), gate.now())
        .await
        .expect("the webhook is created");
    let PutOutcome::Created((webhook, _)) = created else {
        panic!("{created:?}")
    };
    let told = async || {
        let all = PageRequest {
            limit: 500,
            after: None,
        };
        let store = gate.fixture.server.scanner().store();
        let page = store
            .webhook_deliveries(organization, webhook.id, None, &all)
            .await
            .expect("the deliveries are read");
        let mut types: Vec<&str> = page.data.iter().map(|delivery| delivery.kind.as_str()).collect();
        types.sort_unstable();
        types
    };
    scan_times(&tenant.device, &tenant.qr(0).await, 6).await;
    opened(&tenant.owner, "duplicate_spam").await;
    assert_eq!(told().await, ["fraud.signal"]);
    gate.advance(600);
    ended(&tenant.owner, "duplicate_spam").await;
    opened(&tenant.owner, "device_silent").await;
    assert_eq!(told().await, ["device.silent", "fraud.signal", "fraud.signal"]);
    tenant.device.get("/api/v1/scanning/device").await.expect(200);
    ended(&tenant.owner, "device_silent").await;
    let path = format!("/api/v1/events/{}", tenant.event);
    let body = json!({ "name": "Show", "status": "live", "capacity": 1 });
    tenant.owner.put(&path, &body).await.expect(200);
    opened(&tenant.owner, "occupancy_100").await;
    assert_eq!(
        told().await,
        [
            "device.back",
            "device.silent",
            "fraud.signal",
            "fraud.signal",
            "occupancy.threshold",
            "occupancy.threshold"
        ]
    );
}

async fn organization(tenant: &Tenant) -> OrganizationId {
    let path = format!("/api/v1/scanning/devices/{}", tenant.device_id);
    let device = tenant.owner.get(&path).await.expect(200).json();
    let id = device["organization_id"].as_str().expect("an id");
    id.parse().expect("an id")
}

//! Changes by operators at one node apply at the other node, over every channel and after a crash.

use std::time::Duration;

use serde_json::json;
use voelgoed_scan_core::audit::{Audit, AuditSigner};
use voelgoed_scan_core::model::{AuditContext, SettableStatus, Timestamp};
use voelgoed_scan_core::store::open;
use voelgoed_scan_core::token::MasterSecret;
use voelgoed_scan_suite::fixture::Tenant;
use voelgoed_scan_suite::services::free_port;
use voelgoed_scan_suite::wait::report_duration;
use voelgoed_scan_suite::{Client, Cluster, wait_until};

use super::{Channel, denied_by, scan, two_nodes, wait_for_401, wait_for_reason};

const OWN_DEVICE: &str = "/api/v1/scanning/device";

/// Within which time a change is effective at every node (`docs/operations.md`), and how much longer a busy machine may take.
const EFFECTIVE_WITHIN: Duration = Duration::from_secs(1);
const MARGIN: Duration = Duration::from_secs(9);

#[tokio::test]
async fn changes_apply_at_the_other_node_over_redis() {
    changes_apply_at_the_other_node(Channel::Redis).await;
}

#[tokio::test]
async fn changes_apply_at_the_other_node_over_postgresql() {
    changes_apply_at_the_other_node(Channel::Postgres).await;
}

#[tokio::test]
async fn changes_apply_at_the_other_node_without_a_bus() {
    changes_apply_at_the_other_node(Channel::Counters).await;
}

#[tokio::test]
async fn changes_apply_at_the_other_node_behind_a_pooler() {
    changes_apply_at_the_other_node(Channel::RedisAndPooler).await;
}

#[tokio::test]
async fn changes_apply_at_the_other_node_behind_a_pooler_without_a_bus() {
    changes_apply_at_the_other_node(Channel::PoolerAlone).await;
}

async fn changes_apply_at_the_other_node(channel: Channel) {
    let (cluster, tenant) = two_nodes(channel).await;
    let (owner, event) = (&tenant.owner, format!("/api/v1/events/{}", tenant.event));
    let other_node = cluster.client_at(1, &tenant.device);

    // The other node caches the ticket in memory. The undo must invalidate the entry.
    let qr = tenant.qr(1).await;
    let admitted = scan(&tenant.device, &qr).await;
    assert_eq!(admitted["reason"], "admitted");
    assert_eq!(scan(&other_node, &qr).await["result"], "duplicate");
    let scan_id = admitted["scan_id"].as_str().expect("an id");
    let undo = format!("/api/v1/scanning/scans/{scan_id}/undo");
    owner
        .post(&undo, &json!({ "reason": "a mistake" }))
        .await
        .expect(200);
    wait_for_reason("an undo", &other_node, &qr, "admitted").await;

    let code = tenant.codes.get(1).expect("a ticket");
    let ticket = format!("{event}/tickets/{code}");
    owner
        .call_with("PATCH", &ticket, &json!({ "status": "voided" }))
        .await
        .expect(200);
    wait_for_reason("a voided ticket", &other_node, &qr, "ticket_voided").await;
    owner
        .call_with("PATCH", &ticket, &json!({ "status": "active" }))
        .await
        .expect(200);
    wait_for_reason("a reactivated ticket", &other_node, &qr, "already_scanned").await;

    let closed = json!({ "name": "Main", "status": "closed" });
    let gate = format!("{event}/gates/{}", tenant.gate);
    owner.put(&gate, &closed).await.expect(200);
    wait_for_reason("a closed gate", &other_node, &qr, "gate_closed").await;
    owner
        .put(&event, &json!({ "name": "Show", "status": "ended" }))
        .await
        .expect(200);
    wait_for_reason("an ended event", &other_node, &qr, "event_not_live").await;
    let long_ago = "2020-01-01T00:00:00Z";
    for (fields, reason) in [
        (json!({ "status": "cancelled" }), "event_cancelled"),
        (json!({ "status": "postponed" }), "event_postponed"),
        (
            json!({ "status": "postponed", "rescheduled_at": long_ago }),
            "gate_closed",
        ),
        (
            json!({ "status": "live", "doors_close_at": long_ago }),
            "doors_closed",
        ),
        (
            json!({ "status": "live", "doors_open_at": "9999-01-01T00:00:00Z" }),
            "doors_not_open",
        ),
        (json!({ "status": "live" }), "gate_closed"),
    ] {
        let mut body = fields.clone();
        body["name"] = json!("Show");
        owner.put(&event, &body).await.expect(200);
        wait_for_reason(&fields.to_string(), &other_node, &qr, reason).await;
    }

    let kid = json!({ "kid": "2", "format": "vg1" });
    owner.post("/api/v1/signing-keys", &kid).await.expect(201);
    let revoked = json!({ "status": "revoked" });
    owner
        .call_with("PATCH", "/api/v1/signing-keys/vg1/1", &revoked)
        .await
        .expect(200);
    wait_for_reason("a revoked signing key", &other_node, &qr, "key_revoked").await;

    scope_narrows_at_the_other_node(&tenant, &other_node).await;
    credentials_end_at_the_other_node(&cluster, &tenant, &other_node).await;
}

async fn scope_narrows_at_the_other_node(tenant: &Tenant, other_node: &Client) {
    let device = format!("/api/v1/scanning/devices/{}", tenant.device_id);
    let event = format!("/api/v1/events/{}", tenant.event);
    other_node.get(&event).await.expect(200);
    let scan = json!({ "qr": tenant.qr(1).await });
    other_node.scan(&scan).await.expect(200);
    for (what, scope, status) in [
        ("a narrower scope", json!({ "event_ids": [] }), 403),
        ("a wider scope", json!({}), 200),
    ] {
        let patch = json!({ "scope": scope });
        tenant.owner.call_with("PATCH", &device, &patch).await.expect(200);
        let duration = wait_until(what, || async {
            let shown = other_node.get(&event).await.status;
            shown == status && other_node.scan(&scan).await.status == status
        })
        .await;
        report_duration(what, duration);
        assert!(duration <= EFFECTIVE_WITHIN + MARGIN, "{what} after {duration:?}");
        // From then on every call at either node agrees.
        let single = [
            event.clone(),
            format!("{event}/gates/{}", tenant.gate),
            format!("/api/v1/scanning/events/{}/occupancy", tenant.event),
            format!("/api/v1/scanning/events/{}/manifest", tenant.event),
        ];
        for _ in 0..5 {
            for node in [&tenant.device, other_node] {
                for path in &single {
                    assert_eq!(node.get(path).await.status, status, "{what}: {path}");
                }
                assert_eq!(node.scan(&scan).await.status, status, "{what}");
                let listed = node.get("/api/v1/events").await.expect(200).json();
                let expected = usize::from(status == 200);
                assert_eq!(listed["data"].as_array().map(Vec::len), Some(expected), "{what}");
            }
        }
    }
}

async fn credentials_end_at_the_other_node(cluster: &Cluster, tenant: &Tenant, other_node: &Client) {
    let owner = &tenant.owner;
    let device = format!("/api/v1/scanning/devices/{}", tenant.device_id);
    let rotated = owner
        .post(&format!("{device}/token"), &json!({}))
        .await
        .expect(200)
        .json();
    wait_for_401("a rotated token", other_node, OWN_DEVICE).await;
    let other_node = other_node.with_token(rotated["token"].as_str().expect("a token"));
    other_node.get(OWN_DEVICE).await.expect(200);
    owner.call("DELETE", &device).await.expect(204);
    wait_for_401("a revoked device", &other_node, OWN_DEVICE).await;

    let viewer = cluster.client_at(1, &tenant.member("viewer").await);
    viewer.get("/api/v1/events").await.expect(200);
    let keys = owner.get("/api/v1/api-keys").await.expect(200).json();
    let key = keys["data"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|key| key["name"] == "viewer");
    let id = key.expect("the viewer's key")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    owner
        .call("DELETE", &format!("/api/v1/api-keys/{id}"))
        .await
        .expect(204);
    wait_for_401("a deleted API key", &viewer, "/api/v1/events").await;
}

/// A node may crash after a change is durable and answered, and before it has published the change.
#[tokio::test]
async fn a_change_by_a_node_that_is_killed_right_after_it_applies_at_the_other_node() {
    for channel in [Channel::Redis, Channel::Postgres] {
        let (cluster, tenant) = two_nodes(channel).await;
        let other_node = cluster.client_at(1, &tenant.device);
        for ticket in 1..=3 {
            let qr = tenant.qr(ticket).await;
            let admitted = scan(&tenant.device, &qr).await;
            assert_eq!(scan(&other_node, &qr).await["result"], "duplicate");
            let mut server = cluster.spawn_server(free_port()).await;
            let scan_id = admitted["scan_id"].as_str().expect("an id");
            let undo = format!("/api/v1/scanning/scans/{scan_id}/undo");
            let owner = tenant.owner.at(server.address);
            owner
                .post(&undo, &json!({ "reason": "a mistake" }))
                .await
                .expect(200);
            server.kill();
            wait_for_reason("an undo by a killed node", &other_node, &qr, "admitted").await;
        }
        let (device, id) = tenant.new_device("gate-2", &json!({})).await;
        let device = cluster.client_at(1, &device);
        device.get(OWN_DEVICE).await.expect(200);
        let mut server = cluster.spawn_server(free_port()).await;
        let owner = tenant.owner.at(server.address);
        owner
            .call("DELETE", &format!("/api/v1/scanning/devices/{id}"))
            .await
            .expect(204);
        server.kill();
        wait_for_401("a device revoked by a killed node", &device, OWN_DEVICE).await;
    }
}

/// Voids a ticket in the database only, like a node that crashes before it publishes the change or answers.
async fn void_without_publishing(cluster: &Cluster, tenant: &Tenant, code: &str) {
    let store = open(&cluster.config.database_url, false)
        .await
        .expect("the database");
    let (event, code) = (tenant.event.parse(), code.parse());
    let (event, code) = (event.expect("an id"), code.expect("a code"));
    let now = Timestamp::from_millis(1_790_000_000_000);
    let (context, master) = (AuditContext::cli(), MasterSecret::generate());
    let audit = Audit {
        context: &context,
        at: now,
        signer: AuditSigner::new(&master),
    };
    for organization in store.organizations().await.expect("read") {
        store
            .set_ticket_status(organization, event, code, SettableStatus::Voided, now, audit)
            .await
            .expect("written");
    }
}

#[tokio::test]
async fn a_change_that_was_not_published_applies_at_every_node() {
    let (cluster, tenant) = two_nodes(Channel::Postgres).await;
    let qr = tenant.qr(1).await;
    assert_eq!(scan(&tenant.device, &qr).await["reason"], "admitted");
    denied_by(&tenant.device, &qr, "memory").await;
    void_without_publishing(&cluster, &tenant, &tenant.codes[1]).await;
    wait_for_reason("an unpublished change", &tenant.device, &qr, "ticket_voided").await;
}

#[tokio::test]
async fn a_change_that_is_repeated_after_a_lost_response_applies_at_every_node() {
    let (cluster, tenant) = two_nodes(Channel::Redis).await;
    let other_node = cluster.client_at(1, &tenant.device);
    let qr = tenant.qr(1).await;
    assert_eq!(scan(&tenant.device, &qr).await["reason"], "admitted");
    assert_eq!(scan(&other_node, &qr).await["reason"], "already_scanned");
    void_without_publishing(&cluster, &tenant, &tenant.codes[1]).await;
    let ticket = format!("/api/v1/events/{}/tickets/{}", tenant.event, tenant.codes[1]);
    tenant
        .owner
        .call_with("PATCH", &ticket, &json!({ "status": "voided" }))
        .await
        .expect(200);
    assert_eq!(scan(&tenant.device, &qr).await["reason"], "ticket_voided");
    wait_for_reason("a repeated change", &other_node, &qr, "ticket_voided").await;
}

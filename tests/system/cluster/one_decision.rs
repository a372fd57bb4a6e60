//! One `scan_id` gets one decision, on all nodes, also if the server made it. Each test sends the same scan to two
//! nodes, the second request up to 50 ms after the first.

use std::time::Duration;

use serde_json::{Value, json};
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::services::shared_database;
use voelgoed_scan_suite::{Client, Cluster};

use super::{Channel, UNREACHABLE_REDIS, assert_replayed, denied_by, scan, two_nodes, wait_for_bus};

/// The times between the two requests, in milliseconds. They are part of the schedule; nothing is waited for.
const DELAYS: [u64; 7] = [0, 1, 3, 6, 12, 25, 50];

const CHANNELS: [Channel; 2] = [Channel::Redis, Channel::Postgres];

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// A device that may override, in a session at the main gate.
async fn supervisor(tenant: &Tenant) -> Client {
    let settings = json!({ "can_override": true });
    let (device, _) = tenant.new_device("supervisor", &settings).await;
    tenant.start_session(&device, &tenant.gate).await;
    device
}

/// The records of a scan id.
async fn records(tenant: &Tenant, scan_id: &Value) -> Vec<Value> {
    let path = format!("/api/v1/scanning/scans?event_id={}&limit=500", tenant.event);
    let page = tenant.owner.get(&path).await.expect(200).json();
    let all = page["data"].as_array().expect("records");
    all.iter()
        .filter(|record| record["scan_id"] == *scan_id)
        .cloned()
        .collect()
}

/// The one record of a scan is what both nodes answered.
async fn assert_recorded(tenant: &Tenant, answer: &Value) {
    let found = records(tenant, &answer["scan_id"]).await;
    assert_eq!(found.len(), 1, "{found:?}");
    for field in ["result", "reason", "scanned_at", "decided_by"] {
        assert_eq!(
            found[0][field], answer[field],
            "{field} of {found:?} and {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_override_does_not_decide_anew_what_the_other_node_denied_from_memory() {
    for channel in CHANNELS {
        let (cluster, tenant) = two_nodes(channel).await;
        let device = supervisor(&tenant).await;
        let other_node = cluster.client_at(1, &device);
        let qr = tenant.qr(1).await;
        assert_eq!(scan(&device, &qr).await["reason"], "admitted");
        denied_by(&device, &qr, "memory").await;
        for delay in DELAYS {
            let (body, denied) = denied_by(&device, &qr, "memory").await;
            pause(delay).await;
            let mut forced = body.clone();
            forced["override"] = json!({ "reason": "a guest of honour" });
            let replayed = other_node.scan(&forced).await.expect(200).json();
            assert_replayed(&denied, &replayed);
            assert_recorded(&tenant, &denied).await;
        }
        let forced = json!({ "qr": qr, "scan_id": new_id(), "override": { "reason": "a new scan" } });
        let answer = other_node.scan(&forced).await.expect(200).json();
        assert_eq!(answer["reason"], "overridden", "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_overridden_is_not_denied_from_the_memory_of_the_other_node() {
    for channel in CHANNELS {
        let (cluster, tenant) = two_nodes(channel).await;
        let device = supervisor(&tenant).await;
        let other_node = cluster.client_at(1, &device);
        let qr = tenant.qr(1).await;
        assert_eq!(scan(&device, &qr).await["reason"], "admitted");
        denied_by(&device, &qr, "memory").await;
        for delay in DELAYS {
            let plain = json!({ "qr": qr, "scan_id": new_id() });
            let mut forced = plain.clone();
            forced["override"] = json!({ "reason": "a guest of honour" });
            let overridden = other_node.scan(&forced).await.expect(200).json();
            assert_eq!(overridden["reason"], "overridden", "{overridden}");
            pause(delay).await;
            let replayed = device.scan(&plain).await.expect(200).json();
            assert_replayed(&overridden, &replayed);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_requests_in_flight_with_and_without_an_override_get_one_decision() {
    for channel in CHANNELS {
        let (cluster, tenant) = two_nodes(channel).await;
        let device = supervisor(&tenant).await;
        let qr = tenant.qr(1).await;
        assert_eq!(scan(&device, &qr).await["reason"], "admitted");
        denied_by(&device, &qr, "memory").await;
        for round in 0..60 {
            let plain = json!({ "qr": qr, "scan_id": new_id() });
            let mut forced = plain.clone();
            forced["override"] = json!({ "reason": "a guest of honour" });
            let other_node = cluster.client_at(round % 2, &device);
            let (first, second) = tokio::join!(device.scan(&plain), async {
                tokio::time::sleep(Duration::from_micros(round as u64 * 50)).await;
                other_node.scan(&forced).await
            });
            let (first, second) = (first.expect(200).json(), second.expect(200).json());
            for field in ["result", "reason", "scanned_at", "decided_by", "previous_scan"] {
                assert_eq!(first[field], second[field], "{first} and {second}");
            }
            assert_ne!(first["replayed"], second["replayed"], "{first} and {second}");
            assert_recorded(&tenant, &first).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_does_not_let_a_scan_in_that_the_other_node_denied_from_memory() {
    for channel in CHANNELS {
        let (cluster, tenant) = two_nodes(channel).await;
        let other_node = cluster.client_at(1, &tenant.device);
        let owner_there = cluster.client_at(1, &tenant.owner);
        for (ticket, delay) in (1..).zip(DELAYS) {
            let qr = tenant.qr(ticket).await;
            let admitted = scan(&tenant.device, &qr).await;
            assert_eq!(admitted["reason"], "admitted");
            let (body, denied) = denied_by(&tenant.device, &qr, "memory").await;
            let scan_id = admitted["scan_id"].as_str().expect("an id");
            let undo = format!("/api/v1/scanning/scans/{scan_id}/undo");
            owner_there
                .post(&undo, &json!({ "reason": "a mistake" }))
                .await
                .expect(200);
            pause(delay).await;
            let replayed = other_node.scan(&body).await.expect(200).json();
            assert_replayed(&denied, &replayed);
            assert_eq!(scan(&other_node, &qr).await["reason"], "admitted");
        }
    }
}

/// The other node's clock is ahead by more than the window, so that the window is over there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_window_does_not_let_a_scan_in_that_the_other_node_denied_from_memory() {
    for channel in CHANNELS {
        let (mut cluster, tenant) = two_nodes(channel).await;
        cluster.add_node(7 * 60_000).await;
        wait_for_bus(&cluster, 2).await;
        let event = format!("/api/v1/events/{}", tenant.event);
        let settings = json!({ "name": "Show", "status": "live", "reentry": "after_window" });
        tenant.owner.put(&event, &settings).await.expect(200);
        let ahead = cluster.client_at(2, &tenant.device);
        for (ticket, delay) in (1..).zip(DELAYS) {
            let qr = tenant.qr(ticket).await;
            assert_eq!(scan(&tenant.device, &qr).await["reason"], "admitted");
            let (body, denied) = denied_by(&tenant.device, &qr, "memory").await;
            pause(delay).await;
            let replayed = ahead.scan(&body).await.expect(200).json();
            assert_replayed(&denied, &replayed);
            assert_eq!(scan(&ahead, &qr).await["reason"], "readmitted");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_the_server_made_is_replayed_even_with_an_override_at_the_other_node() {
    for channel in CHANNELS {
        let (cluster, tenant) = two_nodes(channel).await;
        let device = supervisor(&tenant).await;
        let other_node = cluster.client_at(1, &device);
        let qr = tenant.qr(1).await;
        assert_eq!(scan(&device, &qr).await["reason"], "admitted");
        denied_by(&device, &qr, "memory").await;
        for delay in DELAYS {
            let denied = device.scan(&json!({ "qr": qr })).await.expect(200).json();
            assert_eq!(denied["result"], "duplicate", "{denied}");
            pause(delay).await;
            let retry = json!({ "qr": qr, "scan_id": denied["scan_id"] });
            let mut forced = retry.clone();
            forced["override"] = json!({ "reason": "a guest of honour" });
            for (node, body) in [(&other_node, &forced), (&device, &retry), (&other_node, &retry)] {
                let replayed = node.scan(body).await.expect(200).json();
                assert_replayed(&denied, &replayed);
            }
            assert_recorded(&tenant, &denied).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uploaded_scan_is_replayed_at_every_node() {
    for channel in CHANNELS {
        let (cluster, tenant) = two_nodes(channel).await;
        let qr = tenant.qr(1).await;
        assert_eq!(scan(&tenant.device, &qr).await["reason"], "admitted");
        for node in 0..2 {
            // From now on the node would deny a new scan from its memory.
            let client = cluster.client_at(node, &tenant.device);
            denied_by(&client, &qr, "memory").await;
        }
        for denies in [true, false] {
            let server_time = tenant.device.get("/api/v1/scanning/device").await.expect(200);
            let at = server_time.json()["server_time"].clone();
            let mut upload = json!({
                "scan_id": new_id(), "qr": qr, "gate_id": tenant.gate, "scanned_at": at,
                "local_result": "valid", "local_reason": "admitted"
            });
            if denies {
                upload["local_result"] = json!("duplicate");
                upload["local_reason"] = json!("already_scanned");
            }
            let batch = json!({ "batch_id": new_id(), "sent_at": at, "scans": [upload] });
            let synced = tenant
                .device
                .post("/api/v1/scanning/sync", &batch)
                .await
                .expect(200);
            assert_eq!(synced.json()["recorded"], 1, "{synced:?}");
            for node in [1, 0] {
                let retry = json!({ "qr": qr, "scan_id": upload["scan_id"] });
                let client = cluster.client_at(node, &tenant.device);
                let answer = client.scan(&retry).await.expect(200).json();
                assert_eq!(answer["replayed"], true, "node {node}: {answer}");
                assert_eq!(
                    answer["result"],
                    synced.json()["results"][0]["result"],
                    "{answer}"
                );
            }
            assert_eq!(records(&tenant, &upload["scan_id"]).await.len(), 1);
        }
    }
}

/// The device let somebody in whom another node had just denied from its memory: the conflict says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_a_scan_that_the_other_node_denied_from_memory_is_a_conflict() {
    for channel in CHANNELS {
        let (cluster, tenant) = two_nodes(channel).await;
        let other_node = cluster.client_at(1, &tenant.device);
        // An upload hides its tickets from the caches for a while: each round takes another one.
        for (ticket, delay) in (1..).zip(DELAYS) {
            let qr = tenant.qr(ticket).await;
            assert_eq!(scan(&tenant.device, &qr).await["reason"], "admitted");
            let (body, _) = denied_by(&tenant.device, &qr, "memory").await;
            let server_time = other_node.get("/api/v1/scanning/device").await.expect(200);
            let at = server_time.json()["server_time"].clone();
            let upload = json!({
                "scan_id": body["scan_id"], "qr": qr, "gate_id": tenant.gate, "scanned_at": at,
                "local_result": "valid", "local_reason": "admitted"
            });
            let batch = json!({ "batch_id": new_id(), "sent_at": at, "scans": [upload] });
            pause(delay).await;
            let synced = other_node
                .post("/api/v1/scanning/sync", &batch)
                .await
                .expect(200)
                .json();
            assert_eq!(
                synced["results"][0]["conflict"]["kind"], "admitted_offline",
                "{synced}"
            );
        }
    }
}

/// A node that Redis does not reach cannot ask the others. It says so in the database, and the others then record each scan
/// before they answer it. That holds for ids of clients and for ids that the server makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_decides_nothing_anew() {
    let (mut cluster, tenant) = two_nodes(Channel::Redis).await;
    let device = supervisor(&tenant).await;
    let qr = tenant.qr(1).await;
    assert_eq!(scan(&device, &qr).await["reason"], "admitted");
    denied_by(&device, &qr, "memory").await;
    cluster.config.redis_url = Some(UNREACHABLE_REDIS.to_owned());
    cluster.add_node(0).await;
    let cut_off = cluster.client_at(2, &device);
    for (delay, made_by_server) in DELAYS
        .into_iter()
        .flat_map(|delay| [(delay, false), (delay, true)])
    {
        let mut plain = json!({ "qr": qr });
        if !made_by_server {
            plain["scan_id"] = json!(new_id());
        }
        let denied = device.scan(&plain).await.expect(200).json();
        assert_eq!(denied["result"], "duplicate", "{denied}");
        let forced = json!({
            "qr": qr, "scan_id": denied["scan_id"], "override": { "reason": "a guest of honour" }
        });
        pause(delay).await;
        let replayed = cut_off.scan(&forced).await.expect(200).json();
        assert_replayed(&denied, &replayed);
        let other = json!({ "qr": qr, "scan_id": new_id(), "override": { "reason": "a new scan" } });
        let overridden = cut_off.scan(&other).await.expect(200).json();
        assert_eq!(overridden["reason"], "overridden", "{overridden}");
        let retry = json!({ "qr": qr, "scan_id": other["scan_id"] });
        assert_replayed(&overridden, &device.scan(&retry).await.expect(200).json());
    }
}

/// A node that was killed confirms nothing, and an override must not wait for it for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_override_is_decided_though_another_node_was_killed() {
    for channel in CHANNELS {
        let redis = matches!(channel, Channel::Redis).then(voelgoed_scan_suite::services::shared_redis);
        let cluster = Cluster::start(1, shared_database(), redis).await;
        wait_for_bus(&cluster, 0).await;
        let tenant = cluster.tenant("Killed").await;
        let device = supervisor(&tenant).await;
        let qr = tenant.qr(1).await;
        assert_eq!(scan(&device, &qr).await["reason"], "admitted");
        let mut server = cluster
            .spawn_server(voelgoed_scan_suite::services::free_port())
            .await;
        denied_by(&device.at(server.address), &qr, "memory").await;
        server.kill();
        let forced = json!({ "qr": qr, "scan_id": new_id(), "override": { "reason": "a guest of honour" } });
        let overridden = device.scan(&forced).await.expect(200).json();
        assert_eq!(overridden["reason"], "overridden", "{overridden}");
    }
}

//! Changes of the re-entry policy, of entry limits and of the window while an event runs: what was answered and counted stays so.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use voelgoed_scan_server::config::Config;
use voelgoed_scan_server::{Running, start};
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Fixture};

/// The tenant, at a new event with a re-entry policy: sessions and new tickets are there.
async fn at_event_with_policy(tenant: &mut Tenant, policy: &str) {
    (tenant.event, tenant.gate, tenant.other_gate) = (new_id(), new_id(), new_id());
    let event = format!("/api/v1/events/{}", tenant.event);
    let body = json!({ "name": "Show", "status": "live", "reentry": policy });
    tenant.owner.put(&event, &body).await.expect(201);
    for (id, name) in [(&tenant.gate, "Main"), (&tenant.other_gate, "Side")] {
        let gate = json!({ "name": name, "status": "open" });
        tenant
            .owner
            .put(&format!("{event}/gates/{id}"), &gate)
            .await
            .expect(201);
    }
    let imported = import(tenant, "{}\n{}\n").await;
    tenant.codes = imported
        .iter()
        .filter_map(|line| line["code"].as_str().map(str::to_owned))
        .collect();
    let (device, _) = tenant
        .new_device("gate-2", &json!({ "can_override": true }))
        .await;
    tenant.session_id = tenant.start_session(&device, &tenant.gate).await;
    tenant.device = device;
}

async fn import(tenant: &Tenant, lines: &str) -> Vec<Value> {
    let path = format!("/api/v1/events/{}/tickets?return=codes", tenant.event);
    let sent = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), lines.to_owned());
    sent.await.expect(200).lines()
}

async fn set_limit(tenant: &Tenant, limit: u8) {
    let line = json!({ "code": tenant.codes[0], "entry_limit": limit });
    import(tenant, &format!("{line}\n")).await;
}

async fn set_policy(tenant: &Tenant, policy: &str) {
    let body = json!({ "name": "Show", "status": "live", "reentry": policy });
    let path = format!("/api/v1/events/{}", tenant.event);
    tenant.owner.put(&path, &body).await.expect(200);
}

/// Uploads a scan that a device made this many seconds ago, and returns its result.
async fn upload(device: &Client, gate: &str, qr: &str, seconds_ago: u64, local: Value) -> Value {
    let now = device.get("/api/v1/scanning/device").await.expect(200).json()["server_time"].clone();
    let mut scan = json!({
        "scan_id": new_id(), "qr": qr, "gate_id": gate, "scanned_at": now, "age_ms": seconds_ago * 1000,
        "local_result": "valid"
    });
    for (field, value) in local.as_object().expect("fields") {
        scan[field] = value.clone();
    }
    let batch = json!({ "batch_id": new_id(), "sent_at": now, "scans": [scan] });
    let answer = device
        .post("/api/v1/scanning/sync", &batch)
        .await
        .expect(200)
        .json();
    answer["results"][0].clone()
}

async fn reason(device: &Client, body: Value) -> Value {
    device.scan(&body).await.expect(200).json()["reason"].clone()
}

/// The people inside, and the entries and exits of each gate.
async fn occupancy(tenant: &Tenant) -> (i64, Vec<(i64, i64)>) {
    let path = format!("/api/v1/scanning/events/{}/occupancy", tenant.event);
    let counts = tenant.owner.get(&path).await.expect(200).json();
    let number = |value: &Value| value.as_i64().expect("a number");
    let gates = counts["gates"].as_array().expect("gates");
    let gates = gates
        .iter()
        .map(|gate| (number(&gate["entries"]), number(&gate["exits"])))
        .collect();
    (number(&counts["event"]["inside"]), gates)
}

async fn conflicts(tenant: &Tenant) -> Value {
    let path = format!("/api/v1/scanning/conflicts?event_id={}", tenant.event);
    tenant.owner.get(&path).await.expect(200).json()["data"].clone()
}

async fn scan_count(tenant: &Tenant) -> Value {
    let path = format!("/api/v1/events/{}/tickets?q={}", tenant.event, tenant.codes[0]);
    tenant.owner.get(&path).await.expect(200).json()["data"][0]["scan_count"].clone()
}

#[tokio::test]
async fn a_changed_entry_limit_moves_nobody() {
    let mut fixture = Fixture::new().await;
    let tenant = &mut fixture.tenant;
    at_event_with_policy(tenant, "after_window").await;
    let qr = tenant.qr(0).await;
    // Two entries ten minutes apart at two gates, without a connection.
    let first = upload(&tenant.device, &tenant.gate, &qr, 1200, json!({})).await;
    let second = upload(&tenant.device, &tenant.other_gate, &qr, 600, json!({})).await;
    assert_eq!(
        (&first["reason"], &second["reason"]),
        (&json!("admitted"), &json!("readmitted"))
    );
    let before = (1, vec![(1, 1), (1, 0)]);
    assert_eq!(occupancy(tenant).await, before);
    set_limit(tenant, 2).await;
    let denial = json!({ "local_result": "duplicate", "local_reason": "already_scanned" });
    upload(&tenant.device, &tenant.gate, &qr, 300, denial).await;
    assert_eq!(occupancy(tenant).await, before);
    let exit = json!({ "qr": qr, "direction": "exit" });
    assert_eq!(reason(&tenant.device, exit.clone()).await, "exited");
    assert_eq!(reason(&tenant.device, exit).await, "not_inside");
    assert_eq!(occupancy(tenant).await, (0, vec![(1, 1), (1, 1)]));
}

#[tokio::test]
async fn a_changed_policy_keeps_what_was_answered() {
    let mut fixture = Fixture::new().await;
    let tenant = &mut fixture.tenant;
    at_event_with_policy(tenant, "after_exit").await;
    let qr = tenant.qr(0).await;
    let entered = upload(&tenant.device, &tenant.gate, &qr, 1200, json!({})).await;
    assert_eq!(entered["reason"], "admitted");
    upload(
        &tenant.device,
        &tenant.gate,
        &qr,
        900,
        json!({ "direction": "exit" }),
    )
    .await;
    let again = json!({ "qr": qr, "scan_id": new_id() });
    assert_eq!(reason(&tenant.device, again.clone()).await, "readmitted");
    assert_eq!(scan_count(tenant).await, 2);
    set_policy(tenant, "never").await;
    let denial = json!({ "local_result": "duplicate", "local_reason": "already_scanned" });
    upload(&tenant.device, &tenant.gate, &qr, 300, denial).await;
    assert_eq!(conflicts(tenant).await, json!([]));
    assert_eq!(scan_count(tenant).await, 2);
    assert_eq!(occupancy(tenant).await, (1, vec![(2, 1), (0, 0)]));
    let replayed = tenant.device.scan(&again).await.expect(200).json();
    assert_eq!(
        (&replayed["reason"], &replayed["replayed"]),
        (&json!("readmitted"), &json!(true))
    );
    // The new policy holds from now on, and not for a scan of before.
    assert_eq!(
        reason(&tenant.device, json!({ "qr": qr })).await,
        "already_scanned"
    );
    upload(
        &tenant.device,
        &tenant.gate,
        &qr,
        700,
        json!({ "direction": "exit" }),
    )
    .await;
    let between = upload(&tenant.device, &tenant.gate, &qr, 600, json!({})).await;
    assert_eq!(between["reason"], "readmitted");
}

#[tokio::test]
async fn a_raised_limit_counts_the_admissions_of_before() {
    let mut fixture = Fixture::new().await;
    let tenant = &mut fixture.tenant;
    at_event_with_policy(tenant, "after_window").await;
    let qr = tenant.qr(0).await;
    let forced = json!({ "qr": qr, "override": { "reason": "knows the band" } });
    for expected in ["admitted", "overridden", "overridden"] {
        assert_eq!(reason(&tenant.device, forced.clone()).await, expected);
    }
    set_limit(tenant, 3).await;
    let next = tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json();
    assert_eq!(
        (&next["result"], &next["reason"]),
        (&json!("duplicate"), &json!("entry_limit_reached"))
    );
    set_limit(tenant, 4).await;
    assert_eq!(reason(&tenant.device, json!({ "qr": qr })).await, "admitted");
    assert_eq!(
        reason(&tenant.device, json!({ "qr": qr })).await,
        "entry_limit_reached"
    );
    assert_eq!(occupancy(tenant).await, (4, vec![(4, 0), (0, 0)]));
}

/// Starts a server on the database of the folder, with this deduplication window.
async fn server_with_window(folder: &TempDir, minutes: u64, address: Option<SocketAddr>) -> Running {
    let mut config = Config::on_free_port(format!("sqlite://{}", folder.path().join("gate.db").display()));
    config.rate_limit = 0;
    config.dedup_window = Duration::from_mins(minutes);
    if let Some(address) = address {
        config.listen = address.to_string();
    }
    start(config).await.expect("a server")
}

#[tokio::test]
async fn a_changed_window_keeps_what_was_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server_with_window(&folder, 5, None).await;
    let mut tenant = Tenant::new(&server, &Client::new(server.address()), "Here").await;
    at_event_with_policy(&mut tenant, "after_window").await;
    let qr = tenant.qr(0).await;
    for (gate, seconds_ago) in [(&tenant.gate, 1200), (&tenant.other_gate, 600)] {
        upload(&tenant.device, gate, &qr, seconds_ago, json!({})).await;
    }
    let before = (1, vec![(1, 1), (1, 0)]);
    assert_eq!(occupancy(&tenant).await, before);
    let address = server.address();
    server.stop().await;
    let server = server_with_window(&folder, 60, Some(address)).await;
    let denial = json!({ "local_result": "duplicate", "local_reason": "already_scanned" });
    upload(&tenant.device, &tenant.gate, &qr, 300, denial).await;
    assert_eq!(occupancy(&tenant).await, before);
    assert_eq!(conflicts(&tenant).await, json!([]));
    // A scan from before the restart, more than five minutes after the last admission.
    let earlier = upload(&tenant.device, &tenant.gate, &qr, 200, json!({})).await;
    assert_eq!(earlier["reason"], "readmitted");
    assert_eq!(
        reason(&tenant.device, json!({ "qr": qr })).await,
        "already_scanned"
    );
    server.stop().await;
}

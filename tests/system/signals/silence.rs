//! Silent devices: who is silent, who only seems to be, and who is back.

use serde_json::{Value, json};
use voelgoed_scan_suite::{Client, wait_until};

use super::{Gate, found, open_signals, opened, signals, wait_for_search};

async fn call(device: &Client) {
    device.get("/api/v1/scanning/device").await.expect(200);
}

/// Waits until the last call of a device is on record.
async fn wait_until_seen(gate: &Gate, device_id: &str) {
    let path = format!("/api/v1/scanning/devices/{device_id}");
    let now = gate.now().to_string();
    wait_until("the call is on record", || async {
        let device = gate.tenant().owner.get(&path).await.expect(200).json();
        device["last_seen_at"] == now.as_str()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_at_work_that_was_not_heard_of_for_300_seconds_is_silent_until_it_calls() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    call(&tenant.device).await;
    wait_until_seen(&gate, &tenant.device_id).await;
    // Nobody is silent from before the first search.
    wait_for_search(tenant).await;
    let seen_at = gate.now();
    gate.advance(300);
    wait_for_search(tenant).await;
    assert_eq!(found(tenant).await, [""; 0]);
    // The signal opens within five seconds.
    gate.advance(5);
    let signal = opened(&tenant.owner, "device_silent").await;
    assert_eq!(signal["device_id"], tenant.device_id.as_str());
    assert_eq!(signal["gate_id"], tenant.gate.as_str());
    assert_eq!(signal["event_id"], tenant.event.as_str());
    assert_eq!(
        signal["details"]["last_seen_at"].as_str(),
        Some(seen_at.to_string().as_str())
    );
    gate.advance(4000);
    wait_for_search(tenant).await;
    assert_eq!(found(tenant).await, ["device_silent"], "it opens once");
    call(&tenant.device).await;
    super::ended(&tenant.owner, "device_silent").await;
    wait_for_search(tenant).await;
    assert_eq!(found(tenant).await, ["device_silent"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_without_a_session_or_at_an_event_that_is_not_live_is_not_silent() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    let (other, other_id) = tenant.new_device("gate-2", &json!({})).await;
    let session = tenant.start_session(&other, &tenant.other_gate).await;
    call(&tenant.device).await;
    wait_until_seen(&gate, &tenant.device_id).await;
    wait_for_search(tenant).await;
    // A pause: one session ends, the other device just rests.
    let end = format!("/api/v1/scanning/sessions/{}/end", tenant.session_id);
    tenant.device.call("PUT", &end).await.expect(200);
    gate.advance(306);
    let signal = opened(&tenant.owner, "device_silent").await;
    assert_eq!(signal["device_id"], other_id.as_str(), "its session goes on");
    assert_eq!(found(tenant).await, ["device_silent"]);
    let end = format!("/api/v1/scanning/sessions/{session}/end");
    tenant.owner.call("PUT", &end).await.expect(200);
    super::ended(&tenant.owner, "device_silent").await;

    // A session that begins after a long silence starts a new time.
    tenant.start_session(&other, &tenant.other_gate).await;
    wait_for_search(tenant).await;
    assert_eq!(
        open_signals(&tenant.owner, "device_silent").await,
        [Value::Null; 0]
    );
    let body = json!({ "name": "Show", "status": "ended" });
    let path = format!("/api/v1/events/{}", tenant.event);
    tenant.owner.put(&path, &body).await.expect(200);
    gate.advance(1000);
    wait_for_search(tenant).await;
    assert_eq!(found(tenant).await, ["device_silent"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_not_silent_because_the_server_was_down() {
    let gate = Gate::new().await;
    let tenant = gate.tenant();
    call(&tenant.device).await;
    wait_until_seen(&gate, &tenant.device_id).await;
    wait_for_search(tenant).await;
    let mut config = voelgoed_scan_server::Config::on_free_port(gate.fixture.database_url.clone());
    config.rate_limit = 0;
    config.standing_clock = Some(gate.clock.clone());
    if voelgoed_scan_suite::services::runs_on_postgresql() {
        config.secrets.secret_key_file = Some(gate.fixture.directory.path().join("secret"));
    }
    gate.fixture.server.stop().await;
    gate.clock.set(gate.clock.now().plus_millis(3_600_000));
    let server = voelgoed_scan_server::start(config)
        .await
        .expect("the server starts again");
    let owner = gate.fixture.tenant.owner.at(server.address());
    let device = gate.fixture.tenant.device.at(server.address());
    let marker = async |waiting: u32| {
        let report = json!({ "waiting": waiting });
        let (other, _) = {
            let body = json!({ "device_id": format!("m-{waiting}"), "name": "Marker" });
            let created = owner
                .post("/api/v1/scanning/devices", &body)
                .await
                .expect(201)
                .json();
            (
                owner.with_token(created["token"].as_str().expect("a token")),
                created,
            )
        };
        other.put("/api/v1/scanning/device", &report).await.expect(200);
        wait_until("the marker has a signal", || async {
            let open = open_signals(&owner, "sync_waiting").await;
            open.iter().any(|signal| signal["details"]["waiting"] == waiting)
        })
        .await;
    };
    marker(1001).await;
    assert_eq!(signals(&owner, "?kind=device_silent").await, [Value::Null; 0]);
    gate.clock.set(gate.clock.now().plus_millis(300_000));
    marker(1002).await;
    assert_eq!(signals(&owner, "?kind=device_silent").await, [Value::Null; 0]);
    gate.clock.set(gate.clock.now().plus_millis(5_000));
    opened(&owner, "device_silent").await;
    call(&device).await;
    super::ended(&owner, "device_silent").await;
    server.stop().await;
}

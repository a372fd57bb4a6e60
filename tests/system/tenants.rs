//! Another tenant's thing, an unknown one and a text that names nothing are the same answer, on every call.

use serde_json::{Value, json};
use voelgoed_scan_suite::book::Operation;
use voelgoed_scan_suite::world::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Reply, World};

/// A body that each call takes.
pub(crate) fn example(operation: &str, tenant: &Tenant) -> Option<Value> {
    Some(match operation {
        "startSession" => json!({ "event_id": tenant.event, "gate_id": tenant.gate }),
        "scan" => json!({ "qr": "x" }),
        "sync" => json!({ "batch_id": new_id(), "sent_at": "2026-11-22T18:00:00Z", "scans": [] }),
        "undoScan" => json!({ "reason": "by mistake" }),
        "reportOwnDevice" => json!({ "battery": 0.5 }),
        "registerDevice" => json!({ "device_id": new_id(), "name": "New" }),
        "changeDevice" => json!({ "name": "Renamed" }),
        "putEvent" => json!({ "name": "Show", "status": "live" }),
        "putGate" => json!({ "name": "Main", "status": "open" }),
        "addSigningKey" => json!({ "kid": "7", "format": "vg2" }),
        "changeTicket" | "changeSigningKey" => json!({ "status": "active" }),
        "createApiKey" => json!({ "name": "New", "role": "viewer" }),
        _ => return None,
    })
}

/// Makes a call with a body that it takes.
pub(crate) async fn make(caller: &Client, operation: &Operation, path: &str, tenant: &Tenant) -> Reply {
    if operation.name == "importTickets" {
        return caller
            .send("POST", path, Some("application/x-ndjson"), "{}\n")
            .await;
    }
    match example(&operation.name, tenant) {
        Some(body) => caller.call_with(&operation.method, path, &body).await,
        None => caller.call(&operation.method, path).await,
    }
}

/// What a variable of a path stands for in a tenant's world.
pub(crate) async fn value_of(operation: &Operation, variable: &str, tenant: &Tenant) -> String {
    match (variable, operation.path.as_str()) {
        ("id", path) if path.contains("/events/") => tenant.event.clone(),
        ("id", path) if path.contains("/sessions/") => tenant.session_id.clone(),
        ("id", path) if path.contains("/devices/") => tenant.device_id.clone(),
        ("id", path) if path.contains("/api-keys/") => {
            let keys = tenant.owner.get("/api/v1/api-keys").await.json();
            keys["data"][0]["id"].as_str().expect("an id").to_owned()
        }
        ("gate_id", _) => tenant.gate.clone(),
        ("scan_id", _) => tenant.scan_id.clone(),
        ("code", _) => tenant.codes[0].clone(),
        ("format", _) => "vg1".to_owned(),
        ("kid", _) => "1".to_owned(),
        other => panic!("what is {other:?}?"),
    }
}

/// A value of the right shape that names nothing.
fn unknown(variable: &str) -> String {
    match variable {
        "code" => "0123456789abcdef".to_owned(),
        "kid" => "zz9".to_owned(),
        "format" => "vg3".to_owned(),
        _ => new_id(),
    }
}

pub(crate) fn variables(path: &str) -> Vec<String> {
    path.split('/')
        .filter_map(|part| Some(part.strip_prefix('{')?.strip_suffix('}')?.to_owned()))
        .collect()
}

/// Whether the call makes what this variable names, so that an unknown one is no mistake.
fn makes(operation: &str, variable: &str) -> bool {
    matches!((operation, variable), ("putEvent", "id") | ("putGate", "gate_id"))
}

#[tokio::test]
async fn foreign_unknown_and_malformed_ids_are_the_same_bytes_on_every_call() {
    let world = World::new().await;
    // A signing key that only the other tenant has.
    world
        .elsewhere
        .owner
        .post("/api/v1/signing-keys", &json!({ "kid": "only", "format": "vg1" }))
        .await
        .expect(201);
    let mut compared = 0;
    for operation in world.book.operations() {
        for variable in variables(&operation.path) {
            if makes(&operation.name, &variable) {
                continue;
            }
            let foreign = match variable.as_str() {
                "kid" => "only".to_owned(),
                "format" => continue,
                _ => value_of(&operation, &variable, &world.elsewhere).await,
            };
            for caller in [&world.here.owner, &world.here.device] {
                let mut bytes = Vec::new();
                for value in [&foreign, &unknown(&variable), "nonsense", "..%2f..", "%00", "%ff"] {
                    let mut path = operation.path.clone();
                    for other in variables(&operation.path) {
                        let own = value_of(&operation, &other, &world.here).await;
                        let value = if other == variable { value } else { own.as_str() };
                        path = path.replace(&format!("{{{other}}}"), value);
                    }
                    let reply = make(caller, &operation, &path, &world.here).await;
                    reply.clone().expect_problem(404, "not_found");
                    assert!(!reply.text().contains(value), "{path}: {reply:?}");
                    bytes.push(reply.without_request_id());
                    compared += 1;
                }
                bytes.dedup();
                assert_eq!(bytes.len(), 1, "{} {}: {bytes:?}", operation.name, operation.path);
            }
        }
    }
    assert!(compared > 200, "{compared}");
}

#[tokio::test]
async fn a_session_cannot_be_started_at_another_tenants_gate() {
    let world = World::new().await;
    let (device, _) = world.here.new_device("fresh", &json!({})).await;
    let mut bytes = Vec::new();
    for (event, gate) in [
        (world.elsewhere.event.clone(), world.elsewhere.gate.clone()),
        (world.here.event.clone(), world.elsewhere.gate.clone()),
        (new_id(), world.here.gate.clone()),
        (world.here.event.clone(), new_id()),
    ] {
        let body = json!({ "event_id": event, "gate_id": gate });
        let reply = device
            .post("/api/v1/scanning/sessions", &body)
            .await
            .expect_problem(404, "not_found");
        bytes.push(reply.without_request_id());
    }
    bytes.dedup();
    assert_eq!(bytes.len(), 1);
}

#[tokio::test]
async fn lists_and_filters_show_nothing_of_another_tenant() {
    let world = World::new().await;
    let other = &world.elsewhere;
    for path in [
        format!("/api/v1/scanning/sessions?device_id={}", other.device_id),
        format!("/api/v1/scanning/sessions?event_id={}", other.event),
        format!("/api/v1/scanning/scans?event_id={}", other.event),
        format!("/api/v1/scanning/scans?gate_id={}", other.gate),
        format!("/api/v1/scanning/scans?device_id={}", other.device_id),
        format!("/api/v1/scanning/scans?ticket_code={}", other.codes[0]),
        format!("/api/v1/scanning/devices?device_id={}", other.device_id),
    ] {
        let list = world.here.owner.get(&path).await.expect(200).json();
        assert_eq!(list["data"], json!([]), "{path}");
    }
    for path in [
        "/api/v1/events",
        "/api/v1/scanning/devices",
        "/api/v1/scanning/sessions",
        "/api/v1/scanning/scans",
    ] {
        let list = world.here.owner.get(path).await.expect(200);
        for secret in [&other.event, &other.device_id, &other.session_id, &other.scan_id] {
            assert!(!list.text().contains(secret.as_str()), "{path}");
        }
    }
    // The same ids are another thing here.
    let event = format!("/api/v1/events/{}", other.event);
    world
        .here
        .owner
        .put(&event, &json!({ "name": "Ours", "status": "draft" }))
        .await
        .expect(201);
    assert_eq!(other.owner.get(&event).await.expect(200).json()["name"], "Show");
}

//! A valid request for every operation of the OpenAPI document, for tests that call all of them.

use serde_json::{Value, json};
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::openapi::Operation;
use voelgoed_scan_suite::{Client, Response};

/// A valid request body of an operation, or `None` if it needs none.
fn example_body(operation: &str, tenant: &Tenant) -> Option<Value> {
    Some(match operation {
        "startSession" => json!({ "event_id": tenant.event, "gate_id": tenant.gate }),
        "scan" => json!({ "qr": "x" }),
        "sync" => json!({ "batch_id": new_id(), "sent_at": "2026-11-22T18:00:00Z", "scans": [] }),
        "acceptScan" => json!({ "reason": "seen at the gate" }),
        "undoScan" => json!({ "reason": "by mistake" }),
        "checkIn" => json!({ "gate_id": tenant.gate, "reason": "the phone is broken" }),
        "reportOwnDevice" => json!({ "battery": 0.5 }),
        "registerDevice" => json!({ "device_id": new_id(), "name": "New" }),
        "changeDevice" => json!({ "name": "Renamed" }),
        "putEvent" => json!({ "name": "Show", "status": "live" }),
        "putGate" => json!({ "name": "Main", "status": "open" }),
        "addSigningKey" => json!({ "kid": "7", "format": "vg2" }),
        "changeTicket" | "changeSigningKey" => json!({ "status": "active" }),
        "changeSignalSettings" => json!({ "duplicate_spam": { "limit": 5 } }),
        "changeMessages" => json!({ "en": { "gate_full": "Use the other gate" } }),
        "createWebhook" => json!({ "url": "https://hook.invalid/", "types": ["session.*"] }),
        "changeWebhook" => json!({ "description": "Shop" }),
        "createApiKey" => json!({ "name": "New", "role": "viewer" }),
        _ => return None,
    })
}

/// Calls an operation with a valid body.
pub(crate) async fn call_operation(
    client: &Client,
    operation: &Operation,
    path: &str,
    tenant: &Tenant,
) -> Response {
    if operation.name == "importTickets" {
        return client
            .send("POST", path, Some("application/x-ndjson"), "{}\n")
            .await;
    }
    match example_body(&operation.name, tenant) {
        Some(body) => client.call_with(&operation.method, path, &body).await,
        None => client.call(&operation.method, path).await,
    }
}

/// The value of a path variable for an existing resource of a tenant.
pub(crate) async fn path_value(operation: &Operation, variable: &str, tenant: &Tenant) -> String {
    match (variable, operation.path.as_str()) {
        ("id", _) if operation.name == "deleteEvent" => archived_event(tenant).await,
        ("id", path) if path.contains("/events/") => tenant.event.clone(),
        ("id", path) if path.contains("/sessions/") => tenant.session_id.clone(),
        ("id", path) if path.contains("/devices/") => tenant.device_id.clone(),
        ("id", path) if path.contains("/api-keys/") => {
            let keys = tenant.owner.get("/api/v1/api-keys").await.json();
            keys["data"][0]["id"].as_str().expect("an id").to_owned()
        }
        ("id", path) if path.contains("/webhooks/") => webhook(tenant).await,
        ("delivery", _) => {
            let test = format!("/api/v1/webhooks/{}/test", webhook(tenant).await);
            let accepted = tenant.owner.call("POST", &test).await.expect(202).json();
            accepted["delivery_id"].as_str().expect("an id").to_owned()
        }
        ("gate_id", _) => tenant.gate.clone(),
        ("scan_id", _) => tenant.scan_id.clone(),
        ("code", _) => tenant.codes[0].clone(),
        ("file", _) => "app.js".to_owned(),
        ("format", _) => "vg1".to_owned(),
        ("kid", _) => "1".to_owned(),
        other => panic!("no value for {other:?}"),
    }
}

/// A new archived event of a tenant. Only such an event can be deleted.
pub(crate) async fn archived_event(tenant: &Tenant) -> String {
    let event = new_id();
    let body = json!({ "name": "Last year", "status": "archived" });
    let path = format!("/api/v1/events/{event}");
    tenant.owner.put(&path, &body).await.expect(201);
    event
}

/// A webhook of a tenant.
async fn webhook(tenant: &Tenant) -> String {
    let webhooks = tenant.owner.get("/api/v1/webhooks").await.expect(200).json();
    if let Some(id) = webhooks["data"][0]["id"].as_str() {
        return id.to_owned();
    }
    let body = json!({ "url": "https://hook.invalid/", "types": ["session.*"] });
    let created = tenant.owner.post("/api/v1/webhooks", &body).await.expect(201);
    created.json()["id"].as_str().expect("an id").to_owned()
}

/// The names of the variables in a path template.
pub(crate) fn path_variables(path: &str) -> Vec<String> {
    path.split('/')
        .filter_map(|part| Some(part.strip_prefix('{')?.strip_suffix('}')?.to_owned()))
        .collect()
}

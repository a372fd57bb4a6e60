//! Tenant isolation: the response for another tenant's resource is the same as for an unknown or a malformed id.

use serde_json::json;
use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::fixture::new_id;

use crate::operation_calls::{call_operation, path_value, path_variables};

/// A valid value that names no resource.
fn unknown_value(variable: &str) -> String {
    match variable {
        "code" => "0123456789abcdef".to_owned(),
        "kid" => "zz9".to_owned(),
        "format" => "vg3".to_owned(),
        _ => new_id(),
    }
}

/// Whether the operation creates the resource that this variable names, so that an unknown id is valid.
fn creates(operation: &str, variable: &str) -> bool {
    matches!((operation, variable), ("putEvent", "id") | ("putGate", "gate_id"))
}

#[tokio::test]
async fn foreign_unknown_and_malformed_ids_have_the_same_response_for_every_operation() {
    let fixture = Fixture::new().await;
    // Only the other tenant has this signing key.
    fixture
        .other_tenant
        .owner
        .post("/api/v1/signing-keys", &json!({ "kid": "only", "format": "vg1" }))
        .await
        .expect(201);
    let mut compared = 0;
    for operation in fixture.openapi.operations() {
        for variable in path_variables(&operation.path) {
            if creates(&operation.name, &variable) {
                continue;
            }
            let foreign = match variable.as_str() {
                "kid" => "only".to_owned(),
                // The files of the console are the same for everyone.
                "format" | "file" => continue,
                _ => path_value(&operation, &variable, &fixture.other_tenant).await,
            };
            for client in [&fixture.tenant.owner, &fixture.tenant.device] {
                let mut bytes = Vec::new();
                for value in [
                    &foreign,
                    &unknown_value(&variable),
                    "nonsense",
                    "..%2f..",
                    "%00",
                    "%ff",
                ] {
                    let mut path = operation.path.clone();
                    for other in path_variables(&operation.path) {
                        let own = path_value(&operation, &other, &fixture.tenant).await;
                        let value = if other == variable { value } else { own.as_str() };
                        path = path.replace(&format!("{{{other}}}"), value);
                    }
                    let response = call_operation(client, &operation, &path, &fixture.tenant).await;
                    response.clone().expect_problem(404, "not_found");
                    assert!(!response.text().contains(value), "{path}: {response:?}");
                    bytes.push(response.without_request_id());
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
async fn a_session_cannot_start_at_another_tenants_gate() {
    let fixture = Fixture::new().await;
    let (device, _) = fixture.tenant.new_device("fresh", &json!({})).await;
    let mut bytes = Vec::new();
    for (event, gate) in [
        (
            fixture.other_tenant.event.clone(),
            fixture.other_tenant.gate.clone(),
        ),
        (fixture.tenant.event.clone(), fixture.other_tenant.gate.clone()),
        (new_id(), fixture.tenant.gate.clone()),
        (fixture.tenant.event.clone(), new_id()),
    ] {
        let body = json!({ "event_id": event, "gate_id": gate });
        let response = device
            .post("/api/v1/scanning/sessions", &body)
            .await
            .expect_problem(404, "not_found");
        bytes.push(response.without_request_id());
    }
    bytes.dedup();
    assert_eq!(bytes.len(), 1);
}

#[tokio::test]
async fn lists_and_filters_show_nothing_of_another_tenant() {
    let fixture = Fixture::new().await;
    let other = &fixture.other_tenant;
    for path in [
        format!("/api/v1/scanning/sessions?device_id={}", other.device_id),
        format!("/api/v1/scanning/sessions?event_id={}", other.event),
        format!("/api/v1/scanning/scans?event_id={}", other.event),
        format!("/api/v1/scanning/scans?gate_id={}", other.gate),
        format!("/api/v1/scanning/scans?device_id={}", other.device_id),
        format!("/api/v1/scanning/scans?ticket_code={}", other.codes[0]),
        format!("/api/v1/scanning/devices?device_id={}", other.device_id),
    ] {
        let list = fixture.tenant.owner.get(&path).await.expect(200).json();
        assert_eq!(list["data"], json!([]), "{path}");
    }
    for path in [
        "/api/v1/events",
        "/api/v1/scanning/devices",
        "/api/v1/scanning/sessions",
        "/api/v1/scanning/scans",
    ] {
        let list = fixture.tenant.owner.get(path).await.expect(200);
        for secret in [&other.event, &other.device_id, &other.session_id, &other.scan_id] {
            assert!(!list.text().contains(secret.as_str()), "{path}");
        }
    }
    // Ids are scoped by tenant: the same id can name an event of each.
    let event = format!("/api/v1/events/{}", other.event);
    fixture
        .tenant
        .owner
        .put(&event, &json!({ "name": "Ours", "status": "draft" }))
        .await
        .expect(201);
    assert_eq!(other.owner.get(&event).await.expect(200).json()["name"], "Show");
}

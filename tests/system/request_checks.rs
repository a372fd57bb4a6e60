//! The order of the checks when several of them fail.

use serde_json::json;
use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::fixture::new_id;

const SCAN: &str = "/api/v1/scanning/scan";
const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn checks_run_in_the_order_of_the_contract() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let unknown = fixture.anonymous.with_token(&format!("vgd_{}", "A".repeat(43)));
    let large = "x".repeat(70_000);
    // The order is: route, credential, media type, size, JSON.
    unknown
        .send("POST", "/api/v1/nothing", None, "x")
        .await
        .expect_problem(404, "not_found");
    unknown
        .send("PUT", SCAN, None, "x")
        .await
        .expect_problem(405, "method_not_allowed");
    fixture
        .anonymous
        .send("POST", SCAN, None, "x")
        .await
        .expect_problem(401, "missing_token");
    unknown
        .send("POST", SCAN, None, large.clone())
        .await
        .expect_problem(401, "invalid_token");
    tenant
        .device
        .send("POST", SCAN, None, large.clone())
        .await
        .expect_problem(415, "unsupported_media_type");
    tenant
        .device
        .send("POST", SCAN, JSON, large)
        .await
        .expect_problem(413, "body_too_large");
    // Then: JSON, fields, existence of the resource, permission.
    let viewer = tenant.member("viewer").await;
    let path = |id: &str| format!("/api/v1/scanning/devices/{id}");
    let missing = path(&new_id());
    viewer
        .send("PATCH", &missing, JSON, "{")
        .await
        .expect_problem(400, "malformed_json");
    viewer
        .call_with("PATCH", &missing, &json!({ "name": 1 }))
        .await
        .expect_problem(422, "validation_failed");
    viewer
        .call_with("PATCH", &missing, &json!({ "name": "x" }))
        .await
        .expect_problem(404, "not_found");
    let existing = path(&tenant.device_id);
    viewer
        .call_with("PATCH", &existing, &json!({ "name": 1 }))
        .await
        .expect_problem(422, "validation_failed");
    viewer
        .call_with("PATCH", &existing, &json!({ "name": "x" }))
        .await
        .expect_problem(403, "forbidden");
    tenant.device.get(&missing).await.expect_problem(404, "not_found");
    tenant
        .device
        .get(&existing)
        .await
        .expect_problem(403, "forbidden");
    // The same order when an API key calls an operation of devices.
    let start = |gate: &str| json!({ "event_id": tenant.event, "gate_id": gate });
    let sessions = "/api/v1/scanning/sessions";
    tenant
        .owner
        .post(sessions, &json!({}))
        .await
        .expect_problem(422, "validation_failed");
    tenant
        .owner
        .post(sessions, &start(&new_id()))
        .await
        .expect_problem(404, "not_found");
    tenant
        .owner
        .post(sessions, &start(&tenant.gate))
        .await
        .expect_problem(403, "forbidden");
    tenant
        .owner
        .scan(&json!({ "qr": "x" }))
        .await
        .expect_problem(403, "forbidden");
}

#[tokio::test]
async fn the_scan_id_of_a_known_scan_is_checked_before_permission_and_conflict() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let known = tenant.scan_id.clone();
    let qr = tenant.qr(0).await;
    // The device may not override, but the scan id is known, so the first answer is replayed.
    let body = json!({ "qr": qr, "scan_id": known, "override": { "reason": "lost in the rain" } });
    let replayed = tenant.device.scan(&body).await.expect(200).json();
    assert_eq!(
        (&replayed["replayed"], &replayed["reason"]),
        (&json!(true), &json!("admitted"))
    );
    let other = json!({ "qr": tenant.qr(1).await, "scan_id": known, "override": { "reason": "x" } });
    tenant
        .device
        .scan(&other)
        .await
        .expect_problem(409, "scan_id_reused");
    let new_scan = json!({ "qr": qr, "scan_id": new_id(), "override": { "reason": "x" } });
    tenant
        .device
        .scan(&new_scan)
        .await
        .expect_problem(403, "forbidden");
    // The session has ended, but the scan id is known, so the first answer is replayed.
    tenant
        .device
        .call(
            "PUT",
            &format!("/api/v1/scanning/sessions/{}/end", tenant.session_id),
        )
        .await
        .expect(200);
    let again = tenant
        .device
        .scan(&json!({ "qr": qr, "scan_id": known }))
        .await
        .expect(200)
        .json();
    assert_eq!(again["replayed"], true);
    tenant
        .device
        .scan(&json!({ "qr": qr }))
        .await
        .expect_problem(409, "no_active_session");
}

#[tokio::test]
async fn a_missing_credential_and_an_invalid_one_have_different_codes() {
    let fixture = Fixture::new().await;
    for (value, code) in [
        ("Basic dXNlcjpwYXNz", "missing_token"),
        ("Bearer", "missing_token"),
        ("Bearer nonsense", "invalid_token"),
        ("Bearer vgd_short", "invalid_token"),
    ] {
        let response = fixture
            .anonymous
            .with_header("authorization", value)
            .get("/api/v1/events")
            .await;
        let response = response.expect_problem(401, code);
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
    }
    let unknown = fixture.anonymous.with_token(&format!("vgk_{}", "A".repeat(43)));
    unknown
        .get("/api/v1/events")
        .await
        .expect_problem(401, "invalid_token");
}

//! The minimum version of the scanner app.

use serde_json::json;
use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::fixture::new_id;

#[tokio::test]
async fn an_app_that_is_too_old_may_only_upload() {
    let fixture = Fixture::with_config(|config| {
        config.min_app_version = Some("2.1".parse().expect("a version"));
    })
    .await;
    let tenant = &fixture.tenant;
    let old = tenant.device.with_header("x-app-version", "2.0.9");
    for path in ["/api/v1/scanning/device", "/api/v1/events"] {
        old.get(path).await.expect_problem(426, "upgrade_required");
    }
    let scan = json!({ "ticket_code": tenant.codes[0] });
    old.post("/api/v1/scanning/scan", &scan)
        .await
        .expect_problem(426, "upgrade_required");
    let upload = json!({ "batch_id": new_id(), "sent_at": "2026-11-20T18:00:00Z", "scans": [] });
    old.post("/api/v1/scanning/sync", &upload).await.expect(200);
    for version in ["2.1", "2.10", "nightly"] {
        let device = tenant.device.with_header("x-app-version", version);
        device.get("/api/v1/scanning/device").await.expect(200);
    }
    tenant.device.get("/api/v1/scanning/device").await.expect(200);
    // The header of a member means nothing.
    let owner = tenant.owner.with_header("x-app-version", "1.0");
    owner.get("/api/v1/events").await.expect(200);
}

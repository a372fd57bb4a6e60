//! The life of a device: registration, rotation of its token, deactivation, revocation.

use serde_json::json;
use voelgoed_scan_suite::Fixture;

#[tokio::test]
async fn a_device_is_registered_renamed_rotated_deactivated_and_revoked() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (device, id) = tenant
        .new_device("pda.7", &json!({ "can_search": true, "colour": "red" }))
        .await;
    let path = format!("/api/v1/scanning/devices/{id}");
    let same_label = json!({ "device_id": "pda.7", "name": "Twin" });
    tenant
        .owner
        .post("/api/v1/scanning/devices", &same_label)
        .await
        .expect_problem(409, "conflict");
    let state = device.get("/api/v1/scanning/device").await.expect(200).json();
    assert_eq!(state["device"]["settings"]["colour"], "red");
    assert!(
        state["session"].is_null() && state["server_time"].is_string() && state["manifest_key"].is_string()
    );
    let health =
        json!({ "app": { "name": "gate", "version": "1", "platform": "ios" }, "battery": 0.5, "waiting": 3 });
    let reported = device
        .put("/api/v1/scanning/device", &health)
        .await
        .expect(200)
        .json();
    assert_eq!(reported["device"]["waiting"], 3);
    assert!(reported["device"]["last_seen_at"].is_string());
    for filter in [
        "device_id=pda.7",
        &format!("device_id={id}"),
        "device_id=pda.7&status=active",
    ] {
        let found = tenant
            .owner
            .get(&format!("/api/v1/scanning/devices?{filter}"))
            .await
            .expect(200)
            .json();
        assert_eq!(found["data"][0]["id"].as_str(), Some(id.as_str()), "{filter}");
        assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{filter}");
    }
    let renamed = tenant
        .owner
        .call_with("PATCH", &path, &json!({ "name": "New" }))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&renamed["name"], &renamed["device_id"]),
        (&json!("New"), &json!("pda.7"))
    );
    let token = tenant
        .owner
        .call("POST", &format!("{path}/token"))
        .await
        .expect(200)
        .json();
    device
        .get("/api/v1/scanning/device")
        .await
        .expect_problem(401, "invalid_token");
    let device = device.with_token(token["token"].as_str().expect("a token"));
    tenant.start_session(&device, &tenant.gate).await;
    tenant
        .owner
        .call_with("PATCH", &path, &json!({ "status": "inactive" }))
        .await
        .expect(200);
    device
        .get("/api/v1/scanning/device")
        .await
        .expect_problem(401, "device_inactive");
    tenant
        .owner
        .call_with("PATCH", &path, &json!({ "status": "active" }))
        .await
        .expect(200);
    device.get("/api/v1/scanning/device").await.expect(200);
    tenant.owner.call("DELETE", &path).await.expect(204);
    tenant.owner.call("DELETE", &path).await.expect(204);
    device
        .get("/api/v1/scanning/device")
        .await
        .expect_problem(401, "device_inactive");
    tenant
        .owner
        .call_with("PATCH", &path, &json!({ "status": "active" }))
        .await
        .expect_problem(409, "conflict");
    assert_eq!(
        tenant.owner.get(&path).await.expect(200).json()["status"],
        "inactive"
    );
    let sessions = tenant
        .owner
        .get(&format!("/api/v1/scanning/sessions?device_id={id}"))
        .await
        .json();
    assert_eq!(sessions["data"][0]["status"], "ended");
}

#[tokio::test]
async fn every_call_of_a_device_marks_it_as_seen() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (device, id) = tenant.new_device("door-9", &serde_json::json!({})).await;
    let path = format!("/api/v1/scanning/devices/{id}");
    let shown = tenant.owner.get(&path).await.expect(200).json();
    assert!(shown["last_seen_at"].is_null(), "{shown}");
    device.get("/api/v1/events").await.expect(200);
    voelgoed_scan_suite::wait_until("the device is marked", || async {
        !tenant.owner.get(&path).await.expect(200).json()["last_seen_at"].is_null()
    })
    .await;
}

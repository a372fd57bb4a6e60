//! Scanning sessions: one active session a device, and who may read and end it.

use serde_json::json;
use voelgoed_scan_suite::Fixture;

#[tokio::test]
async fn a_device_has_one_active_session_and_may_replace_it() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let start = json!({ "event_id": tenant.event, "gate_id": tenant.other_gate });
    let refused = tenant.device.post("/api/v1/scanning/sessions", &start).await;
    let refused = refused.expect_problem(409, "session_already_active").json();
    assert_eq!(refused["session_id"].as_str(), Some(tenant.session_id.as_str()));
    let mut replace = start.clone();
    replace["replace"] = json!(true);
    let started = tenant
        .device
        .post("/api/v1/scanning/sessions", &replace)
        .await
        .expect(201);
    let id = started.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        started.header("location"),
        Some(format!("/api/v1/scanning/sessions/{id}").as_str())
    );
    let own = tenant
        .device
        .get("/api/v1/scanning/device")
        .await
        .expect(200)
        .json();
    assert_eq!(own["session"]["id"].as_str(), Some(id.as_str()));
}

#[tokio::test]
async fn a_device_may_read_and_end_only_its_own_session() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (other, _) = tenant.new_device("gate-2", &json!({})).await;
    let path = format!("/api/v1/scanning/sessions/{}", tenant.session_id);
    other.get(&path).await.expect_problem(403, "forbidden");
    other
        .call("PUT", &format!("{path}/end"))
        .await
        .expect_problem(403, "forbidden");
    assert_eq!(tenant.device.get(&path).await.expect(200).json()["scan_count"], 1);
    let ended = tenant
        .member("staff")
        .await
        .call("PUT", &format!("{path}/end"))
        .await
        .expect(200)
        .json();
    assert_eq!(ended["status"], "ended");
    let again = tenant
        .device
        .call("PUT", &format!("{path}/end"))
        .await
        .expect(200)
        .json();
    assert_eq!(again, ended, "an ended session is returned unchanged");
}

//! Creating and changing events and gates.

use serde_json::json;
use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::fixture::new_id;

#[tokio::test]
async fn a_put_is_201_with_a_location_first_and_then_200() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let event = format!("/api/v1/events/{}", new_id());
    let body = json!({ "name": "Second show", "status": "draft", "ticket_classes": ["VIP"] });
    let created = tenant.owner.put(&event, &body).await.expect(201);
    assert_eq!(created.header("location"), Some(event.as_str()));
    assert_eq!(created.json()["reentry"], "never");
    let again = tenant
        .owner
        .put(&event, &json!({ "name": "Renamed", "status": "draft" }))
        .await
        .expect(200);
    assert_eq!(
        again.json()["ticket_classes"],
        json!(["VIP"]),
        "absent classes do not change"
    );
    let fewer = json!({ "name": "Renamed", "status": "draft", "ticket_classes": [] });
    tenant
        .owner
        .put(&event, &fewer)
        .await
        .expect_problem(409, "conflict");
    let gate = format!("{event}/gates/{}", new_id());
    let created = tenant
        .owner
        .put(&gate, &json!({ "name": "G", "status": "open" }))
        .await
        .expect(201);
    assert_eq!(created.header("location"), Some(gate.as_str()));
    tenant
        .owner
        .put(&gate, &json!({ "name": "G", "status": "closed" }))
        .await
        .expect(200);
}

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

#[tokio::test]
async fn an_event_that_ends_before_it_starts_is_422_and_every_year_to_9999_is_taken() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let event = format!("/api/v1/events/{}", new_id());
    let body = |starts: &str, ends: &str| json!({ "name": "Show", "status": "draft", "starts_at": starts, "ends_at": ends });
    let refused = tenant
        .owner
        .put(&event, &body("2026-11-22T20:00:00Z", "2026-11-22T19:59:59.999Z"))
        .await
        .expect_problem(422, "validation_failed")
        .json();
    assert_eq!(refused["errors"][0]["pointer"], "/ends_at", "{refused}");
    let (first, last) = ("0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z");
    let put = tenant
        .owner
        .put(&event, &body(first, last))
        .await
        .expect(201)
        .json();
    assert_eq!(
        (&put["starts_at"], &put["ends_at"]),
        (&json!(first), &json!(last))
    );
    let shown = tenant.owner.get(&event).await.expect(200).json();
    assert_eq!(
        (&shown["starts_at"], &shown["ends_at"]),
        (&json!(first), &json!(last))
    );
    tenant.owner.put(&event, &body(last, last)).await.expect(200);
    let scans = format!("/api/v1/scanning/scans?from={last}&to={first}");
    tenant
        .owner
        .get(&scans)
        .await
        .expect_problem(422, "validation_failed");
    let whole = json!({ "name": "Main", "status": "open", "capacity": 387.0 });
    let gate = tenant
        .owner
        .put(&format!("{event}/gates/{}", new_id()), &whole)
        .await
        .expect(201)
        .json();
    assert_eq!(gate["capacity"], 387);
}

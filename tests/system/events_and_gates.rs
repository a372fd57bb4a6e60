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

#[tokio::test]
async fn an_event_has_doors_a_new_start_and_local_time_with_defaults() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let event = format!("/api/v1/events/{}", new_id());
    let fields = [
        ("doors_open_at", json!("0001-01-01T00:00:00.000Z"), json!(null)),
        ("doors_close_at", json!("9999-12-31T23:59:59.999Z"), json!(null)),
        ("rescheduled_at", json!("2026-11-29T18:00:00.000Z"), json!(null)),
        ("time_zone", json!("America/Sao_Paulo"), json!("UTC")),
        ("day_starts_at", json!("06:30"), json!("00:00")),
        ("allow_media", json!(true), json!(false)),
    ];
    let mut whole = json!({ "name": "Show", "status": "postponed" });
    for (field, value, _) in &fields {
        whole[field] = value.clone();
    }
    let plain = json!({ "name": "Show", "status": "cancelled" });
    for (body, status, by_default) in [(&whole, 201, false), (&plain, 200, true)] {
        let put = tenant.owner.put(&event, body).await.expect(status).json();
        let shown = tenant.owner.get(&event).await.expect(200).json();
        assert_eq!(put, shown);
        assert_eq!(shown["status"], body["status"]);
        for (field, value, default) in &fields {
            let expected = if by_default { default } else { value };
            assert_eq!(shown[field], *expected, "{field}");
        }
    }
}

#[tokio::test]
async fn wrong_doors_zones_and_times_of_day_are_422_and_each_is_named() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let event = format!("/api/v1/events/{}", new_id());
    let times = ["2026-11-22T20:00:00.000Z", "2026-11-22T19:59:59.999Z"];
    let backwards = json!({
        "starts_at": times[0], "ends_at": times[1], "doors_open_at": times[0], "doors_close_at": times[1]
    });
    for (fields, pointers) in [
        (backwards, vec!["/doors_close_at", "/ends_at"]),
        (json!({ "time_zone": "Mars/Phobos" }), vec!["/time_zone"]),
        (json!({ "doors_open_at": "2026-11-22" }), vec!["/doors_open_at"]),
        (json!({ "doors_close_at": 7 }), vec!["/doors_close_at"]),
        (
            json!({ "rescheduled_at": "10000-01-01T00:00:00Z" }),
            vec!["/rescheduled_at"],
        ),
        (json!({ "time_zone": "europe/berlin" }), vec!["/time_zone"]),
        (json!({ "time_zone": "+02:00" }), vec!["/time_zone"]),
        (json!({ "time_zone": null }), vec!["/time_zone"]),
        (json!({ "day_starts_at": "24:00" }), vec!["/day_starts_at"]),
        (json!({ "day_starts_at": "6:00" }), vec!["/day_starts_at"]),
        (json!({ "allow_media": "yes" }), vec!["/allow_media"]),
        (json!({ "status": "delayed" }), vec!["/status"]),
    ] {
        let mut body = json!({ "name": "Show", "status": "live" });
        let body_fields = body.as_object_mut().expect("an object");
        body_fields.extend(fields.as_object().expect("an object").clone());
        let refused = tenant
            .owner
            .put(&event, &body)
            .await
            .expect_problem(422, "validation_failed")
            .json();
        let errors = refused["errors"].as_array().expect("errors");
        let mut named: Vec<_> = errors
            .iter()
            .map(|error| error["pointer"].as_str().expect("a pointer"))
            .collect();
        named.sort_unstable();
        assert_eq!(named, pointers, "{refused}");
    }
    tenant.owner.get(&event).await.expect(404);
    let equal = json!({
        "name": "Show", "status": "live", "doors_open_at": times[0], "doors_close_at": times[0]
    });
    tenant.owner.put(&event, &equal).await.expect(201);
}

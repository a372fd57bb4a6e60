//! The scope of a device: the events and gates that it may work at.

use serde_json::{Value, json};
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Fixture};

const DEVICES: &str = "/api/v1/scanning/devices";
const SCANS: &str = "/api/v1/scanning/scans";
const SESSIONS: &str = "/api/v1/scanning/sessions";

async fn set_scope(tenant: &Tenant, scope: Value) -> Value {
    let path = format!("{DEVICES}/{}", tenant.device_id);
    let changed = tenant
        .owner
        .call_with("PATCH", &path, &json!({ "scope": scope }))
        .await
        .expect(200);
    changed.json()["scope"].clone()
}

fn ids(page: &Value) -> Vec<&str> {
    let data = page["data"].as_array().expect("rows");
    data.iter().filter_map(|row| row["id"].as_str()).collect()
}

async fn list(client: &Client, path: &str) -> Value {
    client.get(path).await.expect(200).json()
}

#[tokio::test]
async fn a_scope_is_given_at_registration_shown_and_replaced_as_a_whole() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let any = json!({ "event_ids": null, "gate_ids": null });
    let nowhere = new_id();
    for (number, given, shown) in [
        (0, None, any.clone()),
        (1, Some(json!({})), any.clone()),
        (
            2,
            Some(json!({ "event_ids": [tenant.event, nowhere] })),
            json!({ "event_ids": [tenant.event, nowhere], "gate_ids": null }),
        ),
        (
            3,
            Some(json!({ "gate_ids": [] })),
            json!({ "event_ids": null, "gate_ids": [] }),
        ),
    ] {
        let mut body = json!({ "device_id": format!("d{number}"), "name": "D" });
        if let Some(given) = given {
            body["scope"] = given;
        }
        let made = tenant.owner.post(DEVICES, &body).await.expect(201).json();
        assert_eq!(made["scope"], shown, "{body}");
        let path = format!("{DEVICES}/{}", made["id"].as_str().expect("an id"));
        assert_eq!(list(&tenant.owner, &path).await["scope"], shown);
        let own = tenant.owner.with_token(made["token"].as_str().expect("a token"));
        let own = list(&own, "/api/v1/scanning/device").await;
        assert_eq!(own["device"]["scope"], shown);
    }
    let both = json!({ "event_ids": [tenant.event], "gate_ids": [tenant.gate] });
    assert_eq!(set_scope(tenant, both.clone()).await, both);
    // Another field leaves it.
    let path = format!("{DEVICES}/{}", tenant.device_id);
    let renamed = tenant
        .owner
        .call_with("PATCH", &path, &json!({ "name": "New" }))
        .await;
    assert_eq!(renamed.expect(200).json()["scope"], both);
    let one = json!({ "gate_ids": [tenant.gate] });
    assert_eq!(
        set_scope(tenant, one).await,
        json!({ "event_ids": null, "gate_ids": [tenant.gate] })
    );
    for (scope, pointer) in [
        (json!([]), "/scope"),
        (json!("any"), "/scope"),
        (json!({ "event_ids": "x" }), "/scope/event_ids"),
        (json!({ "event_ids": {} }), "/scope/event_ids"),
        (json!({ "event_ids": [new_id(), "x"] }), "/scope/event_ids/1"),
        (json!({ "gate_ids": [7] }), "/scope/gate_ids/0"),
        (json!({ "gate_ids": [null] }), "/scope/gate_ids/0"),
    ] {
        let refused = tenant
            .owner
            .call_with("PATCH", &path, &json!({ "scope": scope }))
            .await
            .expect_problem(422, "validation_failed");
        assert_eq!(refused.pointers(), [pointer], "{scope}");
        let body = json!({ "device_id": "other", "name": "D", "scope": scope });
        let refused = tenant.owner.post(DEVICES, &body).await;
        assert_eq!(
            refused.expect_problem(422, "validation_failed").pointers(),
            [pointer]
        );
    }
}

#[tokio::test]
async fn outside_its_scope_a_device_gets_out_of_scope_and_an_unknown_id_stays_404() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (device, event, gate) = (&tenant.device, &tenant.event, &tenant.gate);
    let (qr, other_qr) = (tenant.qr(1).await, tenant.qr(2).await);
    let other_gate = json!({ "gate_ids": [tenant.other_gate] });
    let other_event = json!({ "event_ids": [new_id()] });
    let single = [
        (format!("/api/v1/events/{event}"), false),
        (format!("/api/v1/events/{event}/gates/{gate}"), true),
        (format!("/api/v1/scanning/events/{event}/occupancy"), false),
        (format!("/api/v1/scanning/events/{event}/manifest"), false),
    ];
    let manifest = single[3].0.clone();
    let whole = device.get(&manifest).await.expect(200);
    let tag = whole.header("etag").expect("a tag").to_owned();
    let resuming = device
        .with_header("range", "bytes=10-")
        .with_header("if-range", &tag);
    resuming.get(&manifest).await.expect(206);
    for (scope, closes_event) in [
        (other_gate, false),
        (other_event, true),
        (json!({ "event_ids": [] }), true),
    ] {
        set_scope(tenant, scope.clone()).await;
        for (path, closes_gate) in &single {
            let response = device.get(path).await;
            if closes_event || *closes_gate {
                response.expect_problem(403, "out_of_scope");
            } else {
                response.expect(200);
            }
        }
        if closes_event {
            // The scope comes before a range and before a version that the phone has.
            resuming.get(&manifest).await.expect_problem(403, "out_of_scope");
            let known = device.with_header("if-none-match", &tag);
            known.get(&manifest).await.expect_problem(403, "out_of_scope");
        }
        for scan in [
            json!({ "qr": qr }),
            json!({ "qr": qr, "scan_id": new_id() }),
            json!({ "qr": qr, "dry_run": true }),
            json!({ "qr": "nonsense" }),
            // A ticket that the memory of this node knows as admitted.
            json!({ "ticket_code": tenant.codes[0] }),
        ] {
            device.scan(&scan).await.expect_problem(403, "out_of_scope");
        }
        let start = json!({ "event_id": event, "gate_id": gate });
        device
            .post(SESSIONS, &start)
            .await
            .expect_problem(403, "out_of_scope");
        // 404 of the thing comes first, and fields before it.
        for unknown in [new_id(), "x".to_owned(), fixture.other_tenant.event.clone()] {
            for path in [
                format!("/api/v1/events/{unknown}"),
                format!("/api/v1/events/{event}/gates/{unknown}"),
                format!("/api/v1/scanning/events/{unknown}/occupancy"),
                format!("/api/v1/scanning/events/{unknown}/manifest"),
            ] {
                device.get(&path).await.expect_problem(404, "not_found");
            }
        }
        let start = json!({ "event_id": event, "gate_id": new_id() });
        device
            .post(SESSIONS, &start)
            .await
            .expect_problem(404, "not_found");
        device
            .post(SESSIONS, &json!({}))
            .await
            .expect_problem(422, "validation_failed");
        // Its own session stays readable, and may be ended.
        device
            .get(&format!("{SESSIONS}/{}", tenant.session_id))
            .await
            .expect(200);
        // Members have no scope.
        for (path, _) in single.iter().take(3) {
            tenant.owner.get(path).await.expect(200);
        }
    }
    // A known scan gets its first answer.
    let first = json!({ "qr": tenant.qr(0).await, "scan_id": tenant.scan_id });
    let replayed = device.scan(&first).await.expect(200).json();
    assert_eq!(
        (&replayed["replayed"], &replayed["reason"]),
        (&json!(true), &json!("admitted"))
    );
    let reused = json!({ "qr": other_qr, "scan_id": tenant.scan_id });
    device.scan(&reused).await.expect_problem(409, "scan_id_reused");
    // Nothing was recorded, and the same session goes on once the scope contains its gate.
    let inside = json!({ "event_ids": [event], "gate_ids": [gate, new_id()] });
    set_scope(tenant, inside).await;
    let admitted = device.scan(&json!({ "qr": qr })).await.expect(200).json();
    assert_eq!(admitted["reason"], "admitted");
    let trail = list(&tenant.owner, &format!("{SCANS}?ticket_code={}", tenant.codes[1])).await;
    assert_eq!(trail["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn lists_show_a_device_only_what_is_inside_its_scope() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut events: Vec<String> = (0..3).map(|_| new_id()).collect();
    for event in &events {
        let path = format!("/api/v1/events/{event}");
        let body = json!({ "name": "Other", "status": "draft" });
        tenant.owner.put(&path, &body).await.expect(201);
    }
    events.push(tenant.event.clone());
    events.sort_unstable();
    let device = &tenant.device;
    let gates = format!("/api/v1/events/{}/gates", tenant.event);
    assert_eq!(ids(&list(device, "/api/v1/events").await), events);
    // Another organization's event and one that does not exist are in the scope, and are not shown.
    let foreign = &fixture.other_tenant.event;
    let scope = json!({
        "event_ids": [events[3], foreign, events[0], new_id(), events[1]], "gate_ids": [new_id(), tenant.gate]
    });
    set_scope(tenant, scope).await;
    let inside = [&*events[0], &events[1], &events[3]];
    assert_eq!(ids(&list(device, "/api/v1/events").await), inside);
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = list(device, &format!("/api/v1/events?limit=2{cursor}")).await;
        paged.extend(ids(&page).into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, inside);
    assert_eq!(ids(&list(&tenant.owner, "/api/v1/events").await).len(), 4);
    // `tenant.event` may be any of them by its id.
    let is_inside = inside.contains(&&*tenant.event);
    let expected: &[&str] = if is_inside { &[&tenant.gate] } else { &[] };
    assert_eq!(ids(&list(device, &gates).await), expected);
    set_scope(tenant, json!({ "event_ids": [tenant.event], "gate_ids": null })).await;
    assert_eq!(ids(&list(device, &gates).await).len(), 2);
    set_scope(
        tenant,
        json!({ "event_ids": [events[0], new_id()], "gate_ids": [] }),
    )
    .await;
    assert_eq!(list(device, &gates).await["data"], json!([]));
    device
        .get(&format!("/api/v1/events/{foreign}/gates"))
        .await
        .expect_problem(404, "not_found");

    // Its own scans.
    set_scope(tenant, json!({ "gate_ids": [tenant.other_gate] })).await;
    assert_eq!(list(device, SCANS).await["data"], json!([]));
    let export = device.with_header("accept", "application/x-ndjson");
    assert_eq!(export.get(SCANS).await.expect(200).lines().len(), 0);
    set_scope(tenant, json!({ "gate_ids": [tenant.gate] })).await;
    assert_eq!(
        list(device, SCANS).await["data"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(export.get(SCANS).await.expect(200).lines().len(), 1);
}

#[tokio::test]
async fn a_device_that_may_search_finds_no_ticket_of_an_event_outside_its_scope() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (device, id) = tenant.new_device("desk", &json!({ "can_search": true })).await;
    let prefix: String = tenant.codes[3].chars().take(6).collect();
    let path = format!("/api/v1/events/{}/tickets?q={prefix}", tenant.event);
    assert_eq!(
        list(&device, &path).await["data"][0]["code"],
        json!(tenant.codes[3])
    );
    let scope = json!({ "scope": { "event_ids": [new_id()] } });
    let patched = tenant
        .owner
        .call_with("PATCH", &format!("{DEVICES}/{id}"), &scope)
        .await;
    patched.expect(200);
    assert_eq!(list(&device, &path).await["data"], json!([]));
}

#[tokio::test]
async fn an_upload_is_judged_by_the_scope_at_the_time_of_each_scan_and_staff_may_accept_the_rest() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let device = &tenant.device;
    let server_time = list(device, "/api/v1/scanning/device").await["server_time"].clone();
    set_scope(tenant, json!({ "gate_ids": [tenant.other_gate] })).await;
    let upload = async |scans: Value| {
        let sent_at = list(device, "/api/v1/scanning/device").await["server_time"].clone();
        let batch = json!({ "batch_id": new_id(), "sent_at": sent_at, "scans": scans });
        device
            .post("/api/v1/scanning/sync", &batch)
            .await
            .expect(200)
            .json()
    };
    let scan = async |ticket: usize, gate: &str, is_before: bool| {
        let scan_id = new_id();
        let mut scan = json!({
            "scan_id": scan_id, "qr": tenant.qr(ticket).await, "gate_id": gate, "scanned_at": server_time,
            "local_result": "valid", "local_reason": "admitted"
        });
        scan["age_ms"] = json!(if is_before { 60_000 } else { 0 });
        scan
    };
    let scans = [
        scan(1, &tenant.gate, true).await,
        scan(2, &tenant.gate, false).await,
        scan(3, &tenant.other_gate, false).await,
    ];
    for recorded in ["recorded", "replayed"] {
        let answer = upload(json!(scans)).await;
        let statuses: Vec<_> = (0..3).map(|n| answer["results"][n]["status"].clone()).collect();
        assert_eq!(statuses, [recorded, "quarantined", recorded]);
    }
    let outside = scans[1]["scan_id"].as_str().expect("an id");
    let conflicts = list(&tenant.owner, "/api/v1/scanning/conflicts").await;
    assert_eq!(conflicts["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(conflicts["data"][0]["kind"], "unverified");
    assert_eq!(conflicts["data"][0]["other_scan_id"], outside);
    let accept = format!("/api/v1/scanning/conflicts/{outside}/accept");
    let body = json!({ "reason": "stood in" });
    for _ in 0..2 {
        let record = tenant.owner.post(&accept, &body).await.expect(200).json();
        assert_eq!(
            (&record["result"], &record["scan_id"]),
            (&json!("valid"), &json!(outside))
        );
    }
    let conflicts = list(&tenant.owner, "/api/v1/scanning/conflicts").await;
    assert_eq!(conflicts["data"], json!([]));
}

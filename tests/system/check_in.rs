//! Checking tickets in by hand.

use serde_json::{Value, json};
use voelgoed_scan_suite::event_stream::EventStream;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::services::{shared_database, shared_redis};
use voelgoed_scan_suite::{Client, Cluster, Fixture, wait_until};

/// The path of a check-in of a ticket.
fn path(tenant: &Tenant, code: &str) -> String {
    format!("/api/v1/scanning/events/{}/tickets/{code}/check-in", tenant.event)
}

/// The body of a check-in at the main gate.
fn body(tenant: &Tenant) -> Value {
    json!({ "gate_id": tenant.gate, "reason": "the phone is broken", "scan_id": new_id() })
}

/// The number of people inside: at the main gate, and at the event.
async fn inside(tenant: &Tenant) -> (Value, Value) {
    let path = format!("/api/v1/scanning/events/{}/occupancy", tenant.event);
    let occupancy = tenant.owner.get(&path).await.expect(200).json();
    let gates = occupancy["gates"].as_array().expect("gates").clone();
    let main = gates.iter().find(|gate| gate["id"] == json!(tenant.gate));
    (
        main.expect("the main gate")["inside"].clone(),
        occupancy["event"]["inside"].clone(),
    )
}

/// The record of a scan.
async fn record(tenant: &Tenant, scan_id: &Value) -> Value {
    let path = format!("/api/v1/scanning/scans?event_id={}&limit=500", tenant.event);
    let page = tenant.owner.get(&path).await.expect(200).json();
    let all = page["data"].as_array().expect("records").clone();
    let found = all.into_iter().find(|record| record["scan_id"] == *scan_id);
    found.expect("the scan is on record")
}

/// The id of the API key of a member.
async fn key_id(tenant: &Tenant, name: &str) -> Value {
    let keys = tenant.owner.get("/api/v1/api-keys").await.expect(200).json();
    let keys = keys["data"].as_array().expect("keys").clone();
    let found = keys.iter().find(|key| key["name"] == name);
    found.expect("the key")["id"].clone()
}

#[tokio::test]
async fn a_check_in_answers_as_a_scan_at_the_gate_and_is_recorded_with_its_key() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let staff = tenant.member("staff").await;
    let (before_gate, before) = inside(tenant).await;
    let request = body(tenant);
    let mut stream = EventStream::open(&tenant.owner, &tenant.event).await;
    let answer = staff
        .post(&path(tenant, &tenant.codes[1]), &request)
        .await
        .expect(200)
        .json();
    for (field, value) in [
        ("scan_id", request["scan_id"].clone()),
        ("result", json!("valid")),
        ("reason", json!("admitted")),
        ("replayed", json!(false)),
        ("direction", json!("entry")),
        ("session_id", Value::Null),
        ("event_id", json!(tenant.event)),
        ("gate", json!({ "id": tenant.gate, "name": "Main" })),
        ("previous_scan", Value::Null),
        ("decided_by", json!("database")),
        ("warnings", json!([])),
        ("message", json!("Admitted")),
    ] {
        assert_eq!(answer[field], value, "{field} of {answer}");
    }
    assert_eq!(answer["ticket"]["code"], json!(tenant.codes[1]));
    assert_eq!(answer["ticket"]["scan_count"], 1);
    let more = |count: &Value| json!(count.as_i64().expect("a number") + 1);
    assert_eq!(inside(tenant).await, (more(&before_gate), more(&before)));
    assert_eq!(answer["occupancy"]["gate"]["inside"], more(&before_gate));

    let found = record(tenant, &request["scan_id"]).await;
    for (field, value) in [
        ("source", json!("desk")),
        ("device_id", Value::Null),
        ("scan_session_id", Value::Null),
        ("api_key_id", key_id(tenant, "staff").await),
        ("gate_id", json!(tenant.gate)),
        ("ticket_code", json!(tenant.codes[1])),
        ("decided_by", json!("database")),
        ("override", Value::Null),
        ("metadata", json!({ "reason": "the phone is broken" })),
    ] {
        assert_eq!(found[field], value, "{field} of {found}");
    }
    assert_eq!(stream.next_named("scan").await.data, found);
    let exported = tenant.owner.with_header("accept", "application/x-ndjson");
    let exported = exported.get("/api/v1/scanning/scans").await.expect(200).lines();
    let line = exported.iter().find(|line| line["scan_id"] == request["scan_id"]);
    assert_eq!(line.expect("the line")["api_key_id"], found["api_key_id"]);

    let denied = tenant
        .device
        .scan(&json!({ "qr": tenant.qr(1).await }))
        .await
        .expect(200)
        .json();
    assert_eq!(denied["reason"], "already_scanned");
    let previous = &denied["previous_scan"];
    assert_eq!(
        (
            &previous["scan_id"],
            &previous["device_name"],
            &previous["same_device"]
        ),
        (&request["scan_id"], &json!("staff"), &json!(false))
    );
}

#[tokio::test]
async fn the_same_key_repeats_a_check_in_and_others_conflict() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let staff = tenant.member("staff").await;
    let (path_1, path_2) = (path(tenant, &tenant.codes[1]), path(tenant, &tenant.codes[2]));
    let request = body(tenant);
    let first = staff.post(&path_1, &request).await.expect(200).json();
    // The gate is not compared, as it is not for a scan.
    let mut elsewhere = request.clone();
    elsewhere["gate_id"] = json!(tenant.other_gate);
    for again in [&request, &elsewhere] {
        let answer = staff.post(&path_1, again).await.expect(200).json();
        assert_eq!(answer["replayed"], true);
        for field in ["scan_id", "reason", "scanned_at", "gate", "occupancy"] {
            assert_eq!(answer[field], first[field], "{field}");
        }
    }
    let mut exit = request.clone();
    exit["direction"] = json!("exit");
    staff
        .post(&path_1, &exit)
        .await
        .expect_problem(409, "scan_id_reused");
    staff
        .post(&path_2, &request)
        .await
        .expect_problem(409, "scan_id_reused");
    tenant
        .owner
        .post(&path_1, &request)
        .await
        .expect_problem(409, "scan_id_reused");
    let by_device = json!({ "qr": tenant.qr(1).await, "scan_id": request["scan_id"] });
    tenant
        .device
        .scan(&by_device)
        .await
        .expect_problem(409, "scan_id_reused");
    let of_device = json!({ "gate_id": tenant.gate, "reason": "x", "scan_id": tenant.scan_id });
    staff
        .post(&path(tenant, &tenant.codes[0]), &of_device)
        .await
        .expect_problem(409, "scan_id_reused");

    let undo = format!(
        "/api/v1/scanning/scans/{}/undo",
        request["scan_id"].as_str().expect("an id")
    );
    let reason = json!({ "reason": "the wrong person" });
    tenant
        .device
        .post(&undo, &reason)
        .await
        .expect_problem(403, "forbidden");
    let undone = staff.post(&undo, &reason).await.expect(200).json();
    assert_eq!(
        (&undone["undone"]["reason"], &undone["source"]),
        (&json!("the wrong person"), &json!("desk"))
    );
    staff
        .post(&path_1, &request)
        .await
        .expect_problem(409, "scan_undone");
    let anew = staff.post(&path_1, &body(tenant)).await.expect(200).json();
    assert_eq!(anew["reason"], "admitted");
}

#[tokio::test]
async fn an_exit_by_hand_ends_the_entry() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (_, before) = inside(tenant).await;
    let mut exit = body(tenant);
    exit["direction"] = json!("exit");
    let answer = tenant
        .owner
        .post(&path(tenant, &tenant.codes[0]), &exit)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&answer["reason"], &answer["direction"]),
        (&json!("exited"), &json!("exit"))
    );
    assert_eq!(
        inside(tenant).await.1,
        json!(before.as_i64().expect("a number") - 1)
    );
    exit["scan_id"] = json!(new_id());
    let answer = tenant
        .owner
        .post(&path(tenant, &tenant.codes[0]), &exit)
        .await
        .expect(200)
        .json();
    assert_eq!(answer["reason"], "not_inside");
}

#[tokio::test]
async fn unknown_tickets_events_and_gates_are_404_and_wrong_bodies_are_named() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let owner = &tenant.owner;
    let other = tenant.event_at_the_same_gates("other-event-device").await;
    let at_this_event = path(tenant, &tenant.codes[1]);
    for path in [
        path(tenant, &other.codes[1]),
        path(tenant, "0123456789abcdef"),
        path(tenant, &fixture.other_tenant.codes[1]),
        at_this_event.replace(&tenant.event, &new_id()),
    ] {
        owner
            .post(&path, &body(tenant))
            .await
            .expect_problem(404, "not_found");
    }
    let mut unknown_gate = body(tenant);
    for gate in [new_id(), fixture.other_tenant.gate.clone()] {
        unknown_gate["gate_id"] = json!(gate);
        owner
            .post(&at_this_event, &unknown_gate)
            .await
            .expect_problem(404, "not_found");
    }
    for (change, pointer) in [
        (json!({ "gate_id": "Main" }), "/gate_id"),
        (json!({ "reason": "" }), "/reason"),
        (json!({ "reason": "x".repeat(501) }), "/reason"),
        (json!({ "reason": Value::Null }), "/reason"),
        (json!({ "scan_id": "7" }), "/scan_id"),
        (json!({ "direction": "in" }), "/direction"),
    ] {
        let mut wrong = body(tenant);
        wrong
            .as_object_mut()
            .expect("an object")
            .extend(change.as_object().expect("an object").clone());
        let problem = owner
            .post(&at_this_event, &wrong)
            .await
            .expect_problem(422, "validation_failed");
        assert_eq!(problem.pointers(), [pointer], "{wrong}");
    }
    let missing = owner
        .post(&at_this_event, &json!({}))
        .await
        .expect_problem(422, "validation_failed");
    let mut pointers = missing.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/gate_id", "/reason"]);
    tenant
        .device
        .post(&at_this_event, &body(tenant))
        .await
        .expect_problem(403, "forbidden");
    let viewer = tenant.member("viewer").await;
    viewer
        .post(&at_this_event, &body(tenant))
        .await
        .expect_problem(403, "forbidden");
    assert_eq!(
        record_count(tenant).await,
        1,
        "only the first admission of the fixture"
    );
}

async fn record_count(tenant: &Tenant) -> usize {
    let path = format!("/api/v1/scanning/scans?event_id={}", tenant.event);
    let page = tenant.owner.get(&path).await.expect(200).json();
    page["data"].as_array().expect("records").len()
}

#[tokio::test]
async fn a_payload_names_the_ticket_and_a_closed_gate_denies() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let payload = tenant.qr(2).await;
    let gate = format!("/api/v1/events/{}/gates/{}", tenant.event, tenant.gate);
    let close = json!({ "name": "Main", "status": "closed" });
    tenant.owner.put(&gate, &close).await.expect(200);
    let answer = tenant
        .owner
        .post(&path(tenant, &payload), &body(tenant))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&answer["result"], &answer["reason"]),
        (&json!("refused"), &json!("gate_closed"))
    );
    let mut other_gate = body(tenant);
    other_gate["gate_id"] = json!(tenant.other_gate);
    let answer = tenant
        .owner
        .post(&path(tenant, &payload), &other_gate)
        .await
        .expect(200)
        .json();
    assert_eq!(answer["reason"], "admitted");
}

#[tokio::test]
async fn a_device_that_may_search_scans_the_codes_that_it_found() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let line = r#"{"holder_name":"Annemarie Botha"}"#;
    tenant.owner.import(&tenant.event, line).await.expect(200);
    let (searcher, id) = tenant.new_device("desk", &json!({ "can_search": true })).await;
    tenant.start_session(&searcher, &tenant.gate).await;
    let search = format!("/api/v1/events/{}/tickets?q=an", tenant.event);
    let found = searcher.get(&search).await.expect(200).json();
    let code = found["data"][0]["code"].clone();
    let typed = json!({ "ticket_code": code });
    let denied = tenant.device.scan(&typed).await.expect(200).json();
    assert_eq!(denied["reason"], "unsigned_not_allowed");
    let preview = json!({ "ticket_code": code, "dry_run": true });
    assert_eq!(
        searcher.scan(&preview).await.expect(200).json()["reason"],
        "admitted"
    );
    assert_eq!(
        searcher.scan(&typed).await.expect(200).json()["reason"],
        "admitted"
    );
    assert_eq!(
        searcher.scan(&typed).await.expect(200).json()["reason"],
        "already_scanned"
    );
    let device = format!("/api/v1/scanning/devices/{id}");
    let without = json!({ "settings": {} });
    tenant
        .owner
        .call_with("PATCH", &device, &without)
        .await
        .expect(200);
    assert_eq!(
        searcher.scan(&typed).await.expect(200).json()["reason"],
        "unsigned_not_allowed"
    );
}

/// Calls of desks and devices on two nodes, all at once, for one ticket each round.
async fn race(cluster: &Cluster, tenant: &Tenant) {
    let desks = [tenant.member("staff").await, tenant.member("admin").await];
    let devices = [tenant.device.clone(), {
        let (device, _) = tenant.new_device("second", &json!({})).await;
        tenant.start_session(&device, &tenant.other_gate).await;
        device
    }];
    let (_, before) = inside(tenant).await;
    for ticket in 1..tenant.codes.len() {
        let qr = tenant.qr(ticket).await;
        let mut calls = Vec::new();
        for (number, node) in [(0, 0), (1, 1), (0, 1), (1, 0)] {
            let desk = cluster.client_at(node, &desks[number]);
            let (path, body) = (path(tenant, &tenant.codes[ticket]), body(tenant));
            calls.push(tokio::spawn(async move { desk.post(&path, &body).await }));
            let device: Client = cluster.client_at(node, &devices[number]);
            let body = json!({ "qr": qr, "scan_id": new_id() });
            calls.push(tokio::spawn(async move { device.scan(&body).await }));
        }
        let mut reasons = Vec::new();
        for call in calls {
            let answer = call.await.expect("the task ends").expect(200).json();
            reasons.push(answer["reason"].as_str().expect("a reason").to_owned());
        }
        reasons.sort();
        let expected = [vec!["admitted"], vec!["already_scanned"; 7]].concat();
        assert_eq!(reasons, expected, "ticket {ticket}");
        let expected = json!(before.as_i64().expect("a number") + i64::try_from(ticket).expect("few"));
        assert_eq!(inside(tenant).await.1, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn desks_and_devices_on_two_nodes_admit_each_ticket_once() {
    for redis in [Some(shared_redis()), None] {
        let cluster = Cluster::start(2, shared_database(), redis).await;
        let tenant = cluster.tenant("Desks and devices").await;
        race(&cluster, &tenant).await;
    }
}

#[tokio::test]
async fn a_check_in_is_entered_in_the_audit_log_with_its_call() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let staff = tenant.member("staff").await;
    let request = body(tenant);
    for _ in 0..2 {
        let staff = staff.with_header("x-request-id", "desk-1");
        staff
            .post(&path(tenant, &tenant.codes[1]), &request)
            .await
            .expect(200);
    }
    let log = "/api/v1/audit?action=scan.check_in";
    let entries = async || {
        let page = tenant.owner.get(log).await.expect(200).json();
        page["data"].as_array().expect("entries").clone()
    };
    wait_until("the check-in is entered", || async {
        !entries().await.is_empty()
    })
    .await;
    let entries = entries().await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry = &entries[0];
    assert_eq!(
        entry["subject"],
        json!({ "kind": "scan", "id": request["scan_id"] })
    );
    let actor = json!({ "kind": "api_key", "id": key_id(tenant, "staff").await, "name": "staff" });
    assert_eq!(
        (&entry["actor"], &entry["request_id"]),
        (&actor, &json!("desk-1"))
    );
    assert_eq!(entry["changes"], json!({ "reason": [null, "admitted"] }));
    assert!(
        !json!(entries).to_string().contains("phone"),
        "reasons stand in the scan alone"
    );
}

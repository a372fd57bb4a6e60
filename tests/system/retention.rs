//! The deletion of personal data and of events over the API.

mod everywhere;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::{Fixture, wait_until};

fn event_path(tenant: &Tenant) -> String {
    format!("/api/v1/events/{}", tenant.event)
}

async fn import(tenant: &Tenant, line: &Value) {
    let imported = tenant
        .owner
        .import(&tenant.event, line.to_string())
        .await
        .expect(200);
    assert_eq!(imported.json()["rejected"], 0, "{imported:?}");
}

async fn archive(tenant: &Tenant) {
    let body = json!({ "name": "Show", "status": "archived" });
    tenant.owner.put(&event_path(tenant), &body).await.expect(200);
}

#[tokio::test]
async fn personal_data_are_deleted_and_decisions_stay() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let code = &tenant.codes[1];
    let line = json!({ "code": code, "holder_name": "Ann Bee", "order_ref": "A-1", "note": "sits",
        "seat": { "row": "7" }, "media": ["nfc:04A1B2C3", "barcode:4006381333931"] });
    import(tenant, &line).await;
    let qr = tenant.qr(1).await;
    let scan = json!({ "qr": qr, "scan_id": new_id(), "metadata": { "guest": "Ann" } });
    let first = tenant.device.scan(&scan).await.expect(200).json();
    assert_eq!(
        (&first["ticket"]["note"], &first["ticket"]["seat"]["row"]),
        (&json!("sits"), &json!("7"))
    );
    // The caches of this node hold the ticket with its note.
    let duplicate = json!({ "qr": qr, "scan_id": new_id() });
    let denied = tenant.device.scan(&duplicate).await.expect(200).json();
    assert_eq!(denied["ticket"]["note"], "sits", "{denied}");

    let path = format!("{}/personal-data", event_path(tenant));
    assert_eq!(
        tenant.owner.call("DELETE", &path).await.expect(200).json(),
        json!({ "tickets": 1 })
    );
    let replay = tenant.device.scan(&scan).await.expect(200).json();
    assert_eq!(
        (&replay["replayed"], &replay["reason"]),
        (&json!(true), &json!("admitted"))
    );
    assert_eq!(
        (&replay["ticket"]["note"], &replay["ticket"]["seat"]),
        (&Value::Null, &Value::Null)
    );
    for body in [&duplicate, &json!({ "qr": qr, "scan_id": new_id() })] {
        let denied = tenant.device.scan(body).await.expect(200).json();
        assert_eq!(denied["reason"], "already_scanned", "{denied}");
        assert_eq!(
            (&denied["ticket"]["note"], &denied["ticket"]["seat"]),
            (&Value::Null, &Value::Null)
        );
    }
    let search = format!("{}/tickets?q=Ann", event_path(tenant));
    assert_eq!(
        tenant.owner.get(&search).await.expect(200).json()["data"],
        json!([])
    );
    let ticket = format!("{}/tickets/{code}", event_path(tenant));
    let ticket = tenant.owner.get(&ticket).await.expect(200).json();
    assert_eq!(ticket["media"], json!(["barcode:4006381333931"]));
    assert_eq!(ticket["scan_count"], 1);
    let scans = format!("/api/v1/scanning/scans?ticket_code={code}");
    let scans = tenant.owner.get(&scans).await.expect(200).json();
    for record in scans["data"].as_array().expect("records") {
        assert_eq!(record["metadata"], Value::Null, "{record}");
    }
    // Again, and it finds nothing.
    assert_eq!(
        tenant.owner.call("DELETE", &path).await.expect(200).json(),
        json!({ "tickets": 0 })
    );
    fixture
        .other_tenant
        .owner
        .call("DELETE", &path)
        .await
        .expect_problem(404, "not_found");
}

/// Every call about a deleted event, but the scan and the upload of its devices.
async fn every_call_knows_no_event(tenant: &Tenant) {
    let path = event_path(tenant);
    let code = &tenant.codes[0];
    let start: String = code.chars().take(6).collect();
    let scanning = format!("/api/v1/scanning/events/{}", tenant.event);
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("DELETE", format!("{path}/personal-data")),
        ("GET", format!("{path}/gates")),
        ("GET", format!("{path}/gates/{}", tenant.gate)),
        ("GET", format!("{path}/tickets")),
        ("GET", format!("{path}/tickets?q={start}")),
        ("GET", format!("{path}/tickets/{code}")),
        ("GET", format!("{path}/tickets/{code}/qr")),
        ("GET", format!("{scanning}/occupancy")),
        ("GET", format!("{scanning}/stream")),
    ] {
        let response = tenant.owner.call(method, &path).await;
        assert_eq!(response.status, 404, "{method} {path}: {response:?}");
    }
    let manifest = tenant.device.get(&format!("{scanning}/manifest")).await;
    manifest.expect_problem(404, "not_found");
    let change = json!({ "status": "voided" });
    let ticket = format!("{path}/tickets/{code}");
    let changed = tenant.owner.call_with("PATCH", &ticket, &change).await;
    changed.expect_problem(404, "not_found");
    let imported = tenant.owner.import(&tenant.event, "{}").await;
    imported.expect_problem(404, "not_found");
    let gate = format!("{path}/gates/{}", tenant.gate);
    let open = json!({ "name": "Main", "status": "open" });
    let put = tenant.owner.put(&gate, &open).await;
    put.expect_problem(404, "not_found");
    let put = json!({ "name": "Show", "status": "live" });
    let put = tenant.owner.put(&path, &put).await;
    put.expect_problem(409, "conflict");
}

/// The device of a deleted event has no session any more, and its uploads are rejected with a reason.
async fn its_device_has_no_session(tenant: &Tenant) {
    let body = json!({ "qr": "x", "scan_id": new_id() });
    let scanned = tenant.device.scan(&body).await;
    scanned.expect_problem(409, "no_active_session");
    let sync = json!({ "batch_id": new_id(), "sent_at": "2026-11-22T18:00:00Z", "scans": [{
        "scan_id": new_id(), "ticket_code": tenant.codes[0], "event_id": tenant.event, "gate_id": tenant.gate,
        "scanned_at": "2026-11-22T17:00:00Z", "local_result": "valid" }] });
    let synced = tenant.device.post("/api/v1/scanning/sync", &sync).await;
    let synced = synced.expect(200).json();
    let result = &synced["results"][0];
    assert_eq!(result["status"], "rejected", "{synced}");
    assert!(
        result["errors"]
            .as_array()
            .is_some_and(|errors| !errors.is_empty()),
        "{synced}"
    );
    assert_eq!(synced["rejected"], 1);
}

#[tokio::test]
async fn only_an_archived_event_with_the_expected_counts_is_deleted() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let path = event_path(tenant);
    let refuse = async |path: &str| {
        let refused = tenant.owner.call("DELETE", path).await;
        refused.expect_problem(409, "conflict");
    };
    refuse(&path).await;
    refuse(&format!("{path}?scans=1&tickets=10")).await;
    archive(tenant).await;
    for wrong in ["scans=0", "tickets=9", "scans=1&tickets=9", "scans=2&tickets=10"] {
        refuse(&format!("{path}?{wrong}")).await;
    }
    for (invalid, pointer) in [("scans=-1", "/scans"), ("tickets=many", "/tickets")] {
        let invalid = tenant.owner.call("DELETE", &format!("{path}?{invalid}")).await;
        let invalid = invalid.expect_problem(422, "validation_failed");
        assert_eq!(invalid.pointers(), [pointer]);
    }
    tenant.owner.get(&path).await.expect(200);
    let counted = format!("{path}?scans=1&tickets=10");
    let other = fixture.other_tenant.owner.call("DELETE", &counted).await;
    other.expect_problem(404, "not_found");
    let admin = tenant.member("admin").await.call("DELETE", &counted).await;
    admin.expect_problem(403, "forbidden");
    tenant.owner.call("DELETE", &counted).await.expect(202);
}

#[tokio::test]
async fn an_admin_deletes_what_was_made_by_a_rehearsal_and_nothing_else() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let admin = tenant.member("admin").await;
    let body = |status: &str, rehearsal: bool| json!({ "name": "Rehearsal: Show", "status": status, "rehearsal": rehearsal });
    // An event keeps what it was made as, whatever it is called or said to be later.
    for (made_as, later, status) in [
        (false, true, 403),
        (false, false, 403),
        (true, false, 202),
        (true, true, 202),
    ] {
        let path = format!("/api/v1/events/{}", new_id());
        let made = admin.put(&path, &body("live", made_as)).await.expect(201).json();
        assert_eq!(made.get("rehearsal").is_some(), made_as, "{made}");
        let refused = admin.call("DELETE", &path).await.status;
        assert_eq!(refused, if made_as { 409 } else { 403 }, "it is not archived");
        let archived = admin
            .put(&path, &body("archived", later))
            .await
            .expect(200)
            .json();
        assert_eq!(archived.get("rehearsal"), made.get("rehearsal"));
        let list = admin.get("/api/v1/events?limit=500").await.expect(200).json();
        assert!(
            list["data"].as_array().expect("a list").contains(&archived),
            "{list}"
        );
        for role in ["staff", "viewer"] {
            let caller = tenant.member(role).await;
            caller
                .call("DELETE", &path)
                .await
                .expect_problem(403, "forbidden");
        }
        let stranger = fixture.other_tenant.member("admin").await;
        stranger
            .call("DELETE", &path)
            .await
            .expect_problem(404, "not_found");
        admin.get(&path).await.expect(200);
        assert_eq!(
            admin.call("DELETE", &path).await.status,
            status,
            "{made_as} {later}"
        );
        let left = admin.get(&path).await.status;
        assert_eq!(left, if status == 202 { 404 } else { 200 });
    }
    let unknown = format!("/api/v1/events/{}", new_id());
    admin
        .call("DELETE", &unknown)
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_deleted_event_is_gone_for_every_call() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    archive(tenant).await;
    tenant.owner.call("DELETE", &event_path(tenant)).await.expect(202);
    every_call_knows_no_event(tenant).await;
    its_device_has_no_session(tenant).await;
    // The rows follow in the background.
    let scans = format!("/api/v1/scanning/scans?event_id={}", tenant.event);
    let sessions = format!("/api/v1/scanning/sessions?event_id={}", tenant.event);
    for list in [&scans, &sessions] {
        wait_until("the rows of the event are deleted", || async {
            tenant.owner.get(list).await.expect(200).json()["data"] == json!([])
        })
        .await;
    }
    every_call_knows_no_event(tenant).await;
    its_device_has_no_session(tenant).await;
    // The device works at another event.
    let next = tenant.event_at_the_same_gates("gate-2").await;
    let session = json!({ "event_id": next.event, "gate_id": next.gate });
    let started = tenant.device.post("/api/v1/scanning/sessions", &session).await;
    started.expect(201);
    let other = &fixture.other_tenant;
    other.owner.get(&event_path(other)).await.expect(200);
}

#[tokio::test]
async fn archived_events_are_listed_by_their_age() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let list = async |before: &str| {
        let path = format!("/api/v1/events?archived_before={before}");
        tenant.owner.get(&path).await.expect(200).json()["data"].clone()
    };
    assert_eq!(list("2100-01-01T00:00:00Z").await, json!([]), "it is live");
    archive(tenant).await;
    let listed = list("2100-01-01T00:00:00Z").await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!(listed[0]["id"], tenant.event);
    assert_eq!(list("2000-01-01T00:00:00Z").await, json!([]));
    let path = "/api/v1/events?archived_before=2100-01-01T00:00:00Z";
    tenant.device.get(path).await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn scans_are_answered_while_personal_data_and_an_event_are_deleted() {
    const TICKETS: usize = 2000;
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let lines: Vec<_> = (0..TICKETS)
        .map(|number| json!({ "holder_name": format!("Guest {number}") }).to_string())
        .collect();
    let old = tenant.event_at_the_same_gates("old").await;
    for event in [&tenant.event, &old.event] {
        let imported = tenant.owner.import(event, lines.join("\n")).await;
        assert_eq!(imported.expect(200).json()["inserted"], TICKETS);
    }
    archive(&old).await;
    let mut qrs = Vec::new();
    for index in 1..tenant.codes.len() {
        qrs.push(tenant.qr(index).await);
    }
    let calls = [format!("{}/personal-data", event_path(tenant)), event_path(&old)];
    let mut work = JoinSet::new();
    for path in calls {
        let owner = tenant.owner.clone();
        work.spawn(async move { owner.call("DELETE", &path).await.status });
    }
    let mut admitted = vec![0; qrs.len()];
    let mut statuses = Vec::new();
    while !work.is_empty() {
        for (qr, admitted) in qrs.iter().zip(&mut admitted) {
            let body = json!({ "qr": qr, "scan_id": new_id() });
            let answer = tenant.device.scan(&body).await.expect(200).json();
            if answer["reason"] == "admitted" {
                *admitted += 1;
            } else {
                assert_eq!(answer["reason"], "already_scanned", "{answer}");
            }
            let body = json!({ "qr": "a forgery", "scan_id": new_id() });
            let answer = fixture.other_tenant.device.scan(&body).await.expect(200).json();
            assert_eq!(answer["result"], "invalid_token", "{answer}");
        }
        while let Some(status) = work.try_join_next() {
            statuses.push(status.expect("no panic"));
        }
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 202]);
    assert_eq!(admitted, vec![1; qrs.len()], "each ticket admits once");
}

//! Scans: decisions, replays, undo, overrides, re-entry and the audit trail.

use serde_json::{Value, json};
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::{Fixture, wait_until};

fn decision(answer: &Value) -> (String, String) {
    let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    (text("result"), text("reason"))
}

fn assert_decision(answer: &Value, result: &str, reason: &str) {
    assert_eq!(
        decision(answer),
        (result.to_owned(), reason.to_owned()),
        "{answer}"
    );
}

#[tokio::test]
async fn a_ticket_admits_once_and_a_duplicate_names_the_first_scan() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let qr = tenant.qr(1).await;
    let first = tenant
        .device
        .scan(&json!({ "qr": qr, "metadata": { "lane": 4 } }))
        .await
        .expect(200)
        .json();
    assert_decision(&first, "valid", "admitted");
    assert_eq!(first["ticket"]["status"], "scanned");
    assert_eq!(
        first["occupancy"]["event"],
        json!({ "inside": 2, "capacity": 1000 })
    );
    let (other, _) = tenant.new_device("gate-2", &json!({})).await;
    tenant.start_session(&other, &tenant.other_gate).await;
    let second = other
        .scan(&json!({ "qr": format!("{qr}\r\n") }))
        .await
        .expect(200)
        .json();
    assert_decision(&second, "duplicate", "already_scanned");
    assert_eq!(second["previous_scan"]["scan_id"], first["scan_id"]);
    assert_eq!(second["previous_scan"]["same_device"], false);
    assert_eq!(second["previous_scan"]["gate"]["name"], "Main");
    let occupancy = format!("/api/v1/scanning/events/{}/occupancy", tenant.event);
    let counted = tenant.device.get(&occupancy).await.expect(200).json();
    assert_eq!(
        (&counted["event"]["inside"], &counted["event"]["entries"]),
        (&json!(2), &json!(2))
    );
}

#[tokio::test]
async fn the_audit_trail_records_every_scan_without_its_payload() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let qr = tenant.qr(1).await;
    for payload in [qr.as_str(), qr.as_str(), "nonsense"] {
        tenant.device.scan(&json!({ "qr": payload })).await.expect(200);
    }
    // A denial served from a cache is written behind.
    let read_trail = async || {
        let response = tenant.owner.get("/api/v1/scanning/scans").await;
        response.expect(200).json()
    };
    wait_until("every scan is on record", || async {
        read_trail().await["data"].as_array().map(Vec::len) == Some(4)
    })
    .await;
    let trail = read_trail().await;
    let reasons: Vec<_> = trail["data"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|scan| scan["reason"].clone())
        .collect();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
    assert!(!trail.to_string().contains(&qr));
    let of_code = format!(
        "/api/v1/scanning/scans?ticket_code={}&result=valid",
        tenant.codes[1]
    );
    let found = tenant.owner.get(&of_code).await.expect(200).json();
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1));

    let export = |role: &'static str| async move {
        let member = tenant
            .member(role)
            .await
            .with_header("accept", "application/x-ndjson");
        member.get("/api/v1/scanning/scans").await.expect(200)
    };
    let exported = export("admin").await;
    assert_eq!(exported.header("content-type"), Some("application/x-ndjson"));
    let lines = exported.lines();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[1]["qr"], json!(qr), "signed again, oldest first");
    // Two denials in the same millisecond are in the order of their ids.
    let malformed: Vec<_> = lines
        .iter()
        .filter(|line| line["reason"] == "malformed")
        .collect();
    assert_eq!(malformed.len(), 1);
    assert!(malformed[0]["qr"].is_null());
    assert!(
        export("viewer")
            .await
            .lines()
            .iter()
            .all(|line| line["qr"].is_null())
    );
}

#[tokio::test]
async fn a_retry_replays_the_first_answer_and_a_reused_scan_id_is_a_conflict() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let body = json!({ "qr": tenant.qr(1).await, "scan_id": new_id() });
    let first = tenant.device.scan(&body).await.expect(200).json();
    let mut again = tenant.device.scan(&body).await.expect(200).json();
    assert_eq!(again["replayed"], true);
    again["replayed"] = json!(false);
    again["occupancy"] = first["occupancy"].clone();
    assert_eq!(again, first);
    let (other, _) = tenant.new_device("gate-2", &json!({})).await;
    tenant.start_session(&other, &tenant.gate).await;
    other.scan(&body).await.expect_problem(409, "scan_id_reused");
    let mut exit = body.clone();
    exit["direction"] = json!("exit");
    tenant
        .device
        .scan(&exit)
        .await
        .expect_problem(409, "scan_id_reused");
}

#[tokio::test]
async fn a_ticket_admits_again_after_an_undo() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let undo = format!("/api/v1/scanning/scans/{}/undo", tenant.scan_id);
    let reason = json!({ "reason": "wrong queue" });
    let (other, _) = tenant.new_device("gate-2", &json!({})).await;
    other.post(&undo, &reason).await.expect_problem(403, "forbidden");
    let undone = tenant.device.post(&undo, &reason).await.expect(200).json();
    assert_eq!(undone["undone"]["reason"], "wrong queue");
    let twice = tenant
        .member("staff")
        .await
        .post(&undo, &json!({ "reason": "again" }))
        .await
        .expect(200)
        .json();
    assert_eq!(twice, undone);
    let qr = tenant.qr(0).await;
    tenant
        .device
        .scan(&json!({ "qr": qr, "scan_id": tenant.scan_id }))
        .await
        .expect_problem(409, "scan_undone");
    let next = tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json();
    assert_decision(&next, "valid", "admitted");
    let denied = tenant
        .device
        .scan(&json!({ "qr": "nonsense", "scan_id": new_id() }))
        .await
        .json();
    let undo = format!(
        "/api/v1/scanning/scans/{}/undo",
        denied["scan_id"].as_str().expect("an id")
    );
    tenant
        .owner
        .post(&undo, &reason)
        .await
        .expect_problem(409, "conflict");
}

#[tokio::test]
async fn an_override_admits_despite_the_rules_and_a_dry_run_records_nothing() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (chief, _) = tenant.new_device("chief", &json!({ "can_override": true })).await;
    tenant.start_session(&chief, &tenant.gate).await;
    let qr = tenant.qr(0).await;
    let forced = json!({ "qr": qr, "override": { "reason": "knows the band" } });
    let mut dry = forced.clone();
    dry["dry_run"] = json!(true);
    let dry_run = chief.scan(&dry).await.expect(200).json();
    assert_decision(&dry_run, "valid", "overridden");
    assert!(dry_run["scan_id"].is_null());
    let answer = chief.scan(&forced).await.expect(200).json();
    assert_decision(&answer, "valid", "overridden");
    assert_eq!(answer["occupancy"]["event"]["inside"], 2);
    let path = format!("/api/v1/scanning/scans?ticket_code={}", tenant.codes[0]);
    let trail = tenant.owner.get(&path).await.expect(200).json();
    assert_eq!(
        trail["data"].as_array().map(Vec::len),
        Some(2),
        "the dry run is not on record"
    );
    assert_eq!(trail["data"][0]["would_have_been"]["reason"], "already_scanned");
}

#[tokio::test]
async fn a_ticket_readmits_after_an_exit() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let event = format!("/api/v1/events/{}", tenant.event);
    let policy = json!({ "name": "Show", "status": "live", "reentry": "after_exit" });
    tenant.owner.put(&event, &policy).await.expect(200);
    let qr = tenant.qr(0).await;
    let scan = |direction: &'static str| {
        let body = json!({ "qr": qr, "direction": direction });
        async move { tenant.device.scan(&body).await.expect(200).json() }
    };
    assert_decision(&scan("entry").await, "duplicate", "already_inside");
    assert_decision(&scan("exit").await, "valid", "exited");
    assert_decision(&scan("exit").await, "refused", "not_inside");
    assert_decision(&scan("entry").await, "valid", "readmitted");
}

#[tokio::test]
async fn a_change_of_an_event_a_gate_or_a_ticket_applies_to_the_next_scan() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let event = format!("/api/v1/events/{}", tenant.event);
    let gate = format!("{event}/gates/{}", tenant.gate);
    let ticket = format!("{event}/tickets/{}", tenant.codes[1]);
    let qr = tenant.qr(1).await;
    let scan = || async { tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json() };
    for (path, method, change, reason, revert) in [
        (
            &event,
            "PUT",
            json!({ "name": "Show", "status": "ended" }),
            "event_not_live",
            json!({ "name": "Show", "status": "live" }),
        ),
        (
            &gate,
            "PUT",
            json!({ "name": "Main", "status": "closed" }),
            "gate_closed",
            json!({ "name": "Main", "status": "open" }),
        ),
        (
            &gate,
            "PUT",
            json!({ "name": "Main", "status": "open", "capacity": 0 }),
            "gate_full",
            json!({ "name": "Main", "status": "open" }),
        ),
        (
            &ticket,
            "PATCH",
            json!({ "status": "voided" }),
            "ticket_voided",
            json!({ "status": "active" }),
        ),
        (
            &ticket,
            "PATCH",
            json!({ "status": "refunded" }),
            "ticket_refunded",
            json!({ "status": "active" }),
        ),
    ] {
        tenant.owner.call_with(method, path, &change).await.expect(200);
        assert_decision(&scan().await, "refused", reason);
        tenant.owner.call_with(method, path, &revert).await.expect(200);
    }
    assert_decision(&scan().await, "valid", "admitted");
    tenant
        .owner
        .call_with("PATCH", &ticket, &json!({ "status": "voided" }))
        .await
        .expect(200);
    assert_decision(&scan().await, "refused", "ticket_voided");
    let lifted = tenant
        .owner
        .call_with("PATCH", &ticket, &json!({ "status": "active" }))
        .await
        .expect(200)
        .json();
    assert_eq!(lifted["status"], "scanned", "its admission still counts");
}

#[tokio::test]
async fn of_24_concurrent_scans_of_a_ticket_one_admits() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    tenant
        .owner
        .import(&tenant.event, "{}\n".repeat(40))
        .await
        .expect(200);
    let listed = tenant
        .owner
        .get(&format!(
            "/api/v1/events/{}/tickets?limit=500&status=active",
            tenant.event
        ))
        .await;
    let rows = listed.expect(200).json();
    let codes = rows["data"]
        .as_array()
        .expect("rows")
        .iter()
        .take(40)
        .map(|row| row["code"].clone());
    let mut devices = Vec::new();
    for lane in 0..12 {
        let (device, _) = tenant.new_device(&format!("lane-{lane}"), &json!({})).await;
        tenant.start_session(&device, &tenant.gate).await;
        devices.push(device);
    }
    for code in codes {
        let path = format!(
            "/api/v1/events/{}/tickets/{}/qr",
            tenant.event,
            code.as_str().expect("a code")
        );
        let qr = tenant.owner.get(&path).await.expect(200).text().to_owned();
        let scans = (0..24).map(|n| {
            let (device, body) = (devices[n % 12].clone(), json!({ "qr": qr }));
            tokio::spawn(async move { decision(&device.scan(&body).await.expect(200).json()) })
        });
        let mut decisions: Vec<_> = futures_util::future::join_all(scans)
            .await
            .into_iter()
            .map(|one| one.expect("a scan"))
            .collect();
        decisions.sort();
        let duplicate = ("duplicate".to_owned(), "already_scanned".to_owned());
        assert!(
            decisions[..23].iter().all(|one| *one == duplicate),
            "{decisions:?}"
        );
        assert_eq!(decisions[23], ("valid".to_owned(), "admitted".to_owned()));
    }
    let occupancy = format!("/api/v1/scanning/events/{}/occupancy", tenant.event);
    assert_eq!(
        tenant.owner.get(&occupancy).await.expect(200).json()["event"]["inside"],
        41
    );
}

#[tokio::test]
async fn a_wrapped_reading_is_admitted_once_and_a_shifted_one_warns_of_the_scanners_settings() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let qr = tenant.qr(1).await;
    let wrapped = format!("]Q2\\000026\u{feff}*{qr}*\u{3}\r\n");
    let scan_id = new_id();
    let body = json!({ "qr": wrapped, "scan_id": scan_id });
    let first = tenant.device.scan(&body).await.expect(200).json();
    assert_eq!(first["reason"], "admitted", "{first}");
    // The same scan without what the scanner wrapped around it is its retry.
    let body = json!({ "qr": qr, "scan_id": scan_id });
    let retry = tenant.device.scan(&body).await.expect(200).json();
    assert_eq!(
        (&retry["replayed"], &retry["reason"]),
        (&true.into(), &first["reason"])
    );
    for text in [qr.to_uppercase(), qr.to_lowercase()] {
        let body = json!({ "qr": text });
        let denied = tenant.device.scan(&body).await.expect(200).json();
        assert_eq!(denied["result"], "invalid_token", "{denied}");
        assert_eq!(denied["warnings"], json!(["scanner_settings"]), "{denied}");
    }
}

#[tokio::test]
async fn a_retry_after_the_device_has_moved_shows_the_occupancy_of_the_first_gate() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (other_event, gate_of_other_event) = (new_id(), new_id());
    let path = format!("/api/v1/events/{other_event}");
    let event = json!({ "name": "Matinee", "status": "live", "capacity": 7 });
    tenant.owner.put(&path, &event).await.expect(201);
    let gate = json!({ "name": "Main", "status": "open", "capacity": 5 });
    let path = format!("{path}/gates/{gate_of_other_event}");
    tenant.owner.put(&path, &gate).await.expect(201);
    let scan = json!({ "qr": tenant.qr(1).await, "scan_id": new_id() });
    let first = tenant.device.scan(&scan).await.expect(200).json();
    assert_decision(&first, "valid", "admitted");
    for (event, gate) in [
        (&tenant.event, &tenant.other_gate),
        (&other_event, &gate_of_other_event),
    ] {
        let session = json!({ "event_id": event, "gate_id": gate, "replace": true });
        tenant
            .device
            .post("/api/v1/scanning/sessions", &session)
            .await
            .expect(201);
        let retry = tenant.device.scan(&scan).await.expect(200).json();
        assert_eq!(retry["replayed"], true, "{retry}");
        assert_eq!(retry["occupancy"], first["occupancy"], "{retry}");
    }
}

#[tokio::test]
async fn a_device_can_be_tried_at_a_published_event_and_a_message_says_why_nobody_enters() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let path = format!("/api/v1/events/{}", tenant.event);
    let qr = tenant.qr(1).await;
    let far = "9999-01-01T00:00:00Z";
    let published = json!({ "name": "Show", "status": "published", "doors_open_at": far });
    tenant.owner.put(&path, &published).await.expect(200);
    let trial = json!({ "qr": qr, "dry_run": true });
    let answer = tenant.device.scan(&trial).await.expect(200).json();
    assert_decision(&answer, "valid", "admitted");
    assert_eq!(answer["warnings"], json!(["event_not_live"]), "{answer}");
    let malformed = json!({ "qr": "nonsense", "dry_run": true });
    let answer = tenant.device.scan(&malformed).await.expect(200).json();
    assert_decision(&answer, "invalid_token", "malformed");
    for (fields, reason, message) in [
        (
            json!({ "status": "published" }),
            "event_not_live",
            "The event is not open for entry",
        ),
        (
            json!({ "status": "cancelled" }),
            "event_cancelled",
            "The event is cancelled",
        ),
        (
            json!({ "status": "postponed" }),
            "event_postponed",
            "The event is postponed",
        ),
        (
            json!({ "status": "live", "doors_open_at": far }),
            "doors_not_open",
            "Doors are not open yet",
        ),
        (
            json!({ "status": "live", "doors_close_at": "2020-01-01T00:00:00Z" }),
            "doors_closed",
            "Doors are closed",
        ),
    ] {
        let mut event = fields;
        event["name"] = json!("Show");
        tenant.owner.put(&path, &event).await.expect(200);
        let answer = tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json();
        assert_decision(&answer, "refused", reason);
        assert_eq!(answer["message"], message);
        assert_eq!(answer["warnings"], json!([]), "{answer}");
    }
}

//! Sync: the upload of scans that a phone decided offline.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Fixture, socket};

const SYNC: &str = "/api/v1/scanning/sync";
const CONFLICTS: &str = "/api/v1/scanning/conflicts";

/// A scan that a phone admitted offline, this many seconds past the hour.
fn admitted_offline(gate: &str, qr: &str, seconds: u32) -> Value {
    json!({
        "scan_id": new_id(), "qr": qr, "gate_id": gate, "scanned_at": at(seconds),
        "local_result": "valid", "local_reason": "admitted"
    })
}

fn at(seconds: u32) -> String {
    format!("2026-11-20T18:{:02}:{:02}Z", seconds / 60, seconds % 60)
}

/// The server's time, as the phone's clock. The server then has no clock difference to correct.
async fn server_time(device: &Client) -> Value {
    device.get("/api/v1/scanning/device").await.expect(200).json()["server_time"].clone()
}

async fn upload(device: &Client, scans: &[Value]) -> Value {
    let sent_at = server_time(device).await;
    let batch = json!({ "batch_id": new_id(), "sent_at": sent_at, "scans": scans });
    let answer = device.post(SYNC, &batch).await.expect(200).json();
    assert_eq!(answer["batch_id"], batch["batch_id"]);
    answer
}

fn statuses(answer: &Value) -> Vec<&str> {
    let results = answer["results"].as_array().expect("results");
    results.iter().filter_map(|one| one["status"].as_str()).collect()
}

async fn conflicts(tenant: &Tenant) -> Vec<Value> {
    let path = format!("{CONFLICTS}?event_id={}", tenant.event);
    let page = tenant.owner.get(&path).await.expect(200).json();
    page["data"].as_array().expect("rows").clone()
}

async fn inside(tenant: &Tenant) -> Value {
    let path = format!("/api/v1/scanning/events/{}/occupancy", tenant.event);
    tenant.owner.get(&path).await.expect(200).json()["event"]["inside"].clone()
}

#[tokio::test]
async fn one_ticket_at_two_phones_is_the_same_conflict_in_either_upload_order() {
    let fixture = Fixture::new().await;
    let mut outcomes = Vec::new();
    for (tenant, reversed) in [(&fixture.tenant, false), (&fixture.other_tenant, true)] {
        let qr = tenant.qr(1).await;
        let (other, _) = tenant.new_device("phone-2", &json!({})).await;
        let first = admitted_offline(&tenant.gate, &qr, 10);
        let second = admitted_offline(&tenant.other_gate, &qr, 20);
        let mut uploads = [(&tenant.device, &first), (&other, &second)];
        if reversed {
            uploads.reverse();
        }
        let before = inside(tenant).await;
        for (device, scan) in uploads {
            let answer = upload(device, std::slice::from_ref(scan)).await;
            assert_eq!(statuses(&answer), ["recorded"], "{answer}");
        }
        let again = upload(&other, std::slice::from_ref(&second)).await;
        assert_eq!(
            (&again["recorded"], &again["replayed"], &again["conflicts"]),
            (&json!(0), &json!(1), &json!(1))
        );
        let result = &again["results"][0];
        assert_eq!(
            (&result["result"], &result["reason"]),
            (&json!("duplicate"), &json!("already_scanned"))
        );
        assert_eq!(result["conflict"]["kind"], "double_entry");
        let after = inside(tenant).await;
        assert_eq!(after.as_i64(), before.as_i64().map(|people| people + 2));
        let listed = conflicts(tenant).await;
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0], result["conflict"]);
        assert_eq!(listed[0]["winner_scan_id"], first["scan_id"]);
        assert_eq!(listed[0]["other_scan_id"], second["scan_id"]);
        assert_eq!(listed[0]["ticket_code"], json!(tenant.codes[1]));
        assert_eq!(listed[0]["gates"][1]["name"], "Side");
        let ticket = format!("/api/v1/events/{}/tickets/{}", tenant.event, tenant.codes[1]);
        let ticket = tenant.owner.get(&ticket).await.expect(200).json();
        outcomes.push((
            listed[0]["kind"].clone(),
            listed[0]["times"].clone(),
            ticket["scan_count"].clone(),
        ));
        // An online scan knows both offline admissions.
        let late = tenant.device.scan(&json!({ "qr": qr })).await.expect(200).json();
        assert_eq!(late["reason"], "already_scanned");
    }
    assert_eq!(outcomes[0], outcomes[1]);
}

#[tokio::test]
async fn an_invalid_scan_is_rejected_by_field_and_the_others_are_recorded() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut numbered = admitted_offline(&tenant.gate, &tenant.qr(2).await, 30);
    numbered["sequence"] = json!(4);
    let mut wrong_time = numbered.clone();
    wrong_time["scanned_at"] = json!("yesterday");
    wrong_time["sequence"] = json!(2);
    let mut elsewhere = numbered.clone();
    elsewhere["gate_id"] = json!(fixture.other_tenant.gate);
    elsewhere["scan_id"] = json!(new_id());
    let answer = upload(&tenant.device, &[wrong_time, json!(7), elsewhere, numbered]).await;
    assert_eq!(
        statuses(&answer),
        ["rejected", "rejected", "rejected", "recorded"]
    );
    let pointer = |at: usize| answer["results"][at]["errors"][0]["pointer"].clone();
    assert_eq!(
        [pointer(0), pointer(1), pointer(2)],
        [json!("/scanned_at"), json!(""), json!("/gate_id")]
    );
    assert_eq!(answer["missing_sequences"], json!([[1, 1], [3, 3]]));
    assert_eq!((&answer["recorded"], &answer["rejected"]), (&json!(1), &json!(3)));
}

#[tokio::test]
async fn an_invalid_batch_is_a_422_and_a_too_large_one_a_413() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let valid = json!({ "batch_id": new_id(), "sent_at": at(0), "scans": [] });
    tenant.device.post(SYNC, &valid).await.expect(200);
    for (field, value, pointer) in [
        ("batch_id", Value::Null, "/batch_id"),
        ("sent_at", json!("now"), "/sent_at"),
        ("scans", json!({}), "/scans"),
        ("scans", json!(vec![0; 1001]), "/scans"),
        ("signature", json!("AA"), "/signature"),
    ] {
        let mut batch = valid.clone();
        batch[field] = value;
        let problem = tenant
            .device
            .post(SYNC, &batch)
            .await
            .expect_problem(422, "validation_failed");
        assert_eq!(problem.json()["errors"][0]["pointer"], pointer, "{field}");
    }
    let mut large = valid.clone();
    large["scans"] = json!([{ "note": "x".repeat(15 * 1024 * 1024) }]);
    let answer = tenant.device.post(SYNC, &large).await.expect(200).json();
    assert_eq!(statuses(&answer), ["rejected"]);
    large["scans"] = json!([{ "note": "x".repeat(17 * 1024 * 1024) }]);
    tenant
        .device
        .post(SYNC, &large)
        .await
        .expect_problem(413, "body_too_large");
}

#[tokio::test]
async fn the_upload_of_a_revoked_phone_is_quarantined_and_admits_no_ticket() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let scan = admitted_offline(&tenant.gate, &tenant.qr(3).await, 40);
    let sent_at = server_time(&tenant.device).await;
    let batch = json!({ "batch_id": new_id(), "sent_at": sent_at, "scans": [scan] });
    let path = format!("/api/v1/scanning/devices/{}", tenant.device_id);
    // An inactive device gets 401, keeps its scans and may upload them later.
    tenant
        .owner
        .call_with("PATCH", &path, &json!({ "status": "inactive" }))
        .await
        .expect(200);
    tenant
        .device
        .post(SYNC, &batch)
        .await
        .expect_problem(401, "device_inactive");
    // Its body is not looked at.
    tenant
        .device
        .post(SYNC, &json!({ "scans": 7 }))
        .await
        .expect_problem(401, "device_inactive");
    tenant.owner.call("DELETE", &path).await.expect(204);
    let before = inside(tenant).await;
    for _ in 0..2 {
        let answer = tenant.device.post(SYNC, &batch).await.expect(202).json();
        assert_eq!(statuses(&answer), ["quarantined"]);
        assert_eq!(answer["results"][0]["result"], Value::Null);
    }
    tenant
        .device
        .get("/api/v1/scanning/device")
        .await
        .expect_problem(401, "device_inactive");
    assert_eq!(inside(tenant).await, before);
    let listed = conflicts(tenant).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["kind"], &listed[0]["winner_scan_id"]),
        (&json!("unverified"), &Value::Null)
    );
    let none = tenant
        .owner
        .get(&format!("{CONFLICTS}?kind=double_entry"))
        .await
        .expect(200)
        .json();
    assert_eq!(none["data"], json!([]));
    tenant
        .owner
        .get(&format!("{CONFLICTS}?kind=rumour"))
        .await
        .expect_problem(422, "validation_failed");
    let foreign = fixture.other_tenant.owner.get(CONFLICTS).await.expect(200).json();
    assert_eq!(
        foreign["data"],
        json!([]),
        "another organization does not see the conflict"
    );
}

#[tokio::test]
async fn a_scan_that_is_sent_online_and_by_upload_admits_once() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let qr = tenant.qr(4).await;
    let mut scan = admitted_offline(&tenant.gate, &qr, 50);
    let request = json!({ "qr": qr, "scan_id": scan["scan_id"] });
    let online = tenant.device.scan(&request).await.expect(200).json();
    assert_eq!(online["reason"], "admitted");
    let before = inside(tenant).await;
    let answer = upload(&tenant.device, std::slice::from_ref(&scan)).await;
    assert_eq!(statuses(&answer), ["replayed"]);
    assert_eq!(inside(tenant).await, before);
    // The other order: uploaded first, then sent online.
    let qr = tenant.qr(5).await;
    scan = admitted_offline(&tenant.gate, &qr, 60);
    upload(&tenant.device, std::slice::from_ref(&scan)).await;
    let request = json!({ "qr": qr, "scan_id": scan["scan_id"] });
    let online = tenant.device.scan(&request).await.expect(200).json();
    assert_eq!(
        (&online["reason"], &online["replayed"]),
        (&json!("admitted"), &json!(true))
    );
}

#[tokio::test]
async fn an_item_that_is_no_json_is_rejected_alone() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let nested = format!(r#"{{"a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let mut items = Vec::new();
    for (name, value) in [
        ("qr", r#""\ud83d""#),
        ("metadata", r#"{"a":1e400}"#),
        ("metadata", nested.as_str()),
        ("sequence", r#""7""#),
        ("scanned_at", "1768161845"),
    ] {
        let mut scan = admitted_offline(&tenant.gate, &tenant.qr(0).await, 10);
        scan.as_object_mut().expect("an object").remove(name);
        let scan = scan.to_string();
        items.push((
            format!("{},\"{name}\":{value}}}", scan.trim_end_matches('}')),
            format!("/{name}"),
        ));
    }
    items.push(("nope".to_owned(), String::new()));
    let valid = admitted_offline(&tenant.gate, &tenant.qr(1).await, 20);
    items.push((valid.to_string(), "valid".to_owned()));
    let sent_at = server_time(&tenant.device).await;
    let texts: Vec<&str> = items.iter().map(|(text, _)| text.as_str()).collect();
    let body = format!(
        r#"{{"batch_id":"{}","sent_at":{sent_at},"scans":[{}]}}"#,
        new_id(),
        texts.join(",")
    );
    let answer = tenant
        .device
        .send("POST", SYNC, Some("application/json"), body)
        .await
        .expect(200)
        .json();
    for (at, (text, pointer)) in items.iter().enumerate() {
        let result = &answer["results"][at];
        if pointer == "valid" {
            assert_eq!(result["status"], "recorded", "{answer}");
        } else {
            assert_eq!(result["status"], "rejected", "{text}");
            assert_eq!(result["errors"][0]["pointer"], json!(pointer), "{text}");
        }
    }
}

#[tokio::test]
async fn only_an_active_device_may_send_more_than_64_kib() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut batch =
        json!({ "batch_id": new_id(), "sent_at": at(0), "scans": [], "note": "x".repeat(70_000) });
    tenant.device.post(SYNC, &batch).await.expect(200);
    tenant
        .owner
        .post(SYNC, &batch)
        .await
        .expect_problem(413, "body_too_large");
    let path = format!("/api/v1/scanning/devices/{}", tenant.device_id);
    tenant.owner.call("DELETE", &path).await.expect(204);
    tenant
        .device
        .post(SYNC, &batch)
        .await
        .expect_problem(413, "body_too_large");
    batch["note"] = json!("x".repeat(60_000));
    tenant.device.post(SYNC, &batch).await.expect(202);
    tenant
        .owner
        .post(SYNC, &batch)
        .await
        .expect_problem(403, "forbidden");
}

#[tokio::test]
async fn a_device_has_one_upload_under_way() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let body = json!({ "batch_id": new_id(), "sent_at": at(0), "scans": [] });
    let text = body.to_string();
    let head = format!(
        "POST {SYNC} HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        tenant.device.token(),
        text.len()
    );
    let mut first = socket::send_and_keep_open(fixture.server.address(), head.as_bytes()).await;
    socket::read_continue(&mut first).await;
    let refused = tenant
        .device
        .post(SYNC, &body)
        .await
        .expect_problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    // Another device, and a scan of the same one, go on.
    let (other, _) = tenant.new_device("phone-2", &json!({})).await;
    other.post(SYNC, &body).await.expect(200);
    tenant.device.scan(&json!({ "qr": "x" })).await.expect(200);
    first.write_all(text.as_bytes()).await.expect("written");
    let answer = socket::read_to_end(&mut first).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    tenant.device.post(SYNC, &body).await.expect(200);
}

#[tokio::test]
async fn missing_numbers_are_listed_up_to_a_hundred_gaps() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let qr = tenant.qr(0).await;
    let scans: Vec<Value> = (1..=150)
        .map(|number| {
            let mut scan = admitted_offline(&tenant.gate, &qr, number);
            scan["local_result"] = json!("duplicate");
            scan["local_reason"] = json!("already_scanned");
            scan["sequence"] = json!(2 * number);
            scan
        })
        .collect();
    let answer = upload(&tenant.device, &scans).await;
    assert_eq!(answer["missing_sequences"].as_array().expect("gaps").len(), 100);
    assert_eq!(answer["missing_sequences"][99], json!([199, 199]));
    assert_eq!(answer["missing_more"], json!(50));
}

#[tokio::test]
async fn a_quarantined_scan_that_staff_accept_is_recorded() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let scan = admitted_offline(&tenant.gate, &tenant.qr(3).await, 40);
    let path = format!("/api/v1/scanning/devices/{}", tenant.device_id);
    let sent_at = server_time(&tenant.device).await;
    tenant.owner.call("DELETE", &path).await.expect(204);
    let batch = json!({ "batch_id": new_id(), "sent_at": sent_at, "scans": [scan] });
    tenant.device.post(SYNC, &batch).await.expect(202);
    let before = inside(tenant).await;
    let path = format!("{CONFLICTS}/{}/accept", scan["scan_id"].as_str().expect("an id"));
    let reason = json!({ "reason": "Ann saw them come in" });
    for role in ["staff", "viewer"] {
        tenant
            .member(role)
            .await
            .post(&path, &reason)
            .await
            .expect_problem(403, "forbidden");
    }
    fixture
        .other_tenant
        .owner
        .post(&path, &reason)
        .await
        .expect_problem(404, "not_found");
    let unknown = format!("{CONFLICTS}/{}/accept", new_id());
    tenant
        .owner
        .post(&unknown, &reason)
        .await
        .expect_problem(404, "not_found");
    tenant
        .owner
        .post(&path, &json!({}))
        .await
        .expect_problem(422, "validation_failed");
    let accepted = tenant
        .member("admin")
        .await
        .post(&path, &reason)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&accepted["result"], &accepted["reason"], &accepted["source"]),
        (&json!("valid"), &json!("admitted"), &json!("sync"))
    );
    assert_eq!(
        tenant.owner.post(&path, &reason).await.expect(200).json(),
        accepted
    );
    let after = inside(tenant).await;
    assert_eq!(after.as_i64(), before.as_i64().map(|people| people + 1));
    assert_eq!(conflicts(tenant).await, Vec::<Value>::new());
}

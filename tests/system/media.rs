//! Media: tickets of other systems and wristbands, at the gate and in the administration.

use serde_json::{Value, json};
use voelgoed_scan_core::manifest::{Manifest, TicketKey, VerifiedManifest};
use voelgoed_scan_core::model::{DeviceSelf, Medium};
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Fixture, wait_until};

const EAN: &str = "4006381333931";
/// The secret of another system's ticket: 32 characters.
const SECRET: &str = "9f86d081884c7d659a2feaa0c55ad015";
const BAND: &str = "nfc:04A1B2C3D4E5F6";

async fn set_event(tenant: &Tenant, event: &str, fields: Value) {
    let mut body = json!({ "name": "Kirkwood Fees", "status": "live", "capacity": 1000 });
    for (name, value) in fields.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let put = tenant.owner.put(&format!("/api/v1/events/{event}"), &body).await;
    assert!(matches!(put.status, 200 | 201), "{}", put.text());
}

/// Imports a ticket and returns its code.
async fn import(tenant: &Tenant, event: &str, line: &Value) -> String {
    let path = format!("/api/v1/events/{event}/tickets?return=codes");
    let sent = tenant
        .owner
        .send("POST", &path, Some("application/x-ndjson"), line.to_string())
        .await
        .expect(200);
    let lines = sent.lines();
    assert_eq!(lines.last().expect("counts")["rejected"], 0, "{lines:?}");
    lines[0]["code"].as_str().expect("a code").to_owned()
}

/// An event that lets media in, with a ticket of another system that also has a wristband.
async fn with_media(tenant: &Tenant) -> String {
    set_event(tenant, &tenant.event, json!({ "allow_media": true })).await;
    let media = json!([format!("barcode:{EAN}"), format!("barcode:{SECRET}"), BAND]);
    import(
        tenant,
        &tenant.event,
        &json!({ "media": media, "ticket_class": "Partner" }),
    )
    .await
}

async fn scan(device: &Client, body: Value) -> Value {
    device.scan(&body).await.expect(200).json()
}

fn reason(answer: &Value) -> &str {
    answer["reason"].as_str().expect("a reason")
}

/// Uploads one scan and returns its result.
async fn upload(tenant: &Tenant, gate: &str, fields: Value) -> Value {
    let mut item = json!({ "scan_id": new_id(), "event_id": tenant.event, "gate_id": gate,
        "scanned_at": "2026-11-22T18:00:00.000Z" });
    for (name, value) in fields.as_object().expect("an object") {
        item[name] = value.clone();
    }
    let batch = json!({ "batch_id": new_id(), "sent_at": "2026-11-22T18:00:00.000Z", "scans": [item] });
    let answer = tenant
        .device
        .post("/api/v1/scanning/sync", &batch)
        .await
        .expect(200)
        .json();
    answer["results"][0].clone()
}

#[tokio::test]
async fn a_ticket_of_another_system_admits_once_whatever_of_it_is_read() {
    for first in [
        json!({ "qr": format!("]E0{EAN}\r\n") }),
        json!({ "qr": SECRET }),
        json!({ "medium": format!("barcode:{EAN}") }),
        json!({ "medium": BAND }),
        json!({ "qr": "its code" }),
    ] {
        let fixture = Fixture::new().await;
        let tenant = &fixture.tenant;
        let code = with_media(tenant).await;
        let path = format!("/api/v1/events/{}/tickets/{code}/qr", tenant.event);
        let qr = tenant.owner.get(&path).await.expect(200).text().to_owned();
        let first = if first["qr"] == "its code" {
            json!({ "qr": qr })
        } else {
            first
        };
        let mut previewed = first.clone();
        previewed["dry_run"] = true.into();
        assert_eq!(
            reason(&scan(&tenant.device, previewed.clone()).await),
            "admitted",
            "dry run: {first}"
        );
        let admitted = scan(&tenant.device, first.clone()).await;
        assert_eq!(reason(&admitted), "admitted", "{first}: {admitted}");
        assert_eq!(admitted["ticket"]["code"], json!(code));
        assert_eq!(admitted["ticket"]["ticket_class"], "Partner");
        assert_eq!(
            reason(&scan(&tenant.device, previewed).await),
            "already_scanned",
            "dry run: {first}"
        );
        let all = [
            json!({ "qr": EAN }),
            json!({ "qr": SECRET }),
            json!({ "medium": BAND }),
            json!({ "qr": qr }),
        ];
        for again in &all {
            let denied = scan(&tenant.device, again.clone()).await;
            assert_eq!(reason(&denied), "already_scanned", "{first}, then {again}");
            assert_eq!(
                denied["decided_by"], "memory",
                "one ticket in every tier: {denied}"
            );
            assert_eq!(
                denied["previous_scan"]["scan_id"], admitted["scan_id"],
                "{denied}"
            );
        }
        for again in &all {
            let mut item = again.clone();
            item["local_result"] = "valid".into();
            item["local_reason"] = "admitted".into();
            let uploaded = upload(tenant, &tenant.gate, item).await;
            assert_eq!(
                uploaded["conflict"]["kind"], "double_entry",
                "{again}: {uploaded}"
            );
        }
    }
}

#[tokio::test]
async fn the_upload_of_a_medium_is_judged_like_that_of_a_payload() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let code = with_media(tenant).await;
    let decided = upload(tenant, &tenant.gate, json!({ "qr": EAN })).await;
    assert_eq!(reason(&decided), "admitted", "decided at the upload: {decided}");
    let denied = scan(&tenant.device, json!({ "medium": BAND })).await;
    assert_eq!(reason(&denied), "already_scanned");
    let unknown = upload(
        tenant,
        &tenant.gate,
        json!({ "qr": "no such barcode", "local_result": "valid" }),
    )
    .await;
    assert_eq!(reason(&unknown), "ticket_not_found");
    assert_eq!(unknown["conflict"]["kind"], "not_admissible");
    let both = upload(tenant, &tenant.gate, json!({ "qr": EAN, "medium": BAND })).await;
    assert_eq!(both["status"], "rejected", "{both}");
    let malformed = upload(tenant, &tenant.gate, json!({ "medium": "nfc:04a1b2c3" })).await;
    assert_eq!(malformed["status"], "rejected");
    assert_eq!(malformed["errors"][0]["pointer"], "/medium", "{malformed}");
    let path = format!("/api/v1/scanning/scans?ticket_code={code}");
    let records = tenant.owner.get(&path).await.expect(200).json();
    assert!(
        records["data"].as_array().is_some_and(|rows| !rows.is_empty()),
        "{records}"
    );
}

#[tokio::test]
async fn a_quarantined_scan_of_a_medium_is_recorded_once_staff_accept_it() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let code = with_media(tenant).await;
    let device = format!("/api/v1/scanning/devices/{}", tenant.device_id);
    let set_scope = async |scope: Value| {
        let patch = json!({ "scope": scope });
        tenant.owner.call_with("PATCH", &device, &patch).await.expect(200);
    };
    set_scope(json!({ "gate_ids": [] })).await;
    let scan_id = new_id();
    let admitted = json!({
        "scan_id": scan_id, "medium": BAND, "local_result": "valid", "local_reason": "admitted", "age_ms": 0
    });
    let quarantined = upload(tenant, &tenant.gate, admitted).await;
    assert_eq!(quarantined["status"], "quarantined", "{quarantined}");
    set_scope(json!({})).await;
    let path = format!("/api/v1/events/{}/tickets/{code}", tenant.event);
    let ticket = tenant.owner.get(&path).await.expect(200).json();
    assert_eq!(ticket["scan_count"], 0, "it admits nobody: {ticket}");
    let accept = format!("/api/v1/scanning/conflicts/{scan_id}/accept");
    for _ in 0..2 {
        let record = tenant
            .owner
            .post(&accept, &json!({ "reason": "stood in" }))
            .await
            .expect(200);
        assert!(!record.text().contains("04A1B2C3D4E5F6"), "{record:?}");
        let record = record.json();
        assert_eq!(
            (&record["ticket_code"], &record["reason"]),
            (&json!(code), &json!("admitted"))
        );
    }
    for reading in [json!({ "qr": EAN }), json!({ "medium": BAND })] {
        let denied = scan(&tenant.device, reading.clone()).await;
        assert_eq!(reason(&denied), "already_scanned", "{reading}: {denied}");
        assert_eq!(denied["previous_scan"]["scan_id"], json!(scan_id));
    }
}

#[tokio::test]
async fn an_event_without_media_lets_none_in() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    with_media(tenant).await;
    set_event(tenant, &tenant.event, json!({ "allow_media": false })).await;
    for (body, expected) in [
        (json!({ "qr": EAN }), "malformed"),
        (json!({ "medium": BAND }), "unsigned_not_allowed"),
        (
            json!({ "medium": format!("barcode:{EAN}") }),
            "unsigned_not_allowed",
        ),
        (json!({ "qr": "3KQR7F924M1XaB0z" }), "unsigned_not_allowed"),
    ] {
        let denied = scan(&tenant.device, body.clone()).await;
        assert_eq!(reason(&denied), expected, "{body}");
        assert_eq!(
            (&denied["result"], &denied["ticket"]),
            (&json!("invalid_token"), &Value::Null)
        );
        let mut item = body.clone();
        item["local_result"] = "valid".into();
        let uploaded = upload(tenant, &tenant.gate, item).await;
        assert_eq!(reason(&uploaded), expected, "upload of {body}");
    }
    set_event(tenant, &tenant.event, json!({ "allow_media": true })).await;
    let admitted = scan(&tenant.device, json!({ "qr": EAN })).await;
    assert_eq!(reason(&admitted), "admitted", "at once after the change");
}

#[tokio::test]
async fn media_are_looked_up_in_the_event_and_then_in_the_organization_and_never_beyond() {
    let fixture = Fixture::new().await;
    let (tenant, other) = (&fixture.tenant, &fixture.other_tenant);
    set_event(tenant, &tenant.event, json!({ "allow_media": true })).await;
    set_event(other, &other.event, json!({ "allow_media": true })).await;
    import(other, &other.event, &json!({ "media": [BAND] })).await;
    assert_eq!(
        reason(&scan(&tenant.device, json!({ "medium": BAND })).await),
        "ticket_not_found"
    );
    let elsewhere = new_id();
    set_event(tenant, &elsewhere, json!({})).await;
    import(
        tenant,
        &elsewhere,
        &json!({ "media": [BAND, format!("barcode:{EAN}")] }),
    )
    .await;
    let denied = scan(&tenant.device, json!({ "medium": BAND })).await;
    assert_eq!(
        (reason(&denied), &denied["ticket"]),
        ("other_event", &Value::Null)
    );
    import(tenant, &tenant.event, &json!({ "media": [BAND] })).await;
    assert_eq!(
        reason(&scan(&tenant.device, json!({ "medium": BAND })).await),
        "admitted"
    );
    assert_eq!(
        reason(&scan(&other.device, json!({ "medium": BAND })).await),
        "admitted"
    );
}

#[tokio::test]
async fn sixteen_characters_are_a_code_if_a_ticket_has_it_and_a_barcode_otherwise() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let (code, lookalike) = (tenant.codes[1].as_str(), "ABCDEFGHIJKLMNOP");
    let barcodes = json!([format!("barcode:{lookalike}"), format!("barcode:{code}")]);
    let other = import(tenant, &tenant.event, &json!({ "media": barcodes })).await;
    set_event(
        tenant,
        &tenant.event,
        json!({ "allow_media": true, "allow_unsigned": true }),
    )
    .await;
    let by_code = scan(&tenant.device, json!({ "qr": code, "dry_run": true })).await;
    assert_eq!(by_code["ticket"]["code"], json!(code), "a code comes first");
    let by_barcode = scan(&tenant.device, json!({ "qr": lookalike, "dry_run": true })).await;
    assert_eq!(by_barcode["ticket"]["code"], json!(other));
    let typed = scan(&tenant.device, json!({ "ticket_code": lookalike })).await;
    assert_eq!(
        reason(&typed),
        "ticket_not_found",
        "typed text is never a barcode"
    );
    set_event(tenant, &tenant.event, json!({ "allow_media": true })).await;
    let signed_only = scan(&tenant.device, json!({ "qr": code, "dry_run": true })).await;
    assert_eq!(
        signed_only["ticket"]["code"],
        json!(other),
        "bare codes are not allowed"
    );
}

#[tokio::test]
async fn a_retry_is_the_same_scan_however_the_event_takes_the_reading_meanwhile() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let body = json!({ "qr": EAN, "scan_id": new_id() });
    assert_eq!(reason(&scan(&tenant.device, body.clone()).await), "malformed");
    with_media(tenant).await;
    let retried = scan(&tenant.device, body).await;
    assert_eq!(
        (reason(&retried), &retried["replayed"]),
        ("malformed", &json!(true))
    );
    let body = json!({ "qr": EAN, "scan_id": new_id() });
    assert_eq!(reason(&scan(&tenant.device, body.clone()).await), "admitted");
    set_event(tenant, &tenant.event, json!({})).await;
    let retried = scan(&tenant.device, body.clone()).await;
    assert_eq!(
        (reason(&retried), &retried["replayed"]),
        ("admitted", &json!(true))
    );
    let same = json!({ "medium": format!("barcode:{EAN}"), "scan_id": body["scan_id"] });
    assert_eq!(
        scan(&tenant.device, same).await["replayed"],
        true,
        "its fingerprint is of kind:value"
    );
    let other = json!({ "medium": BAND, "scan_id": body["scan_id"] });
    tenant
        .device
        .scan(&other)
        .await
        .expect_problem(409, "scan_id_reused");
}

#[tokio::test]
async fn a_request_names_exactly_one_valid_reading() {
    let fixture = Fixture::new().await;
    let device = &fixture.tenant.device;
    for body in [
        json!({}),
        json!({ "qr": EAN, "medium": BAND }),
        json!({ "ticket_code": "3KQR7F924M1XaB0z", "medium": BAND }),
        json!({ "medium": "nfc:04a1b2c3" }),
        json!({ "medium": "barcode:" }),
        json!({ "medium": EAN }),
        json!({ "medium": 7 }),
    ] {
        let problem = device.scan(&body).await.expect_problem(422, "validation_failed");
        let pointers = problem.pointers();
        if body.as_object().is_some_and(|fields| fields.len() == 1) {
            assert_eq!(pointers, ["/medium"], "{body}");
        } else {
            assert!(pointers.contains(&"/medium".to_owned()), "{body}: {pointers:?}");
        }
    }
}

#[tokio::test]
async fn an_undone_admission_by_a_medium_admits_again() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    with_media(tenant).await;
    let admitted = scan(&tenant.device, json!({ "qr": EAN })).await;
    let path = format!(
        "/api/v1/scanning/scans/{}/undo",
        admitted["scan_id"].as_str().expect("an id")
    );
    tenant
        .device
        .post(&path, &json!({ "reason": "a mistake" }))
        .await
        .expect(200);
    assert_eq!(
        reason(&scan(&tenant.device, json!({ "medium": BAND })).await),
        "admitted"
    );
}

#[tokio::test]
async fn the_ticket_shows_its_media_to_staff_and_above_and_its_export_imports_unchanged() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let code = with_media(tenant).await;
    let tickets = format!("/api/v1/events/{}/tickets", tenant.event);
    let expected = json!([format!("barcode:{EAN}"), format!("barcode:{SECRET}"), BAND]);
    for (role, media) in [
        ("owner", &expected),
        ("admin", &expected),
        ("staff", &expected),
        ("viewer", &Value::Null),
    ] {
        let member = tenant.member(role).await;
        let shown = member.get(&format!("{tickets}/{code}")).await.expect(200).json();
        assert_eq!(&shown["media"], media, "{role}");
    }
    let (searcher, _) = tenant.new_device("desk", &json!({ "can_search": true })).await;
    let found = searcher
        .get(&format!("{tickets}?q={code}"))
        .await
        .expect(200)
        .json();
    assert_eq!(found["data"][0]["media"], Value::Null, "{found}");
    let staff = tenant.member("staff").await;
    let found = staff.get(&format!("{tickets}?q={code}")).await.expect(200).json();
    assert_eq!(found["data"][0]["media"], expected);
    let voided = json!({ "status": "voided" });
    let path = format!("{tickets}/{code}");
    let changed = tenant
        .owner
        .call_with("PATCH", &path, &voided)
        .await
        .expect(200)
        .json();
    assert_eq!(changed["media"], expected);
    assert_eq!(
        reason(&scan(&tenant.device, json!({ "qr": SECRET })).await),
        "ticket_voided"
    );

    let listed = tenant
        .owner
        .get(&format!("{tickets}?limit=500"))
        .await
        .expect(200)
        .json();
    let rows = listed["data"].as_array().expect("tickets");
    let lines = rows
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    let counts = tenant.owner.import(&tenant.event, lines).await.expect(200).json();
    assert_eq!(counts["unchanged"], json!(rows.len()), "{counts}");
}

#[tokio::test]
async fn a_record_of_a_medium_holds_no_text_of_it_and_is_exported_with_a_payload_of_ours() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let code = with_media(tenant).await;
    scan(&tenant.device, json!({ "qr": SECRET })).await;
    let path = format!("/api/v1/scanning/scans?ticket_code={code}");
    wait_until("the scan is on record", || async {
        let trail = tenant.owner.get(&path).await.expect(200).json();
        trail["data"].as_array().map(Vec::len) == Some(1)
    })
    .await;
    let trail = tenant.owner.get(&path).await.expect(200);
    assert!(!trail.text().contains(SECRET), "{}", trail.text());
    let owner = tenant.owner.with_header("accept", "application/x-ndjson");
    let exported = owner.get("/api/v1/scanning/scans").await.expect(200);
    assert!(!exported.text().contains(SECRET));
    let lines = exported.lines();
    let line = lines
        .iter()
        .find(|line| line["ticket_code"] == json!(code))
        .expect("the scan");
    assert!(
        line["qr"]
            .as_str()
            .is_some_and(|qr| qr.starts_with(&format!("VG1.1.{code}."))),
        "{line}"
    );
}

#[tokio::test]
async fn a_payload_of_the_organizations_names_its_ticket_in_a_path() {
    let fixture = Fixture::new().await;
    let (tenant, other) = (&fixture.tenant, &fixture.other_tenant);
    let tickets = format!("/api/v1/events/{}/tickets", tenant.event);
    let mut payloads = Vec::new();
    for format in ["vg1", "vg2"] {
        let path = format!("{tickets}/{}/qr?format={format}", tenant.codes[1]);
        payloads.push(tenant.owner.get(&path).await.expect(200).text().to_owned());
    }
    for payload in &payloads {
        let shown = tenant
            .owner
            .get(&format!("{tickets}/{payload}"))
            .await
            .expect(200)
            .json();
        assert_eq!(shown["code"], json!(tenant.codes[1]), "{payload}");
    }
    let wrapped = format!("{tickets}/%5DQ2{}%0D%0A", payloads[0]);
    tenant.owner.get(&wrapped).await.expect(200);
    let voided = json!({ "status": "voided" });
    let path = format!("{tickets}/{}", payloads[0]);
    let changed = tenant
        .owner
        .call_with("PATCH", &path, &voided)
        .await
        .expect(200)
        .json();
    assert_eq!(changed["status"], "voided");
    let forged = payloads[0].replace(&tenant.codes[1], &tenant.codes[2]);
    let foreign = other.qr(1).await;
    for payload in [
        forged.as_str(),
        foreign.as_str(),
        "VG1.1.nonsense",
        payloads[0].trim_start_matches('V'),
    ] {
        let path = format!("{tickets}/{payload}");
        tenant.owner.get(&path).await.expect_problem(404, "not_found");
        tenant
            .owner
            .call_with("PATCH", &path, &voided)
            .await
            .expect_problem(404, "not_found");
    }
}

/// The manifest of the tenant's event, or what changed since the version of `installed`.
async fn manifest(tenant: &Tenant, installed: Option<&Manifest>) -> VerifiedManifest {
    let own = tenant
        .device
        .get("/api/v1/scanning/device")
        .await
        .expect(200)
        .json();
    let own: DeviceSelf = serde_json::from_value(own).expect("the state of the device");
    let since = installed.map(|installed| format!("?since={}", installed.head().version));
    let since = since.unwrap_or_default();
    let path = format!("/api/v1/scanning/events/{}/manifest{since}", tenant.event);
    let response = tenant.device.get(&path).await.expect(200);
    let (organization, key) = (own.device.organization_id, own.manifest_key.as_bytes());
    VerifiedManifest::verify(response.body.to_vec(), organization, key).expect("a manifest")
}

/// The ticket that a phone finds by a medium.
fn owner_of(manifest: &Manifest, text: &str) -> Option<TicketKey> {
    manifest.owner_of(&text.parse::<Medium>().expect("a medium"))
}

#[tokio::test]
async fn a_phone_finds_each_medium_in_the_manifest_and_learns_its_changes() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let code = with_media(tenant).await;
    let barcode = format!("barcode:{EAN}");
    let first = manifest(tenant, None)
        .await
        .into_manifest(None)
        .expect("a full manifest");
    let key = |code: &str| first.key(code.parse().expect("a code"));
    for text in [barcode.as_str(), BAND] {
        assert_eq!(owner_of(&first, text), Some(key(&code)), "{text}");
    }
    let moved = [
        json!({ "code": code, "media": [barcode] }),
        json!({ "code": tenant.codes[1], "media": [BAND] }),
    ];
    let lines = moved.map(|line| line.to_string()).join("\n");
    let counts = tenant.owner.import(&tenant.event, lines).await.expect(200).json();
    assert_eq!(counts["updated"], 2, "{counts}");
    let delta = manifest(tenant, Some(&first)).await;
    assert_eq!(delta.head().base, Some(first.head().version));
    let second = delta.into_manifest(Some(&first)).expect("the base fits");
    assert_eq!(owner_of(&second, &barcode), Some(key(&code)));
    assert_eq!(owner_of(&second, BAND), Some(key(&tenant.codes[1])));

    set_event(tenant, &tenant.event, json!({})).await;
    let without = manifest(tenant, Some(&second)).await;
    let without = without.into_manifest(Some(&second)).expect("the base fits");
    assert_eq!(owner_of(&without, BAND), None);
    set_event(tenant, &tenant.event, json!({ "allow_media": true })).await;
    let again = manifest(tenant, Some(&without)).await;
    assert_eq!(
        again.head().base,
        None,
        "a delta would lack the media of unchanged tickets"
    );
    let again = again.into_manifest(None).expect("a full manifest");
    assert_eq!(owner_of(&again, BAND), Some(key(&tenant.codes[1])));
}

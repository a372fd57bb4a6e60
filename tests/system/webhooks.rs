//! Webhooks: administration, and what becomes of scans. Other tests send deliveries.

use serde_json::{Value, json};
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::wait::wait_until;
use voelgoed_scan_suite::{Client, Fixture};

const WEBHOOKS: &str = "/api/v1/webhooks";

/// Nobody answers there.
const URL: &str = "https://hook.invalid/gate";

async fn create(client: &Client, body: &Value) -> Value {
    client.post(WEBHOOKS, body).await.expect(201).json()
}

fn path(webhook: &Value) -> String {
    format!("{WEBHOOKS}/{}", webhook["id"].as_str().expect("an id"))
}

/// The deliveries of a webhook, newest first.
async fn deliveries(client: &Client, webhook: &Value) -> Vec<Value> {
    let list = client
        .get(&format!("{}/deliveries?limit=500", path(webhook)))
        .await;
    list.expect(200).json()["data"].as_array().expect("rows").clone()
}

/// Waits until a webhook has deliveries of exactly these types, in any order.
async fn wait_for_types(client: &Client, webhook: &Value, expected: &[&str]) {
    let mut sorted = expected.to_vec();
    sorted.sort_unstable();
    wait_until(&format!("{expected:?}"), || async {
        let rows = deliveries(client, webhook).await;
        let mut types: Vec<_> = rows
            .iter()
            .map(|row| row["type"].as_str().expect("a type"))
            .collect();
        types.sort_unstable();
        types == sorted
    })
    .await;
}

async fn scan(tenant: &Tenant, index: usize, scan_id: &str) {
    let qr = tenant.qr(index).await;
    let body = json!({ "qr": qr, "scan_id": scan_id });
    tenant.device.scan(&body).await.expect(200);
}

#[tokio::test]
async fn a_webhook_is_created_shown_changed_and_deleted_and_its_secret_is_shown_once() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let created = tenant
        .owner
        .post(
            WEBHOOKS,
            &json!({ "url": URL, "types": ["scan.*", "conflict.opened"] }),
        )
        .await
        .expect(201);
    let location = created.header("location").expect("a location").to_owned();
    let created = created.json();
    assert_eq!(location, path(&created));
    let secret = created["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "{secret}");
    for (field, expected) in [
        ("url", json!(URL)),
        ("types", json!(["scan.*", "conflict.opened"])),
        ("event_ids", Value::Null),
        ("codes", json!(false)),
        ("description", Value::Null),
        ("status", json!("active")),
        ("disabled_reason", Value::Null),
    ] {
        assert_eq!(created[field], expected, "{field}");
    }
    assert_eq!(created["inserted_at"], created["updated_at"]);
    let shown = tenant.owner.get(&location).await.expect(200).json();
    let mut without_secret = created.clone();
    without_secret
        .as_object_mut()
        .expect("an object")
        .remove("secret");
    assert_eq!(shown, without_secret);
    let listed = tenant.owner.get(WEBHOOKS).await.expect(200);
    assert_eq!(listed.json()["data"], json!([shown]));
    assert!(!listed.text().contains("whsec_"));

    let change = json!({ "event_ids": [tenant.event], "description": "Shop", "types": ["session.ended"] });
    let changed = tenant
        .owner
        .call_with("PATCH", &location, &change)
        .await
        .expect(200)
        .json();
    assert_eq!(changed["event_ids"], json!([tenant.event]));
    assert_eq!(
        (&changed["description"], &changed["types"]),
        (&json!("Shop"), &json!(["session.ended"]))
    );
    assert_eq!(
        (&changed["url"], &changed["status"]),
        (&json!(URL), &json!("active"))
    );
    let cleared = json!({ "event_ids": null, "description": null });
    let changed = tenant
        .owner
        .call_with("PATCH", &location, &cleared)
        .await
        .expect(200)
        .json();
    assert_eq!(
        (&changed["event_ids"], &changed["description"]),
        (&Value::Null, &Value::Null)
    );

    let rotated = tenant
        .owner
        .call("POST", &format!("{location}/rotate"))
        .await
        .expect(200)
        .json();
    assert_eq!(rotated.as_object().map(serde_json::Map::len), Some(1));
    assert_ne!(rotated["secret"], created["secret"]);

    tenant.owner.call("DELETE", &location).await.expect(204);
    for (method, path) in [
        ("GET", location.clone()),
        ("DELETE", location.clone()),
        ("POST", format!("{location}/rotate")),
        ("POST", format!("{location}/test")),
        ("GET", format!("{location}/deliveries")),
    ] {
        tenant
            .owner
            .call(method, &path)
            .await
            .expect_problem(404, "not_found");
    }
    assert_eq!(
        tenant.owner.get(WEBHOOKS).await.expect(200).json()["data"],
        json!([])
    );
}

#[tokio::test]
async fn a_secret_of_ones_own_has_24_to_64_bytes() {
    let fixture = Fixture::new().await;
    let owner = &fixture.tenant.owner;
    // The secret of the specification's example, 24 bytes.
    let own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let created = create(owner, &json!({ "url": URL, "types": ["scan.*"], "secret": own })).await;
    assert_eq!(created["secret"], own);
    let of_64 = format!("whsec_{}==", "A".repeat(86));
    create(
        owner,
        &json!({ "url": URL, "types": ["scan.*"], "secret": of_64 }),
    )
    .await;
    for wrong in [
        "",
        "whsec_",
        "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS-",
        &format!("whsec_{}=", "A".repeat(87)),
    ] {
        let body = json!({ "url": URL, "types": ["scan.*"], "secret": wrong });
        let refused = owner
            .post(WEBHOOKS, &body)
            .await
            .expect_problem(422, "validation_failed");
        assert_eq!(refused.pointers(), ["/secret"], "{wrong}: {refused:?}");
    }
}

#[tokio::test]
async fn an_unknown_type_and_a_wrong_url_are_named() {
    let fixture = Fixture::new().await;
    let owner = &fixture.tenant.owner;
    let webhook = create(owner, &json!({ "url": URL, "types": ["scan.*"] })).await;
    for types in [
        json!(["scan.unknown"]),
        json!(["scan.admitted", "*", "x.*"]),
        json!(["webhook.test"]),
        json!([]),
        json!("scan.*"),
        json!([1]),
    ] {
        let body = json!({ "url": URL, "types": types });
        let created = owner
            .post(WEBHOOKS, &body)
            .await
            .expect_problem(422, "validation_failed");
        assert_eq!(created.pointers(), ["/types"], "{types}: {created:?}");
        let patch = json!({ "types": types });
        let changed = owner.call_with("PATCH", &path(&webhook), &patch).await;
        assert_eq!(
            changed.expect_problem(422, "validation_failed").pointers(),
            ["/types"],
            "{types}"
        );
    }
    let long = format!("https://example.org/{}", "a".repeat(2029));
    for url in [
        "http://example.org/",
        "https://user:word@example.org/",
        "https://127.0.0.1/",
        "https://10.1.2.3:8443/x",
        "https://169.254.169.254/latest",
        "https://100.64.0.1/",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:192.168.0.1]/",
        "https://127.1/",
        "ftp://example.org/",
        "example.org",
        long.as_str(),
    ] {
        let created = owner
            .post(WEBHOOKS, &json!({ "url": url, "types": ["scan.*"] }))
            .await;
        let refused = created.expect_problem(422, "validation_failed");
        assert_eq!(refused.pointers(), ["/url"], "{url}");
        let changed = owner
            .call_with("PATCH", &path(&webhook), &json!({ "url": url }))
            .await;
        assert_eq!(
            changed.expect_problem(422, "validation_failed").pointers(),
            ["/url"],
            "{url}"
        );
    }
    let longest: String = long.chars().take(2048).collect();
    create(owner, &json!({ "url": longest, "types": ["scan.*"] })).await;
    create(
        owner,
        &json!({ "url": "https://1.1.1.1/", "types": ["session.*"] }),
    )
    .await;
    let missing = owner
        .post(WEBHOOKS, &json!({}))
        .await
        .expect_problem(422, "validation_failed");
    let mut pointers = missing.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/types", "/url"]);
}

#[tokio::test]
async fn private_and_plain_urls_are_taken_where_the_server_allows_them() {
    let fixture = Fixture::with_config(|config| config.webhook_allow_private = true).await;
    let owner = &fixture.tenant.owner;
    for url in ["http://127.0.0.1:1/", "https://10.0.0.1/", "http://receiver/"] {
        create(owner, &json!({ "url": url, "types": ["session.*"] })).await;
    }
    let body = json!({ "url": "http://user@receiver/", "types": ["session.*"] });
    let refused = owner
        .post(WEBHOOKS, &body)
        .await
        .expect_problem(422, "validation_failed");
    assert_eq!(refused.pointers(), ["/url"]);
}

#[tokio::test]
async fn the_21st_webhook_is_a_conflict() {
    let fixture = Fixture::new().await;
    let owner = &fixture.tenant.owner;
    let body = json!({ "url": URL, "types": ["session.*"] });
    let mut last = Value::Null;
    for _ in 0..20 {
        last = create(owner, &body).await;
    }
    owner.post(WEBHOOKS, &body).await.expect_problem(409, "conflict");
    // Another organization has webhooks of its own.
    create(&fixture.other_tenant.owner, &body).await;
    owner.call("DELETE", &path(&last)).await.expect(204);
    create(owner, &body).await;
}

#[tokio::test]
async fn scans_undos_uploads_and_sessions_become_deliveries() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let all = create(
        &tenant.owner,
        &json!({ "url": URL, "types": ["scan.*", "session.*", "conflict.*"] }),
    )
    .await;
    let denials = create(&tenant.owner, &json!({ "url": URL, "types": ["scan.denied"] })).await;
    let elsewhere = create(
        &tenant.owner,
        &json!({ "url": URL, "types": ["scan.*", "session.*"], "event_ids": [new_id()] }),
    )
    .await;
    let foreign = create(
        &fixture.other_tenant.owner,
        &json!({ "url": URL, "types": ["scan.*"] }),
    )
    .await;
    let admitted = new_id();
    scan(tenant, 1, &admitted).await;
    // Twice: the second one may be answered from memory, and is recorded a little later.
    scan(tenant, 1, &new_id()).await;
    let undo = format!("/api/v1/scanning/scans/{admitted}/undo");
    tenant
        .owner
        .post(&undo, &json!({ "reason": "a mistake" }))
        .await
        .expect(200);
    let (device, device_id) = tenant.new_device("gate-2", &json!({})).await;
    let session = tenant.start_session(&device, &tenant.other_gate).await;
    let end = format!("/api/v1/scanning/sessions/{session}/end");
    device.call("PUT", &end).await.expect(200);
    // The first ticket of the fixture is inside.
    let upload = json!({
        "batch_id": new_id(), "sent_at": "2026-11-22T18:00:00Z",
        "scans": [{
            "scan_id": new_id(), "qr": tenant.qr(0).await, "gate_id": tenant.other_gate, "event_id": tenant.event,
            "scanned_at": "2026-11-22T18:00:00Z", "local_result": "valid"
        }]
    });
    let synced = device
        .post("/api/v1/scanning/sync", &upload)
        .await
        .expect(200)
        .json();
    assert_eq!(synced["results"][0]["result"], "duplicate", "{synced}");
    wait_for_types(
        &tenant.owner,
        &all,
        &[
            "scan.admitted",
            "scan.denied",
            "scan.undone",
            "session.started",
            "session.ended",
            "scan.denied",
            "conflict.opened",
        ],
    )
    .await;
    wait_for_types(&tenant.owner, &denials, &["scan.denied", "scan.denied"]).await;
    let owner = &tenant.owner;
    owner
        .call("DELETE", &format!("/api/v1/scanning/devices/{device_id}"))
        .await
        .expect(204);
    assert!(deliveries(owner, &elsewhere).await.is_empty());
    assert!(deliveries(&fixture.other_tenant.owner, &foreign).await.is_empty());
    let row = deliveries(owner, &denials).await.remove(0);
    for field in [
        "id",
        "type",
        "status",
        "attempts",
        "next_attempt_at",
        "last_status",
        "last_error",
        "inserted_at",
        "delivered_at",
    ] {
        assert!(row.get(field).is_some(), "{field}: {row}");
    }
}

#[tokio::test]
async fn a_test_goes_to_one_webhook_and_a_repetition_keeps_its_id() {
    let fixture = Fixture::new().await;
    let owner = &fixture.tenant.owner;
    let tested = create(owner, &json!({ "url": URL, "types": ["session.*"] })).await;
    let other = create(owner, &json!({ "url": URL, "types": ["session.*"] })).await;
    let accepted = owner
        .call("POST", &format!("{}/test", path(&tested)))
        .await
        .expect(202)
        .json();
    let id = accepted["delivery_id"].as_str().expect("an id");
    let rows = deliveries(owner, &tested).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["id"], &rows[0]["type"]),
        (&json!(id), &json!("webhook.test"))
    );
    assert!(deliveries(owner, &other).await.is_empty());
    let again = format!("{}/deliveries/{id}/redeliver", path(&tested));
    assert_eq!(
        owner.call("POST", &again).await.expect(202).json()["delivery_id"],
        id
    );
    assert_eq!(deliveries(owner, &tested).await.len(), 1);
    let of_other = format!("{}/deliveries/{id}/redeliver", path(&other));
    owner
        .call("POST", &of_other)
        .await
        .expect_problem(404, "not_found");

    let disabled = owner
        .call_with("PATCH", &path(&tested), &json!({ "status": "disabled" }))
        .await;
    let disabled = disabled.expect(200).json();
    assert_eq!(
        (&disabled["status"], &disabled["disabled_reason"]),
        (&json!("disabled"), &Value::Null)
    );
    let rows = deliveries(owner, &tested).await;
    assert_eq!(rows[0]["status"], "failed", "at once: {rows:?}");
    for refused in [again.clone(), format!("{}/test", path(&tested))] {
        owner.call("POST", &refused).await.expect_problem(409, "conflict");
    }
    let failed = owner
        .get(&format!("{}/deliveries?status=failed", path(&tested)))
        .await
        .expect(200)
        .json();
    assert_eq!(failed["data"].as_array().map(Vec::len), Some(1));
    let delivered = owner
        .get(&format!("{}/deliveries?status=delivered", path(&tested)))
        .await
        .expect(200);
    assert_eq!(delivered.json()["data"], json!([]));
    owner
        .get(&format!("{}/deliveries?status=lost", path(&tested)))
        .await
        .expect_problem(422, "validation_failed");
    owner
        .call_with("PATCH", &path(&tested), &json!({ "status": "active" }))
        .await
        .expect(200);
    owner.call("POST", &again).await.expect(202);
    let rows = deliveries(owner, &tested).await;
    assert_eq!(
        (&rows[0]["id"], &rows[0]["status"]),
        (&json!(id), &json!("pending"))
    );
}

//! Request bodies and query parameters that an operation rejects: malformed JSON, media types, size, fields.

use serde_json::{Value, json};
use voelgoed_scan_suite::{Client, Fixture, socket};

const SCAN: &str = "/api/v1/scanning/scan";
const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed() {
    let fixture = Fixture::new().await;
    for body in [
        String::new(),
        "{".to_owned(),
        "nonsense".to_owned(),
        r#"{"qr":"x"}{}"#.to_owned(),
        "\u{feff}{}".to_owned(),
        "[".repeat(50_000),
        r#"{"a":"#.repeat(10_000),
    ] {
        fixture
            .tenant
            .device
            .send("POST", SCAN, JSON, body)
            .await
            .expect_problem(400, "malformed_json");
    }
    let invalid = &b"{\"qr\":\"\xff\"}"[..];
    fixture
        .tenant
        .device
        .send("POST", SCAN, JSON, invalid)
        .await
        .expect_problem(400, "malformed_json");
    // Without a body and a media type, no media type is unsupported.
    fixture
        .tenant
        .device
        .call("POST", SCAN)
        .await
        .expect_problem(400, "malformed_json");
}

#[tokio::test]
async fn a_body_needs_the_media_type_of_its_operation() {
    let fixture = Fixture::new().await;
    let body = r#"{"qr":"x"}"#;
    for media_type in ["application/json; charset=utf-8", "Application/JSON"] {
        fixture
            .tenant
            .device
            .send("POST", SCAN, Some(media_type), body)
            .await
            .expect(200);
    }
    for media_type in [
        None,
        Some("text/plain"),
        Some("application/x-ndjson"),
        Some("application/jsonx"),
        Some(""),
    ] {
        let response = fixture.tenant.device.send("POST", SCAN, media_type, body).await;
        response.expect_problem(415, "unsupported_media_type");
    }
    let tickets = format!("/api/v1/events/{}/tickets", fixture.tenant.event);
    let response = fixture.tenant.owner.send("POST", &tickets, JSON, "{}").await;
    response.expect_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_body_of_more_than_64_kib_is_rejected_with_and_without_a_length() {
    let fixture = Fixture::new().await;
    let max_body = 64 * 1024;
    let exact = format!(r#"{{"qr":"{}"}}"#, "x".repeat(max_body - 9));
    assert_eq!(exact.len(), max_body);
    let response = fixture
        .tenant
        .device
        .send("POST", SCAN, JSON, exact.clone())
        .await
        .expect(200);
    assert_eq!(response.json()["reason"], "malformed");
    for extra in [1, 6 * 1024, 900 * 1024] {
        let body = format!("{exact}{}", " ".repeat(extra));
        fixture
            .tenant
            .device
            .send("POST", SCAN, JSON, body)
            .await
            .expect_problem(413, "body_too_large");
    }
    let chunk = format!("{:x}\r\n{}\r\n", 70_000, "x".repeat(70_000));
    let request = format!(
        "POST {SCAN} HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunk}0\r\n\r\n",
        fixture.tenant.device.token()
    );
    let response = socket::exchange(fixture.server.address(), request.as_bytes()).await;
    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
}

/// The method, the path, the client and the body of a request.
type Request<'a> = (&'a str, String, &'a Client, Value);

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn a_422_names_every_invalid_field_by_its_pointer() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let scan = |body: Value| ("POST", SCAN.to_owned(), &tenant.device, body);
    let long = "x".repeat(501);
    let event = format!("/api/v1/events/{}", tenant.event);
    let undo = format!("/api/v1/scanning/scans/{}/undo", tenant.scan_id);
    let ticket = format!("{event}/tickets/{}", tenant.codes[1]);
    let cases: Vec<(Request<'_>, &[&str])> = vec![
        (scan(json!([])), &[""]),
        (scan(json!(null)), &[""]),
        (scan(json!("text")), &[""]),
        (scan(json!({})), &["/medium", "/qr", "/ticket_code"]),
        (
            scan(json!({ "qr": "a", "ticket_code": "b" })),
            &["/qr", "/ticket_code"],
        ),
        (scan(json!({ "qr": 7 })), &["/qr"]),
        (scan(json!({ "qr": "a", "scan_id": "1" })), &["/scan_id"]),
        (
            scan(json!({ "qr": "a", "direction": "sideways", "dry_run": 1 })),
            &["/direction", "/dry_run"],
        ),
        (
            scan(json!({ "qr": "a", "scanned_at": 1_790_000_000 })),
            &["/scanned_at"],
        ),
        (scan(json!({ "qr": "a", "metadata": "m" })), &["/metadata"]),
        (
            scan(json!({ "qr": "a", "metadata": { "m": "x".repeat(4096) } })),
            &["/metadata"],
        ),
        (
            scan(json!({ "qr": "a", "override": { "reason": "" } })),
            &["/override/reason"],
        ),
        (
            scan(json!({ "qr": "a", "override": { "reason": long } })),
            &["/override/reason"],
        ),
        (
            scan(json!({ "qr": "a", "dry_run": true, "scan_id": tenant.scan_id })),
            &["/scan_id"],
        ),
        (
            (
                "POST",
                "/api/v1/scanning/sessions".to_owned(),
                &tenant.device,
                json!({ "replace": "yes" }),
            ),
            &["/event_id", "/gate_id", "/replace"],
        ),
        (
            ("POST", undo, &tenant.device, json!({ "reason": null })),
            &["/reason"],
        ),
        (
            (
                "PUT",
                event.clone(),
                &tenant.owner,
                json!({ "status": "open", "capacity": -1, "manifest_max_age_s": 0 }),
            ),
            &["/capacity", "/manifest_max_age_s", "/name", "/status"],
        ),
        (
            (
                "PUT",
                format!("{event}/gates/{}", tenant.gate),
                &tenant.owner,
                json!({ "name": "\u{7}" }),
            ),
            &["/name", "/status"],
        ),
        (
            (
                "POST",
                "/api/v1/scanning/devices".to_owned(),
                &tenant.owner,
                json!({ "device_id": "a b", "name": "x", "device_type": "fridge", "settings": { "can_override": "1" } }),
            ),
            &["/device_id", "/device_type", "/settings/can_override"],
        ),
        (
            (
                "PUT",
                "/api/v1/scanning/device".to_owned(),
                &tenant.device,
                json!({ "battery": 2, "app": {} }),
            ),
            &["/app/name", "/app/platform", "/app/version", "/battery"],
        ),
        (
            ("PATCH", ticket, &tenant.owner, json!({ "status": "scanned" })),
            &["/status"],
        ),
        (
            (
                "POST",
                "/api/v1/signing-keys".to_owned(),
                &tenant.owner,
                json!({ "kid": "way-too-long", "format": "vg3" }),
            ),
            &["/format", "/kid"],
        ),
        (
            (
                "POST",
                "/api/v1/api-keys".to_owned(),
                &tenant.owner,
                json!({ "name": "", "role": "god" }),
            ),
            &["/name", "/role"],
        ),
    ];
    for ((method, path, client, body), pointers) in cases {
        let response = client
            .call_with(method, &path, &body)
            .await
            .expect_problem(422, "validation_failed");
        let mut found = response.pointers();
        found.sort();
        assert_eq!(found, pointers, "{method} {path} {body}: {response:?}");
    }
}

#[tokio::test]
async fn a_422_names_every_invalid_query_parameter_by_its_pointer() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let tickets = format!("/api/v1/events/{}/tickets", tenant.event);
    let qr = format!("{tickets}/{}/qr", tenant.codes[0]);
    for (path, pointers) in [
        ("/api/v1/events?limit=0", &["/limit"][..]),
        ("/api/v1/events?limit=501&cursor=x", &["/cursor", "/limit"]),
        (
            "/api/v1/scanning/sessions?status=asleep&event_id=1",
            &["/event_id", "/status"],
        ),
        (
            "/api/v1/scanning/scans?from=yesterday&result=good",
            &["/from", "/result"],
        ),
        ("/api/v1/scanning/scans?ticket_code=short", &["/ticket_code"]),
        ("/api/v1/scanning/devices?status=broken", &["/status"]),
        (&format!("{tickets}?q=a"), &["/q"]),
        (&format!("{qr}?format=vg9&as=gif"), &["/as", "/format"]),
    ] {
        let response = tenant
            .owner
            .get(path)
            .await
            .expect_problem(422, "validation_failed");
        let mut found = response.pointers();
        found.sort();
        assert_eq!(found, pointers, "{path}: {response:?}");
    }
}

#[tokio::test]
async fn a_hostile_payload_is_denied_with_200_and_its_reason() {
    let fixture = Fixture::new().await;
    let genuine = fixture.tenant.qr(1).await;
    for (payload, reason) in [
        (String::new(), "malformed"),
        ("\u{0}\u{1}".to_owned(), "malformed"),
        ("🎫".repeat(100), "malformed"),
        ("VG1.".repeat(1000), "malformed"),
        (genuine.replace("VG1.1.", "VG1.9."), "unknown_key"),
        (genuine.replace("VG1.", "VG9."), "malformed"),
        (fixture.other_tenant.qr(1).await, "bad_signature"),
        ("' or 1=1; --".to_owned(), "malformed"),
        ("0000000000000000".to_owned(), "unsigned_not_allowed"),
        ("SFMyNTY.g2gDbQAAAAF4.AAAA".to_owned(), "malformed"),
    ] {
        let answer = fixture
            .tenant
            .device
            .scan(&json!({ "qr": payload }))
            .await
            .expect(200)
            .json();
        assert_eq!(
            (&answer["result"], &answer["reason"]),
            (&json!("invalid_token"), &json!(reason)),
            "{payload:?}"
        );
        assert!(answer["ticket"].is_null());
    }
}

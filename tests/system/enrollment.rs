//! Enrollment: a phone exchanges a code for the token of a device.

use serde_json::{Value, json};
use voelgoed_scan_core::client::DeviceSecret;
use voelgoed_scan_core::model::{EnrollmentCode, EnrollmentUri};
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::services::shared_database;
use voelgoed_scan_suite::{Client, Cluster, Fixture, Response, wait_until};

const ENROLL: &str = "/api/v1/scanning/enroll";

fn enrollment_path(device: &str) -> String {
    format!("/api/v1/scanning/devices/{device}/enrollment")
}

/// Starts an enrollment of the tenant's device. The response holds a new code.
async fn start_enrollment(tenant: &Tenant) -> Value {
    let path = enrollment_path(&tenant.device_id);
    tenant.owner.call("POST", &path).await.expect(201).json()
}

fn request(code: &str) -> Value {
    json!({ "code": code, "app": { "name": "Gate", "version": "1.0", "platform": "android" } })
}

async fn enroll(phone: &Client, code: &str) -> Response {
    phone.post(ENROLL, &request(code)).await
}

fn code_of(enrollment: &Value) -> &str {
    enrollment["code"].as_str().expect("a code")
}

/// The code with a wrong secret.
fn with_wrong_secret(code: &str) -> String {
    let (id, _) = code.split_once('.').expect("two parts");
    let other = EnrollmentCode::generate();
    let (_, secret) = other.reveal().split_once('.').expect("two parts");
    format!("{id}.{secret}")
}

#[tokio::test]
async fn a_phone_that_enrolls_becomes_the_device_and_the_old_token_is_invalid() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let enrollment = start_enrollment(tenant).await;
    let uri: EnrollmentUri = enrollment["uri"]
        .as_str()
        .expect("a text")
        .parse()
        .expect("an enrollment URI");
    assert_eq!(
        (uri.server.as_str(), uri.code.reveal()),
        ("http://gate.test", code_of(&enrollment))
    );
    let key = DeviceSecret::generate().public();
    let mut body = request(code_of(&enrollment));
    body["device_key"] = json!(key);
    let enrolled = fixture.anonymous.post(ENROLL, &body).await.expect(201);
    assert_eq!(enrolled.header("location"), Some("/api/v1/scanning/device"));
    let enrolled = enrolled.json();
    assert_eq!(enrolled["device"]["id"], json!(tenant.device_id));
    assert_eq!(enrolled["device"]["app"]["platform"], "android");
    tenant
        .device
        .get("/api/v1/scanning/device")
        .await
        .expect_problem(401, "invalid_token");
    let phone = tenant
        .owner
        .with_token(enrolled["token"].as_str().expect("a token"));
    let own = phone.get("/api/v1/scanning/device").await.expect(200).json();
    assert_eq!(own["manifest_key"], enrolled["manifest_key"]);
    assert_eq!(
        own["session"]["id"],
        json!(tenant.session_id),
        "the session continues"
    );
    // From now on the server expects signatures with the key of the enrollment.
    let batch = json!({ "batch_id": new_id(), "sent_at": "2026-11-22T18:00:00Z", "scans": [
        { "scan_id": new_id(), "qr": "x", "gate_id": tenant.gate, "scanned_at": "2026-11-22T18:00:00Z", "sequence": 1,
          "local_result": "valid" }
    ] });
    let unsigned = phone
        .post("/api/v1/scanning/sync", &batch)
        .await
        .expect(200)
        .json();
    assert_eq!(unsigned["results"][0]["status"], "quarantined");
}

#[tokio::test]
async fn used_exhausted_replaced_and_unknown_codes_have_the_same_response() {
    let fixture = Fixture::new().await;
    let used = start_enrollment(&fixture.tenant).await;
    enroll(&fixture.anonymous, code_of(&used)).await.expect(201);
    let replaced = start_enrollment(&fixture.other_tenant).await;
    let exhausted = start_enrollment(&fixture.other_tenant).await;
    for _ in 0..5 {
        enroll(&fixture.anonymous, &with_wrong_secret(code_of(&exhausted)))
            .await
            .expect_problem(404, "not_found");
    }
    let mut bytes = Vec::new();
    for code in [
        code_of(&used),
        code_of(&replaced),
        code_of(&exhausted),
        EnrollmentCode::generate().reveal(),
    ] {
        let response = enroll(&fixture.anonymous, code)
            .await
            .expect_problem(404, "not_found");
        bytes.push(response.without_request_id());
    }
    bytes.dedup();
    assert_eq!(bytes.len(), 1, "{bytes:?}");
}

#[tokio::test]
async fn ten_failures_stop_an_address_for_a_minute_whatever_it_sends_then() {
    let fixture = Fixture::new().await;
    // Successes do not count.
    for _ in 0..12 {
        let enrollment = start_enrollment(&fixture.tenant).await;
        enroll(&fixture.anonymous, code_of(&enrollment)).await.expect(201);
    }
    for _ in 0..10 {
        enroll(&fixture.anonymous, EnrollmentCode::generate().reveal())
            .await
            .expect_problem(404, "not_found");
    }
    let enrollment = start_enrollment(&fixture.tenant).await;
    let limited = enroll(&fixture.anonymous, code_of(&enrollment))
        .await
        .expect_problem(429, "rate_limited");
    let wait: u64 = limited
        .header("retry-after")
        .expect("a retry-after header")
        .parse()
        .expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    // Nobody chooses an address by a header.
    let forwarded = fixture.anonymous.with_header("x-forwarded-for", "192.0.2.7");
    forwarded
        .send("POST", ENROLL, None, "x")
        .await
        .expect_problem(429, "rate_limited");
    fixture.tenant.owner.get("/api/v1/events").await.expect(200);
}

#[tokio::test]
async fn wrong_codes_of_one_address_behind_a_trusted_proxy_do_not_stop_another() {
    let fixture = Fixture::with_config(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
    })
    .await;
    let from = |address| {
        let addresses = format!("203.0.113.1, {address}");
        fixture.anonymous.with_header("x-forwarded-for", &addresses)
    };
    // What the proxy passes on of another header is the client's own word.
    let attacker = from("192.0.2.7").with_header("forwarded", "for=192.0.2.9");
    for _ in 0..10 {
        enroll(&attacker, EnrollmentCode::generate().reveal())
            .await
            .expect_problem(404, "not_found");
    }
    let enrollment = start_enrollment(&fixture.tenant).await;
    for attacker in [
        attacker,
        from("192.0.2.7").with_header("forwarded", "for=192.0.2.10"),
    ] {
        enroll(&attacker, code_of(&enrollment))
            .await
            .expect_problem(429, "rate_limited");
    }
    enroll(&from("192.0.2.8"), code_of(&enrollment)).await.expect(201);
}

#[tokio::test]
async fn a_422_of_an_enrollment_names_the_field_and_does_not_use_the_code() {
    let fixture = Fixture::new().await;
    let enrollment = start_enrollment(&fixture.tenant).await;
    let mut invalid = request("short");
    invalid["device_key"] = json!("A");
    let response = fixture
        .anonymous
        .post(ENROLL, &invalid)
        .await
        .expect_problem(422, "validation_failed");
    assert_eq!(response.pointers(), ["/code", "/device_key"]);
    for key in ["A".repeat(43), format!("AQ{}", "A".repeat(41)), "_".repeat(43)] {
        let mut weak_key = request(code_of(&enrollment));
        weak_key["device_key"] = json!(key);
        let response = fixture
            .anonymous
            .post(ENROLL, &weak_key)
            .await
            .expect_problem(422, "validation_failed");
        assert_eq!(response.pointers(), ["/device_key"], "{key}");
    }
    let mut nameless_app = request(code_of(&enrollment));
    nameless_app["app"] = json!({});
    fixture
        .anonymous
        .post(ENROLL, &nameless_app)
        .await
        .expect_problem(422, "validation_failed");
    // None of these attempts used the code.
    enroll(&fixture.anonymous, code_of(&enrollment)).await.expect(201);
}

#[tokio::test]
async fn a_revoked_device_cannot_enroll_and_the_uri_has_the_configured_address() {
    let fixture =
        Fixture::with_config(|config| config.public_url = Some("https://scan.example.org".to_owned())).await;
    let enrollment = start_enrollment(&fixture.tenant).await;
    let uri = enrollment["uri"].as_str().expect("a text");
    assert!(
        uri.starts_with("voelgoed-scan://enroll?server=https%3A%2F%2Fscan.example.org&code="),
        "{uri}"
    );
    let device = format!("/api/v1/scanning/devices/{}", fixture.tenant.device_id);
    fixture.tenant.owner.call("DELETE", &device).await.expect(204);
    fixture
        .tenant
        .owner
        .call("POST", &enrollment_path(&fixture.tenant.device_id))
        .await
        .expect_problem(409, "conflict");
    enroll(&fixture.anonymous, code_of(&enrollment))
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn a_code_enrolls_one_phone_across_nodes() {
    let mut cluster = Cluster::start(2, shared_database(), None).await;
    // This node's clock is six minutes ahead, so a code that is valid for five minutes has expired there.
    cluster.add_node(6 * 60 * 1000).await;
    let tenant = cluster.tenant("Here").await;
    let phone = Client::new(cluster.address(0));
    let expired = start_enrollment(&tenant).await;
    enroll(&cluster.client_at(2, &phone), code_of(&expired))
        .await
        .expect_problem(404, "not_found");
    let enrollment = start_enrollment(&tenant).await;
    let attempts: Vec<_> = (0..8)
        .map(|number| {
            let (phone, code) = (
                cluster.client_at(number % 2, &phone),
                code_of(&enrollment).to_owned(),
            );
            tokio::spawn(async move {
                loop {
                    let response = enroll(&phone, &code).await;
                    // Concurrent enrollments may get 503, which means: try again.
                    if response.status != 503 {
                        return response;
                    }
                }
            })
        })
        .collect();
    let mut enrolled = Vec::new();
    for attempt in attempts {
        let response = attempt.await.expect("a response");
        match response.status {
            201 => enrolled.push(response.json()),
            _ => drop(response.expect_problem(404, "not_found")),
        }
    }
    assert_eq!(enrolled.len(), 1);
    let own = tenant
        .owner
        .with_token(enrolled[0]["token"].as_str().expect("a token"));
    for node in 0..2 {
        wait_until("the old token becomes invalid", || async {
            let old = cluster.client_at(node, &tenant.device);
            old.get("/api/v1/scanning/device").await.status == 401
        })
        .await;
        cluster
            .client_at(node, &own)
            .get("/api/v1/scanning/device")
            .await
            .expect(200);
    }
    cluster.stop().await;
}

//! How a phone becomes a scanner.

use serde_json::{Value, json};
use voelgoed_scan_core::client::DeviceSecret;
use voelgoed_scan_core::model::{EnrollmentCode, EnrollmentUri};
use voelgoed_scan_suite::services::shared_database;
use voelgoed_scan_suite::world::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Cluster, Reply, World, until};

const ENROLL: &str = "/api/v1/scanning/enroll";

fn begin_path(device: &str) -> String {
    format!("/api/v1/scanning/devices/{device}/enrollment")
}

/// A new code for the tenant's device.
async fn begin(tenant: &Tenant) -> Value {
    let path = begin_path(&tenant.device_id);
    tenant.owner.call("POST", &path).await.expect(201).json()
}

fn request(code: &str) -> Value {
    json!({ "code": code, "app": { "name": "Gate", "version": "1.0", "platform": "android" } })
}

async fn enroll(phone: &Client, code: &str) -> Reply {
    phone.post(ENROLL, &request(code)).await
}

fn code_of(enrollment: &Value) -> &str {
    enrollment["code"].as_str().expect("a code")
}

/// The code with another secret.
fn guess(code: &str) -> String {
    let (id, _) = code.split_once('.').expect("two parts");
    let other = EnrollmentCode::generate();
    let (_, secret) = other.reveal().split_once('.').expect("two parts");
    format!("{id}.{secret}")
}

#[tokio::test]
async fn a_phone_is_the_device_once_it_gave_the_code_and_the_old_token_is_nobody_s() {
    let world = World::new().await;
    let tenant = &world.here;
    let begun = begin(tenant).await;
    let uri: EnrollmentUri = begun["uri"]
        .as_str()
        .expect("a text")
        .parse()
        .expect("what a phone reads");
    assert_eq!(
        (uri.server.as_str(), uri.code.reveal()),
        ("http://gate.test", code_of(&begun))
    );
    let key = DeviceSecret::generate().public();
    let mut body = request(code_of(&begun));
    body["device_key"] = json!(key);
    let enrolled = world.nobody.post(ENROLL, &body).await.expect(201);
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
        "its session goes on"
    );
    // The key that it enrolled with is asked for from now on.
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
async fn used_burnt_replaced_and_unknown_codes_are_the_same_bytes() {
    let world = World::new().await;
    let used = begin(&world.here).await;
    enroll(&world.nobody, code_of(&used)).await.expect(201);
    let replaced = begin(&world.elsewhere).await;
    let burnt = begin(&world.elsewhere).await;
    for _ in 0..5 {
        enroll(&world.nobody, &guess(code_of(&burnt)))
            .await
            .expect_problem(404, "not_found");
    }
    let mut bytes = Vec::new();
    for code in [
        code_of(&used),
        code_of(&replaced),
        code_of(&burnt),
        EnrollmentCode::generate().reveal(),
    ] {
        let reply = enroll(&world.nobody, code).await.expect_problem(404, "not_found");
        bytes.push(reply.without_request_id());
    }
    bytes.dedup();
    assert_eq!(bytes.len(), 1, "{bytes:?}");
}

#[tokio::test]
async fn an_address_has_ten_tries_a_minute_before_anything_that_it_says() {
    let world = World::new().await;
    for _ in 0..10 {
        enroll(&world.nobody, EnrollmentCode::generate().reveal())
            .await
            .expect_problem(404, "not_found");
    }
    let begun = begin(&world.here).await;
    let limited = enroll(&world.nobody, code_of(&begun))
        .await
        .expect_problem(429, "rate_limited");
    let wait: u64 = limited
        .header("retry-after")
        .expect("when to come back")
        .parse()
        .expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    let elsewhere = world.nobody.with_header("x-forwarded-for", "192.0.2.7");
    elsewhere
        .send("POST", ENROLL, None, "x")
        .await
        .expect_problem(429, "rate_limited");
    world.here.owner.get("/api/v1/events").await.expect(200);
}

#[tokio::test]
async fn what_is_wrong_with_an_enrolment_is_named() {
    let world = World::new().await;
    let begun = begin(&world.here).await;
    let mut wrong = request("short");
    wrong["device_key"] = json!("A");
    let reply = world
        .nobody
        .post(ENROLL, &wrong)
        .await
        .expect_problem(422, "validation_failed");
    assert_eq!(reply.pointers(), ["/code", "/device_key"]);
    for key in ["A".repeat(43), format!("AQ{}", "A".repeat(41)), "_".repeat(43)] {
        let mut weak = request(code_of(&begun));
        weak["device_key"] = json!(key);
        let reply = world
            .nobody
            .post(ENROLL, &weak)
            .await
            .expect_problem(422, "validation_failed");
        assert_eq!(reply.pointers(), ["/device_key"], "{key}");
    }
    let mut nameless = request(code_of(&begun));
    nameless["app"] = json!({});
    world
        .nobody
        .post(ENROLL, &nameless)
        .await
        .expect_problem(422, "validation_failed");
    // None of it used the code up.
    enroll(&world.nobody, code_of(&begun)).await.expect(201);
}

#[tokio::test]
async fn a_revoked_device_has_no_code_and_an_address_is_as_it_was_set_up() {
    let world = World::with(|config| config.public_url = Some("https://scan.example.org".to_owned())).await;
    let begun = begin(&world.here).await;
    let uri = begun["uri"].as_str().expect("a text");
    assert!(
        uri.starts_with("voelgoed-scan://enroll?server=https%3A%2F%2Fscan.example.org&code="),
        "{uri}"
    );
    let device = format!("/api/v1/scanning/devices/{}", world.here.device_id);
    world.here.owner.call("DELETE", &device).await.expect(204);
    world
        .here
        .owner
        .call("POST", &begin_path(&world.here.device_id))
        .await
        .expect_problem(409, "conflict");
    enroll(&world.nobody, code_of(&begun))
        .await
        .expect_problem(404, "not_found");
}

#[tokio::test]
async fn nodes_agree_on_who_enrolled() {
    let mut cluster = Cluster::start(2, shared_database(), None).await;
    // A clock six minutes ahead: what is good for five has expired there.
    cluster.add(6 * 60 * 1000).await;
    let tenant = cluster.tenant("Here").await;
    let phone = Client::new(cluster.address(0));
    let late = begin(&tenant).await;
    enroll(&cluster.at(2, &phone), code_of(&late))
        .await
        .expect_problem(404, "not_found");
    let begun = begin(&tenant).await;
    let calls: Vec<_> = (0..8)
        .map(|number| {
            let (phone, code) = (cluster.at(number % 2, &phone), code_of(&begun).to_owned());
            tokio::spawn(async move {
                loop {
                    let reply = enroll(&phone, &code).await;
                    // In one another's way: told to try again.
                    if reply.status != 503 {
                        return reply;
                    }
                }
            })
        })
        .collect();
    let mut enrolled = Vec::new();
    for call in calls {
        let reply = call.await.expect("the call ends");
        match reply.status {
            201 => enrolled.push(reply.json()),
            _ => drop(reply.expect_problem(404, "not_found")),
        }
    }
    assert_eq!(enrolled.len(), 1);
    let own = tenant
        .owner
        .with_token(enrolled[0]["token"].as_str().expect("a token"));
    for node in 0..2 {
        until("the old token dies", || async {
            let old = cluster.at(node, &tenant.device);
            old.get("/api/v1/scanning/device").await.status == 401
        })
        .await;
        cluster
            .at(node, &own)
            .get("/api/v1/scanning/device")
            .await
            .expect(200);
    }
    cluster.stop().await;
}

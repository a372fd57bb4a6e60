//! Tokens of the ticketing platform (Phoenix tokens), which a server accepts when it knows the platform's secret.

use serde_json::{Value, json};
use voelgoed_scan_core::model::{AuditContext, Name, Timestamp};
use voelgoed_scan_suite::Fixture;

/// Test vectors from the platform's own library.
fn vectors() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/phoenix_token.json");
    serde_json::from_str(&std::fs::read_to_string(file).expect("the vectors")).expect("JSON")
}

fn find_case<'a>(vectors: &'a Value, name: &str) -> &'a Value {
    let cases = vectors["cases"].as_array().expect("cases");
    let case = cases.iter().find(|case| case["name"] == name);
    case.unwrap_or_else(|| panic!("no case {name}"))
}

/// A server that knows the secret of the vectors.
async fn with_platform_secret(vectors: &Value) -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret_key_base");
    let text = vectors["secret_key_base"].as_str().expect("a secret");
    std::fs::write(&secret, format!("{text}\n")).expect("written");
    let salt = vectors["salt"].as_str().expect("a salt").to_owned();
    // The server reads the file when it starts.
    Fixture::with_config(|config| {
        config.secrets.phoenix_secret_key_base_file = Some(secret);
        config.secrets.phoenix_salt = Some(salt);
    })
    .await
}

#[tokio::test]
async fn a_server_with_the_platforms_secret_accepts_its_tokens() {
    let vectors = vectors();
    let fixture = with_platform_secret(&vectors).await;
    let tenant = &fixture.tenant;
    let case = find_case(&vectors, "max_age infinity");
    let line = json!({ "code": case["claims"]["ticket_code"] }).to_string();
    tenant.owner.import(&tenant.event, line).await.expect(200);
    let answer = async |case: &Value| {
        let body = json!({ "qr": case["token"] });
        tenant.device.scan(&body).await.expect(200).json()
    };
    let admitted = answer(case).await;
    assert_eq!(admitted["reason"], "admitted", "{admitted}");
    assert_eq!(admitted["ticket"]["code"], case["claims"]["ticket_code"]);
    assert_eq!(answer(case).await["reason"], "already_scanned");
    // The vectors were signed long ago, so tokens with a lifetime have expired.
    assert_eq!(
        answer(find_case(&vectors, "binary valid")).await["reason"],
        "token_expired"
    );
    let forged = answer(find_case(&vectors, "binary tampered signature")).await;
    assert_eq!(forged["reason"], "bad_signature");
}

#[tokio::test]
async fn the_record_of_an_expired_token_names_the_ticket_and_that_of_a_forged_one_does_not() {
    let vectors = vectors();
    let fixture = with_platform_secret(&vectors).await;
    let tenant = &fixture.tenant;
    let expired = find_case(&vectors, "binary valid");
    let line = json!({ "code": expired["claims"]["ticket_code"] }).to_string();
    tenant.owner.import(&tenant.event, line).await.expect(200);
    for name in ["binary valid", "binary tampered signature"] {
        let body = json!({ "qr": find_case(&vectors, name)["token"] });
        tenant.device.scan(&body).await.expect(200);
    }
    let listed = tenant
        .owner
        .get("/api/v1/scanning/scans")
        .await
        .expect(200)
        .json();
    let [forged, expired_record, ..] = &listed["data"].as_array().expect("an array")[..] else {
        panic!("{listed}");
    };
    assert_eq!(expired_record["reason"], "token_expired");
    assert_eq!(expired_record["ticket_code"], expired["claims"]["ticket_code"]);
    assert!(expired_record["ticket_id"].is_string(), "{expired_record}");
    assert_eq!(forged["reason"], "bad_signature");
    assert_eq!(
        (&forged["ticket_code"], &forged["ticket_id"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_server_without_the_platforms_secret_denies_its_tokens_as_unknown_key() {
    let vectors = vectors();
    let fixture = Fixture::new().await;
    let body = json!({ "qr": find_case(&vectors, "max_age infinity")["token"] });
    let answer = fixture.tenant.device.scan(&body).await.expect(200).json();
    assert_eq!(
        (&answer["result"], &answer["reason"]),
        (&json!("invalid_token"), &json!("unknown_key"))
    );
}

#[tokio::test]
async fn a_token_in_a_path_names_the_ticket_of_its_organization_by_id_too() {
    let vectors = vectors();
    let fixture = with_platform_secret(&vectors).await;
    let token = |name| find_case(&vectors, name)["token"].as_str().expect("a token");
    let (valid, forged) = (
        token("map_ticket_id_only valid"),
        token("map_ticket_id_only tampered signature"),
    );
    let claims = &find_case(&vectors, "map_ticket_id_only valid")["claims"];
    let id = |claim: &str| claims[claim].as_str().expect("an id");
    let organization = id("organization_id").parse().expect("an id");
    let created = fixture
        .server
        .admin()
        .create_organization_as(
            organization,
            Name::new("Platform").expect("a name"),
            &AuditContext::cli(),
            Timestamp::from_seconds(1_700_000_000),
        )
        .await;
    let (_, _, secret) = created.expect("the database works").expect("the id is free");
    let owner = fixture.anonymous.with_token(secret.reveal());
    let event = format!("/api/v1/events/{}", id("event_id"));
    owner
        .put(&event, &json!({ "name": "Show", "status": "live" }))
        .await
        .expect(201);
    let line = json!({ "id": id("ticket_id"), "code": "3KQR7F924M1XaB0z" }).to_string();
    owner.import(id("event_id"), line).await.expect(200);
    let ticket = |token| format!("{event}/tickets/{token}");
    let shown = owner.get(&ticket(valid)).await.expect(200).json();
    assert_eq!(shown["code"], "3KQR7F924M1XaB0z");
    let void = json!({ "status": "voided" });
    owner.call_with("PATCH", &ticket(valid), &void).await.expect(200);
    owner.get(&ticket(forged)).await.expect(404);
    // Tokens of all organizations have the same key.
    let stranger = &fixture.tenant.owner;
    let elsewhere = format!("/api/v1/events/{}/tickets/{valid}", fixture.tenant.event);
    stranger.get(&elsewhere).await.expect(404);
}

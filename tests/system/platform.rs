//! Tickets of the ticketing platform's own kind: its tokens, by the settings that the server is started with.

use serde_json::{Value, json};
use voelgoed_scan_suite::World;

/// The vectors that the platform's own library made.
fn vectors() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/phoenix_token.json");
    serde_json::from_str(&std::fs::read_to_string(file).expect("the vectors")).expect("JSON")
}

fn token<'a>(vectors: &'a Value, name: &str) -> &'a Value {
    let cases = vectors["cases"].as_array().expect("cases");
    let case = cases.iter().find(|case| case["name"] == name);
    case.unwrap_or_else(|| panic!("no case {name}"))
}

#[tokio::test]
async fn the_platforms_tokens_are_tickets_where_its_secret_is_known() {
    let vectors = vectors();
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret_key_base");
    let text = vectors["secret_key_base"].as_str().expect("a secret");
    std::fs::write(&secret, format!("{text}\n")).expect("written");
    let salt = vectors["salt"].as_str().expect("a salt").to_owned();
    let world = World::with(|config| {
        config.secrets.phoenix_secret_key_base_file = Some(secret);
        config.secrets.phoenix_salt = Some(salt);
    })
    .await;
    let tenant = &world.here;
    let case = token(&vectors, "max_age infinity");
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
    // Their clocks stand in the past: long ago signed, expired by now.
    assert_eq!(
        answer(token(&vectors, "binary valid")).await["reason"],
        "token_expired"
    );
    let forged = answer(token(&vectors, "binary tampered signature")).await;
    assert_eq!(forged["reason"], "bad_signature");
}

#[tokio::test]
async fn the_platforms_tokens_have_no_key_where_its_secret_is_not_known() {
    let vectors = vectors();
    let world = World::new().await;
    let body = json!({ "qr": token(&vectors, "max_age infinity")["token"] });
    let answer = world.here.device.scan(&body).await.expect(200).json();
    assert_eq!(
        (&answer["result"], &answer["reason"]),
        (&json!("invalid_token"), &json!("unknown_key"))
    );
}

//! The steward's messages: their language, the texts of an organization, and both on a phone.

use serde_json::{Value, json};
use voelgoed_scan_core::client::{ClientSetup, ScanInput, ScannerClient, VerdictSource};
use voelgoed_scan_core::model::Language;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::{Client, Fixture, Response};

use crate::phone_client::{client_setup, enrollment_uri, vg2_payload};

const MESSAGES: &str = "/api/v1/organization/messages";

/// The seven languages, each with its text for `admitted`.
const ADMITTED: [(&str, &str); 7] = [
    ("en", "Admitted"),
    ("af", "Toegelaat"),
    ("nl", "Toegelaten"),
    ("de", "Einlass gewährt"),
    ("fr", "Entrée autorisée"),
    ("es", "Entrada autorizada"),
    ("pt", "Acesso autorizado"),
];

async fn scan_in(device: &Client, language: &str, body: &Value) -> Response {
    device
        .with_header("accept-language", language)
        .scan(body)
        .await
        .expect(200)
}

/// The message of an answer, and its language by the header.
fn message_of(response: &Response) -> (String, String) {
    let text = response.json()["message"].as_str().expect("a text").to_owned();
    let language = response.header("content-language").expect("a language");
    (language.to_owned(), text)
}

/// The answer without its message.
fn without_message(response: &Response) -> Value {
    let mut answer = response.json();
    answer["message"].take();
    answer
}

#[tokio::test]
async fn the_message_is_in_the_language_that_the_reader_prefers_and_the_codes_stay() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let dry_run = json!({ "qr": tenant.qr(1).await, "dry_run": true });
    let plain = tenant.device.scan(&dry_run).await.expect(200);
    assert_eq!(message_of(&plain), ("en".to_owned(), "Admitted".to_owned()));
    assert_eq!(plain.json()["reason"], "admitted");
    let regional = [
        ("nl-BE", "nl"),
        ("PT-br, en;q=0.5", "pt"),
        ("xh, af-ZA;q=0.8, en;q=0.7", "af"),
        ("en;q=0.2, fr;q=0.3, de;q=0.1", "fr"),
        ("nl;q=0, de;q=0.1", "de"),
        ("nl;q=0", "en"),
        ("zu", "en"),
        ("*", "en"),
        ("", "en"),
        ("nl;q=7", "en"),
        (";;,=", "en"),
    ];
    let own = ADMITTED.iter().map(|(language, _)| (*language, *language));
    for (header, language) in own.chain(regional) {
        let response = scan_in(&tenant.device, header, &dry_run).await;
        let text = ADMITTED
            .iter()
            .find(|one| one.0 == language)
            .expect("a language")
            .1;
        assert_eq!(
            message_of(&response),
            (language.to_owned(), text.to_owned()),
            "{header}"
        );
        let vary: Vec<_> = response.headers.get_all("vary").iter().collect();
        assert!(vary.iter().any(|value| *value == "Accept-Language"), "{vary:?}");
        let (mut here, mut there) = (without_message(&response), without_message(&plain));
        // Each dry run has its own time.
        here["scanned_at"].take();
        there["scanned_at"].take();
        assert_eq!(here, there, "{header}");
    }
    let two_lines = tenant
        .device
        .with_header("accept-language", "nl;q=0.5")
        .with_header("accept-language", "de");
    let response = two_lines.scan(&dry_run).await.expect(200);
    assert_eq!(message_of(&response).0, "de");
}

#[tokio::test]
async fn a_replay_and_a_denial_from_a_cache_speak_the_language_of_their_reader() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let qr = tenant.qr(1).await;
    let admitted = json!({ "qr": qr, "scan_id": new_id() });
    let denied = json!({ "qr": qr, "scan_id": new_id() });
    for (body, texts) in [
        (&admitted, ["Toegelaten", "Einlass gewährt"]),
        (&denied, ["Al gescand", "Bereits gescannt"]),
    ] {
        let first = scan_in(&tenant.device, "nl", body).await;
        assert_eq!(message_of(&first).1, texts[0]);
        assert_eq!(first.json()["replayed"], false);
        let again = scan_in(&tenant.device, "de", body).await;
        assert_eq!(message_of(&again).1, texts[1]);
        assert_eq!(again.json()["replayed"], true);
        for field in [
            "scan_id",
            "result",
            "reason",
            "scanned_at",
            "ticket",
            "decided_by",
        ] {
            assert_eq!(first.json()[field], again.json()[field], "{field}");
        }
    }
}

#[tokio::test]
async fn an_organization_replaces_messages_for_its_own_stewards_at_once() {
    let fixture = Fixture::new().await;
    let (tenant, other) = (&fixture.tenant, &fixture.other_tenant);
    let dry_run = json!({ "qr": tenant.qr(1).await, "dry_run": true });
    let message = async |language: &str| {
        let response = scan_in(&tenant.device, language, &dry_run).await;
        message_of(&response).1
    };
    assert_eq!(message("nl").await, "Toegelaten");
    assert_eq!(tenant.owner.get(MESSAGES).await.expect(200).json(), json!({}));
    let long = "ë".repeat(120);
    let first = json!({ "nl": { "admitted": "Welkom!", "gate_full": "Vol" }, "de": { "admitted": long } });
    let put = async |body: Value| tenant.owner.put(MESSAGES, &body).await.expect(200).json();
    assert_eq!(put(first.clone()).await, first);
    assert_eq!(message("nl").await, "Welkom!");
    assert_eq!(message("de").await, long);
    assert_eq!(message("en").await, "Admitted");
    assert_eq!(
        message("nl-BE").await,
        "Welkom!",
        "a region falls back to the own text, too"
    );

    // What is given is merged, and null takes a text back.
    let merged = json!({ "nl": { "admitted": "Kom binnen" }, "de": { "admitted": long } });
    let change = json!({ "nl": { "admitted": "Kom binnen", "gate_full": null }, "fr": {} });
    assert_eq!(put(change).await, merged);
    assert_eq!(tenant.owner.get(MESSAGES).await.expect(200).json(), merged);
    assert_eq!(message("nl").await, "Kom binnen");
    put(json!({ "nl": { "admitted": null }, "de": { "admitted": null } })).await;
    assert_eq!(message("nl").await, "Toegelaten");
    assert_eq!(message("de").await, "Einlass gewährt");

    // Another organization has its own texts.
    put(json!({ "en": { "admitted": "Here", "already_scanned": "Send to the desk" } })).await;
    assert_eq!(other.owner.get(MESSAGES).await.expect(200).json(), json!({}));
    let elsewhere = json!({ "qr": other.qr(1).await, "dry_run": true });
    let response = scan_in(&other.device, "en", &elsewhere).await;
    assert_eq!(message_of(&response).1, "Admitted");

    // A denial has the text as well, whoever decides it.
    for _ in 0..3 {
        let denied = json!({ "qr": tenant.qr(0).await, "scan_id": new_id() });
        let response = scan_in(&tenant.device, "en", &denied).await;
        assert_eq!(message_of(&response).1, "Send to the desk");
        assert_eq!(response.json()["reason"], "already_scanned");
    }
}

#[tokio::test]
async fn a_message_that_is_not_possible_is_422_and_names_what_is_wrong() {
    let fixture = Fixture::new().await;
    let owner = &fixture.tenant.owner;
    for (body, pointer, said) in [
        (
            json!({ "xx": { "admitted": "x" } }),
            "/xx",
            "is no language: en, af, nl, de, fr, es, pt",
        ),
        (
            json!({ "nl-BE": { "admitted": "x" } }),
            "/nl-BE",
            "is no language",
        ),
        (
            json!({ "nl": { "welcome": "x" } }),
            "/nl/welcome",
            "is no reason: admitted, ",
        ),
        (
            json!({ "nl": { "welcome": null } }),
            "/nl/welcome",
            "is no reason",
        ),
        (json!({ "xx": null }), "/xx", "is no language"),
        (json!({ "nl": null }), "/nl", "must be of type object"),
        (
            json!({ "nl": { "admitted": "x".repeat(121) } }),
            "/nl/admitted",
            "at most 120 characters",
        ),
        (
            json!({ "nl": { "admitted": "" } }),
            "/nl/admitted",
            "at least 1 characters",
        ),
        (json!({ "nl": { "admitted": " " } }), "/nl/admitted", "must match"),
        (
            json!({ "nl": { "admitted": "a\nb" } }),
            "/nl/admitted",
            "must match",
        ),
        (
            json!({ "nl": { "admitted": 7 } }),
            "/nl/admitted",
            "must be of type",
        ),
        (json!([]), "", "must be an object"),
    ] {
        let response = owner
            .put(MESSAGES, &body)
            .await
            .expect_problem(422, "validation_failed");
        assert_eq!(response.pointers(), [pointer], "{body}");
        let message = response.json()["errors"][0]["message"].clone();
        assert!(
            message.as_str().expect("a text").contains(said),
            "{body}: {message}"
        );
    }
    let both = json!({ "xx": {}, "nl": { "admitted": "Welkom", "welcome": "x" } });
    let response = owner
        .put(MESSAGES, &both)
        .await
        .expect_problem(422, "validation_failed");
    let mut pointers = response.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/nl/welcome", "/xx"]);
    assert_eq!(
        owner.get(MESSAGES).await.expect(200).json(),
        json!({}),
        "nothing was changed"
    );
}

/// A phone at the first gate of a tenant, with its manifest.
async fn phone(tenant: &Tenant, setup: ClientSetup) -> ScannerClient {
    let (_, device) = tenant.new_device("phone-7", &json!({})).await;
    let uri = enrollment_uri(tenant, &device).await;
    let phone = ScannerClient::enroll(setup, &uri).await.expect("it enrols");
    let (event, gate) = (tenant.event.parse(), tenant.gate.parse());
    phone
        .start_session(event.expect("an id"), gate.expect("an id"), false)
        .await
        .expect("it starts");
    phone.refresh_manifest().await.expect("a manifest");
    phone
}

#[tokio::test]
async fn a_phone_shows_the_same_texts_online_and_offline() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let texts = json!({ "af": { "admitted": "Welkom!" }, "pt": { "already_scanned": "Vá ao balcão" } });
    tenant.owner.put(MESSAGES, &texts).await.expect(200);
    let directory = tempfile::tempdir().expect("a directory");
    let setup = ClientSetup {
        language: Language::Afrikaans,
        ..client_setup(&directory)
    };
    let phone = phone(tenant, setup).await;
    let mut tickets = Vec::new();
    for ticket in 0..5 {
        tickets.push(vg2_payload(tenant, ticket).await);
    }
    let shown = async |ticket: usize| {
        let verdict = phone.scan(ScanInput::entry(&tickets[ticket])).await;
        let verdict = verdict.expect("a verdict");
        (verdict.decided_by, verdict.message)
    };
    let expected = |decided_by, message: &str| (decided_by, message.to_owned());
    let server = VerdictSource::Server;
    assert_eq!(shown(1).await, expected(server, "Welkom!"));
    phone.set_language(Language::Portuguese);
    assert_eq!(shown(2).await, expected(server, "Acesso autorizado"));
    assert_eq!(shown(0).await, expected(server, "Vá ao balcão"));
    // The phone knows of the new text only by its next manifest.
    let texts = json!({ "de": { "admitted": "Hereinspaziert" } });
    tenant.owner.put(MESSAGES, &texts).await.expect(200);
    phone.refresh_manifest().await.expect("a manifest");
    fixture.server.stop().await;
    let device = VerdictSource::Device;
    assert_eq!(shown(3).await, expected(device, "Acesso autorizado"));
    phone.set_language(Language::German);
    assert_eq!(shown(4).await, expected(device, "Hereinspaziert"));
}

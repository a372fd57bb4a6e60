//! Benchmarks of the pure parts of a scan, and of a scan that the in-process cache answers: `cargo bench --bench scan`
//!
//! `scripts/bench` measures a running system over sockets with a database.

#![expect(clippy::expect_used, reason = "a benchmark stops at an unexpected result")]

use std::hint::black_box;
use std::num::NonZeroU8;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};
use voelgoed_scan_core::model::{
    AuditContext, Claims, Direction, EventId, EventPut, GateId, GatePut, KeyFormat, KeyStatus, Ledger, Name,
    OrganizationId, Reason, ScanAnswer, ScanRequest, SessionStart, SigningKey, Ticket, TicketCode,
    TicketFacts, Timestamp,
};
use voelgoed_scan_core::node::Setup;
use voelgoed_scan_core::rules::{ScanContext, ScanDay, decide};
use voelgoed_scan_core::store::{NumberedLine, open};
use voelgoed_scan_core::token::{
    KeyDerivation, Keyring, MasterSecret, Payload, PhoenixKeys, Vg2Claims, payload_sha256, verify,
};

const CODE: &str = "3KQR7F924M1XaB0z";
const ORGANIZATION: &str = "ea8ed02a-82a1-4593-8f23-37cd3794c522";
const EVENT: &str = "0192f0c1-7a4e-7000-8000-000000000002";
const GATE: &str = "0192f0c1-7a4e-7000-8000-000000000003";
const PHOENIX: &str = include_str!("../tests/vectors/phoenix_token.json");

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_370_645_120)
}

fn code() -> TicketCode {
    CODE.parse().expect("a code")
}

fn keyring() -> Keyring {
    let organization: OrganizationId = ORGANIZATION.parse().expect("an id");
    let master = MasterSecret::from_bytes(&[1; 32]).expect("32 bytes");
    let keys: Vec<SigningKey> = [KeyFormat::Vg1, KeyFormat::Vg2]
        .into_iter()
        .map(|format| SigningKey {
            format,
            kid: "1".parse().expect("a key id"),
            status: KeyStatus::Active,
            public_key: None,
            inserted_at: now(),
        })
        .collect();
    Keyring::derive(&master, organization, &keys).expect("a keyring")
}

/// A payload of each format.
fn payloads(keyring: &Keyring) -> [(&'static str, String); 3] {
    let claims = Vg2Claims {
        ticket_code: code(),
        event_id: EVENT.parse().expect("an id"),
        not_before: None,
        not_after: None,
        ticket_class: 0,
        entry_limit: NonZeroU8::MIN,
    };
    let file: Value = serde_json::from_str(PHOENIX).expect("JSON");
    let phoenix = file["cases"]
        .as_array()
        .and_then(|cases| cases.iter().find(|case| case["name"] == "map_atom valid"))
        .and_then(|case| case["token"].as_str())
        .expect("a case");
    [
        ("vg1", keyring.sign_vg1(code()).expect("a payload")),
        ("vg2", keyring.sign_vg2(&claims).expect("a payload")),
        ("phoenix", phoenix.to_owned()),
    ]
}

fn phoenix_keys() -> PhoenixKeys {
    let file: Value = serde_json::from_str(PHOENIX).expect("JSON");
    let text = |name: &str| file[name].as_str().expect("a text").to_owned();
    PhoenixKeys::derive(&text("secret_key_base"), &text("salt"), KeyDerivation::default()).expect("keys")
}

fn token_benches(criterion: &mut Criterion) {
    let (keyring, phoenix) = (keyring(), phoenix_keys());
    for (format, text) in payloads(&keyring) {
        criterion.bench_function(&format!("parse/{format}"), |bench| {
            bench.iter(|| Payload::parse(black_box(&text)).map(|payload| payload.format()));
        });
        let payload = Payload::parse(&text).expect("a payload");
        verify(&payload, &keyring, Some(&phoenix), false).expect("its signature holds");
        criterion.bench_function(&format!("verify/{format}"), |bench| {
            bench.iter(|| verify(black_box(&payload), &keyring, Some(&phoenix), false));
        });
    }
    let text = keyring.sign_vg1(code()).expect("a payload");
    criterion.bench_function("fingerprint/vg1", |bench| {
        bench.iter(|| payload_sha256(black_box(&text)));
    });
}

fn decision_benches(criterion: &mut Criterion) {
    let (organization, event) = (
        ORGANIZATION.parse().expect("an id"),
        EVENT.parse().expect("an id"),
    );
    let put: EventPut = serde_json::from_value(json!({
        "name": "Opening night", "status": "live", "capacity": 20_000, "ticket_classes": ["VIP"]
    }))
    .expect("an event");
    let event = put.event(organization, event, now());
    let put: GatePut = serde_json::from_value(json!({
        "name": "Main", "status": "open", "capacity": 500, "ticket_classes": ["VIP"]
    }))
    .expect("a gate");
    let gate = put.gate(organization, event.id, GATE.parse().expect("an id"), now());
    let ticket: Ticket = serde_json::from_value(json!({
        "id": "0192f0c1-7a4e-7000-8000-000000000004", "organization_id": ORGANIZATION, "event_id": EVENT,
        "code": CODE, "status": "active", "ticket_class": "VIP", "gate_ids": [GATE], "seat": null,
        "valid_from": "2026-11-01T00:00:00.000Z", "valid_until": "2027-11-01T00:00:00.000Z", "entry_limit": 1,
        "scan_count": 0, "note": null,
        "inserted_at": "2026-11-01T00:00:00.000Z", "updated_at": "2026-11-01T00:00:00.000Z"
    }))
    .expect("a ticket");
    let facts = TicketFacts {
        ticket,
        ledger: Ledger::default(),
        version: 1,
    };
    let context = ScanContext {
        now: now(),
        direction: Direction::Entry,
        event: &event,
        gate: &gate,
        occupancy: Some(voelgoed_scan_core::model::Occupancy::default()),
        dedup_window: Duration::from_secs(300),
        day: ScanDay::ENDLESS,
    };
    let claims = Claims {
        ticket_code: Some(code()),
        ..Claims::default()
    };
    assert_eq!(decide(&context, &claims, Some(&facts)), Reason::Admitted);
    criterion.bench_function("decide/admitted", |bench| {
        bench.iter(|| decide(black_box(&context), &claims, Some(&facts)));
    });
}

/// A duplicate that the in-process cache answers: authentication, payload, signature, ticket from the cache, answer. Its
/// record is written behind.
fn cache_benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let (scanner, token, qr) = runtime.block_on(gate(folder.path()));
    let request: ScanRequest = serde_json::from_value(json!({ "qr": qr })).expect("a request");
    let scan = async || {
        let authenticated = scanner.authenticate(&token).await.expect("a database");
        let authenticated = authenticated.expect("a device");
        scanner
            .scan(&authenticated, request.clone(), now())
            .await
            .expect("an answer")
    };
    assert_eq!(runtime.block_on(scan()).reason, Reason::Admitted);
    let answer = runtime.block_on(scan());
    assert_eq!(answer.decided_by, voelgoed_scan_core::model::DecidedBy::Memory);
    // A longer run without a flush would measure how fast records are written.
    criterion.bench_function("memory/duplicate", |bench| {
        bench.iter_custom(|iterations| {
            let mut spent = Duration::ZERO;
            for _ in 0..iterations.div_ceil(256) {
                let started = std::time::Instant::now();
                runtime.block_on(async {
                    for _ in 0..256 {
                        black_box(scan().await);
                    }
                });
                spent += started.elapsed();
                runtime.block_on(scanner.shutdown());
            }
            // Complete rounds ran. The result is the share of the requested iterations.
            let (requested, completed) = (u128::from(iterations), u128::from(iterations.div_ceil(256) * 256));
            let nanos = spent.as_nanos() * requested / completed.max(1);
            Duration::from_nanos(u64::try_from(nanos).expect("less than centuries"))
        });
    });
    json_benches(criterion, &answer, &qr);
}

async fn gate(folder: &std::path::Path) -> (voelgoed_scan_core::node::Scanner, [u8; 32], String) {
    let now = now();
    let url = format!("sqlite://{}", folder.join("gate.db").display());
    let setup = Setup {
        store: open(&url, true).await.expect("a database"),
        master: MasterSecret::generate(),
        phoenix: None,
        window: Duration::from_secs(300),
        redis: None,
    };
    let (scanner, admin) = setup.open().await.expect("a node");
    let name = Name::new("Harbour Theatre").expect("a name");
    let (organization, _, _) = admin
        .create_organization(name, &AuditContext::cli(), now)
        .await
        .expect("made");
    let (event, gate) = (EventId::generate(now), GateId::generate(now));
    let put: EventPut =
        serde_json::from_value(json!({ "name": "Opening night", "status": "live" })).expect("an event");
    admin
        .put_event(organization.id, event, &put, &AuditContext::cli(), now)
        .await
        .expect("put");
    let put: GatePut = serde_json::from_value(json!({ "name": "Main", "status": "open" })).expect("a gate");
    admin
        .put_gate(organization.id, event, gate, &put, &AuditContext::cli(), now)
        .await
        .expect("put");
    let line = serde_json::from_value(json!({ "code": CODE })).expect("a line");
    admin
        .import(
            organization.id,
            event,
            &[NumberedLine { number: 1, line }],
            &AuditContext::cli(),
            now,
        )
        .await
        .expect("imported");
    let register =
        serde_json::from_value(json!({ "device_id": "door-1", "name": "Door 1" })).expect("a device");
    let registered = admin
        .register_device(organization.id, &register, &AuditContext::cli(), now)
        .await
        .expect("registered");
    let token = registered.row().expect("a new name").1.hash();
    let authenticated = scanner.authenticate(&token).await.expect("a database");
    let start = SessionStart {
        event_id: event,
        gate_id: gate,
        replace: false,
    };
    scanner
        .start_session(&authenticated.expect("a device"), &start, now)
        .await
        .expect("started");
    let qr = admin
        .qr_payload(organization.id, event, code(), KeyFormat::Vg1)
        .await
        .expect("a database");
    (scanner, token, qr.flatten().expect("a payload"))
}

fn json_benches(criterion: &mut Criterion, answer: &ScanAnswer, qr: &str) {
    let body = json!({
        "qr": qr, "scan_id": "0192f0c1-7a4e-7000-8000-000000000005", "scanned_at": "2026-11-22T18:04:05.120Z"
    })
    .to_string();
    criterion.bench_function("json/request", |bench| {
        bench.iter(|| serde_json::from_str::<ScanRequest>(black_box(&body)).expect("a request"));
    });
    criterion.bench_function("json/answer", |bench| {
        bench.iter(|| black_box(answer).to_json());
    });
}

criterion_group!(benches, token_benches, decision_benches, cache_benches);
criterion_main!(benches);

//! Benchmarks of a phone that decides offline, with 100,000 tickets in its manifest: `cargo bench --bench phone`

#![expect(clippy::expect_used, reason = "a benchmark stops at an unexpected result")]

use std::cell::Cell;
use std::hint::black_box;
use std::num::NonZeroU8;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;
use voelgoed_scan_core::client::{OfflineScan, OfflineScanner, OfflineScannerSetup};
use voelgoed_scan_core::manifest::{
    Manifest, ManifestDraft, ManifestFacts, ManifestTicket, TicketKey, VerifiedManifest,
};
use voelgoed_scan_core::model::{
    CustomMessages, Direction, EventId, EventPut, GateId, GatePut, KeyFormat, KeyStatus, OrganizationId,
    Reading, ScanId, ScanResult, SigningKey, TicketCode, TicketStatus, Timestamp,
};
use voelgoed_scan_core::token::{Keyring, MasterSecret, Vg2Claims};

const ORGANIZATION: &str = "ea8ed02a-82a1-4593-8f23-37cd3794c522";
const EVENT: &str = "0192f0c1-7a4e-7000-8000-000000000002";
const GATE: &str = "0192f0c1-7a4e-7000-8000-000000000003";
const TICKETS: usize = 100_000;

struct Fixture {
    organization: OrganizationId,
    event: EventId,
    gate: GateId,
    keyring: Keyring,
    codes: Vec<TicketCode>,
    manifest: Vec<u8>,
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_370_645_120)
}

fn fixture() -> Fixture {
    let organization: OrganizationId = ORGANIZATION.parse().expect("an id");
    let event: EventId = EVENT.parse().expect("an id");
    let master = MasterSecret::from_bytes(&[1; 32]).expect("32 bytes");
    let kid = "1".parse().expect("a key id");
    let key = |format, public_key| SigningKey {
        format,
        kid,
        status: KeyStatus::Active,
        public_key,
        inserted_at: now(),
    };
    let keys = [
        key(KeyFormat::Vg1, None),
        key(KeyFormat::Vg2, Some(master.vg2_public_key(organization, kid))),
    ];
    let keyring = Keyring::derive(&master, organization, &keys).expect("a keyring");
    let put: EventPut =
        serde_json::from_value(json!({ "name": "Opening night", "status": "live" })).expect("an event");
    let of_event = put.event(organization, event, now());
    let gate_id = GATE.parse().expect("an id");
    let put: GatePut = serde_json::from_value(json!({ "name": "Main", "status": "open" })).expect("a gate");
    let gate = put.gate(organization, event, gate_id, now());
    let codes: Vec<_> = std::iter::repeat_with(TicketCode::generate)
        .take(TICKETS)
        .collect();
    let tickets = codes.iter().map(|code| ManifestTicket {
        key: TicketKey::of(organization, event, *code),
        status: TicketStatus::Active,
        ticket_class: None,
        gate_ids: None,
        valid_from: None,
        valid_until: None,
        entry_limit: 1,
        admissions: 0,
        inside: 0,
        last_admission: None,
        media: Vec::new(),
        day_admissions: 0,
    });
    let facts = ManifestFacts {
        version: 1,
        made_at: now(),
        expires_at: now().plus(Duration::from_hours(12)),
        event: &of_event,
        gates: &[gate],
        keys: &keys,
        messages: CustomMessages::NONE,
        dedup_window: Duration::from_secs(300),
    };
    let draft = ManifestDraft::full(&facts, tickets).expect("there is room");
    Fixture {
        organization,
        event,
        gate: GATE.parse().expect("an id"),
        manifest: draft.sign(&keyring).expect("a manifest key"),
        keyring,
        codes,
    }
}

fn phone(criterion: &mut Criterion) {
    let fixture = fixture();
    let manifest_key = fixture.keyring.manifest_key().expect("a key");
    let load = || -> Manifest {
        VerifiedManifest::verify(fixture.manifest.clone(), fixture.organization, &manifest_key)
            .and_then(|verified| verified.into_manifest(None))
            .expect("a manifest")
    };
    criterion.bench_function("phone/load", |bench| bench.iter(load));
    let manifest = load();
    let next = Cell::new(0);
    let code = || {
        next.set((next.get() + 7919) % TICKETS);
        fixture.codes.get(next.get()).copied().expect("a code")
    };
    criterion.bench_function("phone/find", |bench| {
        bench.iter(|| {
            manifest
                .find(manifest.key(black_box(code())))
                .listed()
                .expect("a ticket")
        });
    });

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let gate = runtime.block_on(async {
        let gate = OfflineScanner::open(OfflineScannerSetup {
            file: folder.path().join("phone.db"),
            organization_id: fixture.organization,
            device_id: "0192f0c1-7a4e-7000-8000-000000000004".parse().expect("an id"),
            device_name: "Phone 1".to_owned(),
            can_override: false,
            manifest_key,
            device_secret: None,
        })
        .await
        .expect("a gate");
        gate.install(fixture.event, fixture.manifest.clone(), now())
            .await
            .expect("installed");
        gate
    });
    let at = Cell::new(now());
    let scan = || {
        at.set(at.get().plus_millis(1));
        let claims = Vg2Claims {
            ticket_code: code(),
            event_id: fixture.event,
            not_before: None,
            not_after: None,
            ticket_class: 0,
            entry_limit: NonZeroU8::MIN,
        };
        OfflineScan {
            scan_id: ScanId::generate(at.get()),
            reading: Reading::Qr(fixture.keyring.sign_vg2(&claims).expect("a payload")),
            gate_id: fixture.gate,
            direction: Direction::Entry,
            scanned_at: at.get(),
            override_: None,
            metadata: None,
        }
    };
    let verdict = runtime.block_on(gate.decide(scan())).expect("a verdict");
    assert_eq!(verdict.result, ScanResult::Valid);
    criterion.bench_function("phone/scan", |bench| {
        bench.iter_batched(
            scan,
            |scan| runtime.block_on(gate.decide(scan)).expect("a verdict"),
            criterion::BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, phone);
criterion_main!(benches);

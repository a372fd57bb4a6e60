//! Every decision of `tests/vectors/decisions.json`, made by a server over HTTP and by a phone with the server's manifest.

use std::fmt::Debug;
use std::num::NonZeroU8;
use std::str::FromStr;

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use voelgoed_scan_core::client::{OfflineScan, OfflineScanner, OfflineScannerSetup};
use voelgoed_scan_core::model::{
    EventId, GateId, KeyFormat, KeyId, KeyStatus, OrganizationId, Override, Reading, ScanId, SigningKey,
    TicketCode, Timestamp,
};
use voelgoed_scan_core::rules::vectors::{DecisionCase, DecisionFile, DecisionStep, StepReading};
use voelgoed_scan_core::token::{Keyring, MasterSecret, Vg2Claims};
use voelgoed_scan_server::clock::StandingClock;
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::{Client, Fixture};

const FILE: &str = include_str!("../vectors/decisions.json");

/// The code of a ticket that does not exist.
const UNKNOWN_CODE: &str = "UNKN0WNUNKN0WN00";

/// A server whose clock the test sets, and a device that may override.
struct Office {
    fixture: Fixture,
    clock: StandingClock,
    device: Client,
    organization: OrganizationId,
    device_id: String,
    keyring: Keyring,
}

/// The event of a case, with its gate.
struct Place {
    event: EventId,
    gate: GateId,
    code: TicketCode,
}

fn parsed<T: FromStr<Err: Debug>>(value: &Value) -> T {
    value
        .as_str()
        .expect("a text")
        .parse()
        .expect("a value of this type")
}

fn merged(mut defaults: Value, members: &Map<String, Value>) -> Value {
    defaults
        .as_object_mut()
        .expect("an object")
        .extend(members.clone());
    defaults
}

impl Office {
    async fn new() -> Self {
        let clock = StandingClock::default();
        clock.set("2016-01-01T00:00:00Z".parse().expect("a time"));
        let master_secret = "5e".repeat(32);
        let directory = tempfile::tempdir().expect("a directory");
        let secret_file = directory.path().join("secret");
        std::fs::write(&secret_file, &master_secret).expect("written");
        let fixture = Fixture::with_config(|config| {
            config.secrets.secret_key_file = Some(secret_file);
            config.standing_clock = Some(clock.clone());
        })
        .await;
        let settings = json!({ "can_override": true });
        let (device, device_id) = fixture.tenant.new_device("supervisor", &settings).await;
        let path = format!("/api/v1/scanning/devices/{device_id}");
        let shown = fixture.tenant.owner.get(&path).await.expect(200).json();
        let organization = parsed(&shown["organization_id"]);
        let row = |format| SigningKey {
            format,
            kid: KeyId::FIRST,
            status: KeyStatus::Active,
            public_key: None,
            inserted_at: Timestamp::from_millis(0),
        };
        let master = MasterSecret::from_hex(&master_secret).expect("a secret");
        let rows = [row(KeyFormat::Vg1), row(KeyFormat::Vg2)];
        Self {
            keyring: Keyring::derive(&master, organization, &rows).expect("two keys"),
            fixture,
            clock,
            device,
            organization,
            device_id,
        }
    }

    /// Creates the event, the gate and the ticket of a case an hour before its first scan, and starts a session there.
    async fn place(&self, case: &DecisionCase) -> Place {
        self.clock.set(case.steps[0].at.plus_millis(-3_600_000));
        let owner = &self.fixture.tenant.owner;
        let (event, gate) = (new_id(), new_id());
        let path = format!("/api/v1/events/{event}");
        let body = merged(json!({ "name": case.name, "status": "live" }), &case.event);
        owner.put(&path, &body).await.expect(201);
        let body = merged(json!({ "name": "Gate", "status": "open" }), &case.gate);
        owner
            .put(&format!("{path}/gates/{gate}"), &body)
            .await
            .expect(201);
        let mut code = UNKNOWN_CODE.parse().expect("a code");
        if let Some(ticket) = &case.ticket {
            let imported = owner
                .send(
                    "POST",
                    &format!("{path}/tickets?return=codes"),
                    Some("application/x-ndjson"),
                    format!("{}\n", json!(ticket)),
                )
                .await
                .expect(200);
            code = parsed(&imported.lines()[0]["code"]);
        }
        let session = json!({ "event_id": event, "gate_id": gate, "replace": true });
        self.device
            .post("/api/v1/scanning/sessions", &session)
            .await
            .expect(201);
        Place {
            event: event.parse().expect("an id"),
            gate: gate.parse().expect("an id"),
            code,
        }
    }

    /// What a scan sends.
    fn reading(&self, step: &DecisionStep, place: &Place) -> Reading {
        let code = place.code;
        match &step.reading {
            StepReading::Vg2 => {
                let claims = Vg2Claims {
                    ticket_code: code,
                    event_id: place.event,
                    not_before: None,
                    not_after: None,
                    ticket_class: 0,
                    entry_limit: NonZeroU8::MIN,
                };
                Reading::Qr(self.keyring.sign_vg2(&claims).expect("a key"))
            }
            StepReading::Vg1 => Reading::Qr(self.keyring.sign_vg1(code).expect("a key")),
            StepReading::Code => Reading::TicketCode(code.to_string()),
            StepReading::Qr(text) => Reading::Qr(text.clone()),
            StepReading::Medium(medium) => Reading::Medium(medium.clone()),
        }
    }

    /// Decides the scans of a case at the server. Returns what differs.
    async fn scan(&self, case: &DecisionCase, place: &Place) -> Vec<String> {
        let mut differences = Vec::new();
        for (number, step) in (1..).zip(&case.steps) {
            self.clock.set(step.at);
            let mut body = json!({ "direction": step.direction });
            match self.reading(step, place) {
                Reading::Qr(text) => body["qr"] = json!(text),
                Reading::TicketCode(text) => body["ticket_code"] = json!(text),
                Reading::Medium(medium) => body["medium"] = json!(medium),
            }
            if let Some(reason) = &step.override_ {
                body["override"] = json!({ "reason": reason });
            }
            let answer = self.device.scan(&body).await.expect(200).json();
            let expected = [json!(step.result), json!(step.reason)];
            if [&answer["result"], &answer["reason"]] != [&expected[0], &expected[1]] {
                differences.push(format!("{}, scan {number} at the server: {answer}", case.name));
            }
        }
        differences
    }

    /// A phone with its database in a directory.
    async fn phone(&self, directory: &TempDir) -> OfflineScanner {
        let phone = OfflineScanner::open(OfflineScannerSetup {
            file: directory.path().join("phone.db"),
            organization_id: self.organization,
            device_id: self.device_id.parse().expect("an id"),
            device_name: "supervisor".to_owned(),
            can_override: true,
            manifest_key: self.keyring.manifest_key().expect("a key"),
            device_secret: None,
        });
        phone.await.expect("a database")
    }

    /// Gives a phone the present manifest of the event.
    async fn install_manifest(&self, place: &Place, directory: &TempDir) {
        let path = format!("/api/v1/scanning/events/{}/manifest", place.event);
        let manifest = self.device.get(&path).await.expect(200).body.to_vec();
        let phone = self.phone(directory).await;
        let installed = phone.install(place.event, manifest, self.clock.now()).await;
        installed.expect("a manifest");
    }

    /// Decides the scans of a case at a phone. Returns what differs.
    async fn scan_offline(&self, case: &DecisionCase, place: &Place, directory: &TempDir) -> Vec<String> {
        let mut differences = Vec::new();
        for (number, step) in (1..).zip(&case.steps) {
            let scan = OfflineScan {
                scan_id: ScanId::generate(step.at),
                reading: self.reading(step, place),
                gate_id: place.gate,
                direction: step.direction,
                scanned_at: step.at,
                override_: step.override_.as_ref().map(|reason| Override {
                    reason: reason.parse().expect("a reason"),
                }),
                metadata: None,
            };
            // A new start, so that two scans within 2.5 seconds are not one reading.
            let verdict = self.phone(directory).await.decide(scan).await.expect("a verdict");
            let own = step.offline.map(|own| (own.result, own.reason));
            if (verdict.result, verdict.reason) != own.unwrap_or((step.result, step.reason)) {
                differences.push(format!(
                    "{}, scan {number} at the phone: {}/{}",
                    case.name, verdict.result, verdict.reason
                ));
            }
        }
        differences
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_and_a_phone_make_every_decision_of_the_file() {
    let office = Office::new().await;
    let file = DecisionFile::parse(FILE).expect("a file of decisions");
    let mut differences = Vec::new();
    for case in file.cases() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = office.place(case).await;
        office.install_manifest(&place, &directory).await;
        differences.extend(office.scan(case, &place).await);
        differences.extend(office.scan_offline(case, &place, &directory).await);
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

mod attempts;
mod clock;
mod daily;
mod decision;
mod device_state;
mod disk;
mod golden;
mod heard_online;
mod held_manifests;
mod kill;
mod language;
mod lock;
mod media;
mod memory;
mod old_files;
mod rejected;
mod replacement;
mod retention;
mod server_facts;
mod upload;

use std::num::NonZeroU8;
use std::path::Path;
use std::sync::Arc;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::*;
use crate::manifest::{ManifestDraft, ManifestFacts, ManifestTicket};
use crate::model::{
    ClassName, CustomMessages, DeviceId, Event, EventStatus, Gate, GateStatus, KeyFormat, KeyId, KeyStatus,
    LocalTime, Name, OrganizationId, Reason, Reentry, SigningKey, TicketCode, TicketStatus, TimeZoneName,
    Warning,
};
use crate::sync::{Conflict, SyncAnswer, SyncRequest, signed_bytes};
use crate::token::{Keyring, MasterSecret, Vg2Claims};

/// The time of the first manifest.
pub(crate) const MADE_AT: Timestamp = Timestamp::from_seconds(1_780_000_000);

pub(crate) fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn class(name: &str) -> ClassName {
    ClassName::new(name).expect("a class")
}

pub(crate) fn code(number: u8) -> TicketCode {
    TicketCode::from_bytes([7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, number]).expect("a small number")
}

/// An event with two gates, its tickets and keys, and the manifests that a server would make of it.
pub(crate) struct TestEvent {
    pub(crate) keys: Vec<SigningKey>,
    pub(crate) messages: CustomMessages,
    pub(crate) event: Event,
    pub(crate) gates: Vec<Gate>,
    pub(crate) tickets: Vec<ManifestTicket>,
    pub(crate) version: u64,
    pub(crate) made_at: Timestamp,
}

pub(crate) const MAIN: u128 = 11;
const VIP: u128 = 12;

pub(crate) fn gate_id(number: u128) -> GateId {
    GateId::from_uuid(uuid(number))
}

impl TestEvent {
    /// Creates an event with tickets 1 to 9 of class `Day`, and a gate `VIP` that admits only class `VIP`.
    pub(crate) fn new() -> Self {
        let event = Event {
            id: EventId::from_uuid(uuid(2)),
            organization_id: OrganizationId::from_uuid(uuid(1)),
            name: Name::new("Kirkwood Fees").expect("a name"),
            status: EventStatus::Live,
            starts_at: None,
            ends_at: None,
            doors_open_at: None,
            doors_close_at: None,
            rescheduled_at: None,
            time_zone: TimeZoneName::default(),
            day_starts_at: LocalTime::default(),
            capacity: None,
            reentry: Reentry::Never,
            allow_unsigned: false,
            allow_media: false,
            rehearsal: false,
            ticket_classes: vec![class("VIP"), class("Day")],
            stale_manifest: StaleManifest::Warn,
            manifest_max_age_s: 3600,
            inserted_at: MADE_AT,
            updated_at: MADE_AT,
        };
        let gate = |id, name: &str, classes: Option<Vec<ClassName>>| Gate {
            id: gate_id(id),
            organization_id: event.organization_id,
            event_id: event.id,
            name: Name::new(name).expect("a name"),
            code: None,
            status: GateStatus::Open,
            capacity: None,
            ticket_classes: classes,
            inserted_at: MADE_AT,
            updated_at: MADE_AT,
        };
        let gates = vec![
            gate(MAIN, "Main", None),
            gate(VIP, "VIP", Some(vec![class("VIP")])),
        ];
        let master = master();
        let key = |format, kid: KeyId, status| SigningKey {
            format,
            kid,
            status,
            public_key: (format == KeyFormat::Vg2).then(|| master.vg2_public_key(event.organization_id, kid)),
            inserted_at: MADE_AT,
        };
        let mut test_event = Self {
            keys: vec![
                key(KeyFormat::Vg1, KeyId::FIRST, KeyStatus::Active),
                key(KeyFormat::Vg2, KeyId::FIRST, KeyStatus::Active),
            ],
            messages: CustomMessages::default(),
            tickets: Vec::new(),
            version: 1,
            made_at: MADE_AT,
            gates,
            event,
        };
        test_event.tickets = (1..10).map(|number| test_event.ticket(number)).collect();
        test_event
    }

    pub(crate) fn ticket(&self, number: u8) -> ManifestTicket {
        ManifestTicket {
            key: TicketKey::of(self.event.organization_id, self.event.id, code(number)),
            status: TicketStatus::Active,
            ticket_class: Some(class("Day")),
            gate_ids: None,
            valid_from: None,
            valid_until: None,
            entry_limit: 1,
            admissions: 0,
            inside: 0,
            last_admission: None,
            media: Vec::new(),
            day_admissions: 0,
        }
    }

    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::derive(&master(), self.event.organization_id, &self.keys).expect("its own keys")
    }

    pub(crate) fn vg1(&self, number: u8) -> String {
        self.keyring().sign_vg1(code(number)).expect("a key")
    }

    pub(crate) fn claims(&self, number: u8) -> Vg2Claims {
        Vg2Claims {
            ticket_code: code(number),
            event_id: self.event.id,
            not_before: None,
            not_after: None,
            ticket_class: 2,
            entry_limit: NonZeroU8::MIN,
        }
    }

    pub(crate) fn sign(&self, claims: Vg2Claims) -> String {
        self.keyring().sign_vg2(&claims).expect("a key")
    }

    pub(crate) fn vg2(&self, number: u8) -> String {
        self.sign(self.claims(number))
    }

    pub(crate) fn facts(&self) -> ManifestFacts<'_> {
        ManifestFacts {
            version: self.version,
            made_at: self.made_at,
            expires_at: self.made_at.plus(Duration::from_hours(1)),
            event: &self.event,
            gates: &self.gates,
            keys: &self.keys,
            messages: &self.messages,
            dedup_window: Duration::from_mins(5),
        }
    }

    pub(crate) fn manifest(&self) -> Vec<u8> {
        let draft = ManifestDraft::full(&self.facts(), self.tickets.clone()).expect("it is small");
        draft.sign(&self.keyring()).expect("a server signs")
    }

    pub(crate) fn delta(&self, base: u64, tickets: &[u8]) -> Vec<u8> {
        let changed = tickets
            .iter()
            .map(|&number| self.tickets[usize::from(number) - 1].clone());
        let draft = ManifestDraft::delta(&self.facts(), base, changed).expect("it is small");
        draft.sign(&self.keyring()).expect("a server signs")
    }

    /// Makes the next version of the manifest, this many seconds after the first.
    pub(crate) fn later(&mut self, seconds: i64) -> Vec<u8> {
        self.version += 1;
        self.made_at = after(seconds);
        self.manifest()
    }

    pub(crate) fn setup(&self, file: &Path) -> OfflineScannerSetup {
        OfflineScannerSetup {
            file: file.to_owned(),
            organization_id: self.event.organization_id,
            device_id: DeviceId::from_uuid(uuid(7)),
            device_name: "Phone 7".to_owned(),
            can_override: true,
            manifest_key: self.keyring().manifest_key().expect("a server"),
            device_secret: Some(DeviceSecret::from_seed(&[9; 32])),
        }
    }

    /// Creates a phone with this manifest.
    async fn phone(&self) -> Phone {
        let directory = tempfile::tempdir().expect("a directory");
        let scanner = self.open(&directory).await;
        scanner
            .install(self.event.id, self.manifest(), MADE_AT)
            .await
            .expect("it is installed");
        Phone { scanner, directory }
    }

    async fn open(&self, directory: &tempfile::TempDir) -> OfflineScanner {
        let setup = self.setup(&directory.path().join("device.db"));
        OfflineScanner::open(setup).await.expect("the database opens")
    }
}

fn master() -> MasterSecret {
    MasterSecret::from_hex(&"42".repeat(32)).expect("a master secret")
}

pub(crate) fn after(seconds: i64) -> Timestamp {
    MADE_AT.plus_millis(seconds * 1000)
}

struct Phone {
    scanner: OfflineScanner,
    directory: tempfile::TempDir,
}

fn entry(qr: impl Into<String>, seconds: i64) -> OfflineScan {
    OfflineScan {
        scan_id: ScanId::from_uuid(Uuid::new_v4()),
        reading: Reading::Qr(qr.into()),
        gate_id: gate_id(MAIN),
        direction: Direction::Entry,
        scanned_at: after(seconds),
        override_: None,
        metadata: None,
    }
}

fn exit(qr: impl Into<String>, seconds: i64) -> OfflineScan {
    OfflineScan {
        direction: Direction::Exit,
        ..entry(qr, seconds)
    }
}

impl Phone {
    async fn scan(&self, scan: OfflineScan) -> Verdict {
        self.scanner.decide(scan).await.expect("a verdict")
    }

    /// Scans one after the other and returns the reasons.
    async fn reasons(&self, scans: impl IntoIterator<Item = OfflineScan>) -> Vec<Reason> {
        let mut reasons = Vec::new();
        for scan in scans {
            reasons.push(self.scan(scan).await.reason);
        }
        reasons
    }

    async fn install(
        &self,
        test_event: &TestEvent,
        bytes: Vec<u8>,
        seconds: i64,
    ) -> Result<ManifestState, OfflineError> {
        self.scanner
            .install(test_event.event.id, bytes, after(seconds))
            .await
    }

    /// Drops the scanner without closing it, as a kill does, and opens it again.
    async fn reopened(self, test_event: &TestEvent) -> Self {
        let Self { scanner, directory } = self;
        drop(scanner);
        Self {
            scanner: test_event.open(&directory).await,
            directory,
        }
    }
}

#[test]
fn the_debug_output_of_a_device_secret_is_empty() {
    let secret = DeviceSecret::from_seed(&[9; 32]);
    assert_eq!(format!("{secret:?}"), "DeviceSecret(…)");
    assert_eq!(*secret.seed(), [9; 32]);
    assert!(DeviceSecret::generate().public().is_usable());
}

/// The apps' executors move the calls of a scanner between threads.
#[tokio::test]
async fn the_calls_of_a_scanner_may_move_between_threads() {
    const fn check<T: Send>(_: &T) {}
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let scan = phone.scanner.decide(entry("x", 1));
    check(&scan);
    scan.await.expect("a verdict");
    let rescue = phone.scanner.rescued_scans();
    check(&rescue);
    assert_eq!(rescue.await.expect("nothing was set aside").scans, 0);
}

impl OfflineScanner {
    /// Limits the size of the database from now on, as a full disk does.
    pub(crate) async fn limit_pages(&self, pages: u32) {
        self.state.lock().await.log.limit_pages(pages);
    }
}

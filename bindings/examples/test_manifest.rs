//! Writes the fixture of the offline tests in Kotlin, Swift and Python: an event with tickets, valid and invalid
//! manifests, and the responses of a server.
//!
//! `cargo run --example test_manifest FOLDER` writes the manifests and responses as files, and the ids and payloads as
//! `values.tsv`, one name and value per line.

use std::fs;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use voelgoed_scan_core::manifest::{ManifestDraft, ManifestFacts, ManifestTicket, TicketKey};
use voelgoed_scan_core::model::{
    ClassName, CustomMessages, DecidedBy, Device, DeviceId, DeviceSelf, DeviceSettings, DeviceStatus,
    DeviceToken, DeviceType, Direction, EnrollAnswer, EnrollmentCode, EnrollmentUri, Event, EventId,
    EventStatus, Gate, GateId, GateStatus, IssuedToken, KeyFormat, KeyId, KeyStatus, LocalTime, ManifestKey,
    Name, NamedGate, Occupancy, OrganizationId, Reason, Reentry, ScanAnswer, ScanResult, ScanSession,
    SessionId, SessionStatus, SigningKey, StaleManifest, TicketCode, TicketStatus, TimeZoneName, Timestamp,
    hex,
};
use voelgoed_scan_core::token::{Keyring, MasterSecret, Vg2Claims};

type Failure = Box<dyn std::error::Error>;

const DAY: Duration = Duration::from_hours(24);

struct Fixture {
    folder: PathBuf,
    values: Vec<String>,
    now: Timestamp,
    event: Event,
    gates: Vec<Gate>,
    keys: Vec<SigningKey>,
    keyring: Keyring,
    device: Option<DeviceId>,
}

impl Fixture {
    fn add_value(&mut self, name: &str, value: impl ToString) {
        self.values.push(format!("{name}\t{}", value.to_string()));
    }

    /// Creates a listed ticket and adds its payload and code to the values.
    fn ticket(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut ManifestTicket),
    ) -> Result<ManifestTicket, Failure> {
        let code = TicketCode::generate();
        let mut ticket = ManifestTicket {
            key: TicketKey::of(self.event.organization_id, self.event.id, code),
            status: TicketStatus::Active,
            ticket_class: Some(ClassName::new("Day")?),
            gate_ids: None,
            valid_from: None,
            valid_until: None,
            entry_limit: 1,
            admissions: 0,
            inside: 0,
            last_admission: None,
            media: Vec::new(),
            day_admissions: 0,
        };
        change(&mut ticket);
        let payload = self.vg2(code, |_| {})?;
        self.add_value(name, payload);
        self.add_value(&format!("{name}_code"), code);
        Ok(ticket)
    }

    fn vg2(&self, code: TicketCode, change: impl FnOnce(&mut Vg2Claims)) -> Result<String, Failure> {
        let mut claims = Vg2Claims {
            ticket_code: code,
            event_id: self.event.id,
            not_before: None,
            not_after: None,
            ticket_class: 1,
            entry_limit: NonZeroU8::MIN,
        };
        change(&mut claims);
        Ok(self.keyring.sign_vg2(&claims).ok_or("no VG2 key")?)
    }

    fn manifest(
        &self,
        name: &str,
        tickets: &[ManifestTicket],
        change: impl FnOnce(&mut Event, &mut ManifestFacts<'_>),
        damage: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Failure> {
        let mut event = self.event.clone();
        let unchanged = event.clone();
        let mut facts = ManifestFacts {
            version: 2,
            made_at: self.now,
            expires_at: self.now.plus(DAY),
            event: &unchanged,
            gates: &self.gates,
            keys: &self.keys,
            messages: CustomMessages::NONE,
            dedup_window: Duration::from_mins(5),
        };
        change(&mut event, &mut facts);
        let facts = ManifestFacts {
            event: &event,
            ..facts
        };
        let draft = ManifestDraft::full(&facts, tickets.iter().cloned())?;
        let mut bytes = draft.sign(&self.keyring).ok_or("no manifest key")?;
        damage(&mut bytes);
        fs::write(self.folder.join(format!("{name}.manifest")), bytes)?;
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the manifests must be valid now")]
fn main() -> Result<(), Failure> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: test_manifest FOLDER")?);
    fs::create_dir_all(&folder)?;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = Timestamp::from_millis(i64::try_from(since.as_millis())?);
    let organization_id = OrganizationId::generate(now);
    let event = Event {
        id: EventId::generate(now),
        organization_id,
        name: Name::new("Kirkwood Fees")?,
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
        ticket_classes: vec![ClassName::new("Day")?, ClassName::new("VIP")?],
        stale_manifest: StaleManifest::Warn,
        manifest_max_age_s: 3600,
        inserted_at: now,
        updated_at: now,
    };
    let gate = |name: &str, classes: Option<Vec<ClassName>>| -> Result<Gate, Failure> {
        Ok(Gate {
            id: GateId::generate(now),
            organization_id,
            event_id: event.id,
            name: Name::new(name)?,
            code: None,
            status: GateStatus::Open,
            capacity: None,
            ticket_classes: classes,
            inserted_at: now,
            updated_at: now,
        })
    };
    let gates = vec![
        gate("Main", None)?,
        gate("VIP", Some(vec![ClassName::new("VIP")?]))?,
    ];
    let master = MasterSecret::generate();
    let key = |format, public_key| SigningKey {
        format,
        kid: KeyId::FIRST,
        status: KeyStatus::Active,
        public_key,
        inserted_at: now,
    };
    let public = master.vg2_public_key(organization_id, KeyId::FIRST);
    let keys = vec![key(KeyFormat::Vg1, None), key(KeyFormat::Vg2, Some(public))];
    let keyring = Keyring::derive(&master, organization_id, &keys)?;
    let mut fixture = Fixture {
        folder,
        values: Vec::new(),
        now,
        event,
        gates,
        keys,
        keyring,
        device: None,
    };
    write_fixture(&mut fixture)
}

/// Writes all files. The tests refer to the values by name.
fn write_fixture(fixture: &mut Fixture) -> Result<(), Failure> {
    let manifest_key = fixture.keyring.manifest_key().ok_or("no manifest key")?;
    fixture.add_value("organization", fixture.event.organization_id);
    fixture.add_value("event", fixture.event.id);
    fixture.add_value("gate_main", fixture.gates[0].id);
    fixture.add_value("gate_vip", fixture.gates[1].id);
    fixture.add_value("gate_unknown", GateId::generate(fixture.now));
    let device = DeviceId::generate(fixture.now);
    fixture.device = Some(device);
    fixture.add_value("device_a", device);
    fixture.add_value("device_b", DeviceId::generate(fixture.now));
    fixture.add_value("manifest_key", hex::encode(&manifest_key));

    let mut tickets = Vec::new();
    for name in ["first", "second", "third", "kill_test"] {
        tickets.push(fixture.ticket(name, |_| {})?);
    }
    tickets.push(fixture.ticket("voided", |ticket| ticket.status = TicketStatus::Voided)?);
    tickets.push(fixture.ticket("used_online", |ticket| {
        (ticket.admissions, ticket.status) = (1, TicketStatus::Scanned);
    })?);
    // A listed ticket in the server's own format: a phone cannot verify the signature.
    let code = TicketCode::generate();
    let mut listed = fixture.ticket("unused", |_| {})?;
    listed.key = TicketKey::of(fixture.event.organization_id, fixture.event.id, code);
    tickets.push(listed);
    fixture.add_value(
        "server_format",
        fixture.keyring.sign_vg1(code).ok_or("no VG1 key")?,
    );

    let later = fixture.vg2(TicketCode::generate(), |_| {})?;
    fixture.add_value("sold_later", later);
    let other_event = EventId::generate(fixture.now);
    let payload = fixture.vg2(TicketCode::generate(), |claims| claims.event_id = other_event)?;
    fixture.add_value("other_event", payload);
    let past = fixture.now.minus(DAY);
    let payload = fixture.vg2(TicketCode::generate(), |claims| claims.not_after = Some(past))?;
    fixture.add_value("expired", payload.clone());
    // A valid payload with the signature of another one.
    let forged = payload.rsplit_once('.').zip(
        fixture
            .vg2(TicketCode::generate(), |_| {})?
            .rsplit_once('.')
            .map(|(_, signature)| signature.to_owned()),
    );
    let ((signed, _), signature) = forged.ok_or("a payload has four parts")?;
    fixture.add_value("forged", format!("{signed}.{signature}"));

    let yesterday = fixture.now.minus(DAY);
    fixture.manifest("good", &tickets, |_, _| {}, |_| {})?;
    fixture.manifest("older", &tickets, |_, facts| facts.version = 1, |_| {})?;
    fixture.manifest("other-event", &tickets, |event, _| event.id = other_event, |_| {})?;
    fixture.manifest(
        "other-organization",
        &tickets,
        |event, _| {
            event.organization_id = OrganizationId::generate(yesterday);
        },
        |_| {},
    )?;
    fixture.manifest(
        "expired",
        &tickets,
        |_, facts| {
            (facts.version, facts.made_at, facts.expires_at) = (3, yesterday, yesterday);
        },
        |_| {},
    )?;
    fixture.manifest(
        "changed",
        &tickets,
        |_, _| {},
        |bytes| {
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 1;
            }
        },
    )?;
    fixture.manifest(
        "stale",
        &tickets,
        |event, facts| {
            event.stale_manifest = StaleManifest::Refuse;
            (facts.version, facts.made_at) = (4, yesterday);
        },
        |_| {},
    )?;
    write_responses(fixture)?;
    fs::write(fixture.folder.join("values.tsv"), fixture.values.join("\n"))?;
    Ok(())
}

/// Writes the server's responses to a phone that enrols as `device_a`, starts a session at the main gate, scans and
/// reports its health.
fn write_responses(fixture: &mut Fixture) -> Result<(), Failure> {
    let device_id: DeviceId = fixture.device.ok_or("no device")?;
    let device = Device {
        id: device_id,
        organization_id: fixture.event.organization_id,
        device_id: "gate-1".parse()?,
        name: Name::new("Gate 1")?,
        device_type: DeviceType::Mobile,
        status: DeviceStatus::Active,
        last_seen_at: None,
        settings: DeviceSettings::default(),
        scope: voelgoed_scan_core::model::DeviceScope::default(),
        app: None,
        battery: None,
        waiting: None,
        inserted_at: fixture.now,
        updated_at: fixture.now,
    };
    let session = ScanSession {
        id: SessionId::generate(fixture.now),
        organization_id: fixture.event.organization_id,
        device_id,
        event_id: fixture.event.id,
        gate_id: fixture.gates[0].id,
        status: SessionStatus::Active,
        started_at: fixture.now,
        ended_at: None,
        scan_count: 0,
    };
    let manifest_key = ManifestKey::new(fixture.keyring.manifest_key().ok_or("no manifest key")?);
    let enrolled = EnrollAnswer {
        device: device.clone(),
        token: IssuedToken(DeviceToken::generate()),
        server_time: fixture.now,
        manifest_key,
    };
    let device_self = DeviceSelf {
        device,
        session: Some(session.clone()),
        server_time: fixture.now,
        manifest_key,
    };
    let code = EnrollmentCode::generate();
    for (name, server) in [
        ("enrollment", "https://scan.example.org"),
        ("enrollment_plain", "http://scan.example.org"),
    ] {
        let uri = EnrollmentUri {
            server: server.to_owned(),
            code: code.clone(),
        };
        fixture.add_value(name, uri.reveal());
    }
    let verdict = ScanAnswer {
        scan_id: None,
        result: ScanResult::Valid,
        reason: Reason::Admitted,
        replayed: false,
        direction: Direction::Entry,
        scanned_at: fixture.now,
        session_id: Some(session.id),
        event_id: fixture.event.id,
        gate: NamedGate {
            id: fixture.gates[0].id,
            name: "Main".to_owned(),
        },
        ticket: None,
        previous_scan: None,
        occupancy: Occupancy::default(),
        decided_by: DecidedBy::Database,
        warnings: Vec::new(),
        message: Reason::Admitted.message().to_owned(),
    };
    fs::write(fixture.folder.join("scan.json"), serde_json::to_vec(&verdict)?)?;
    fs::write(fixture.folder.join("enroll.json"), serde_json::to_vec(&enrolled)?)?;
    fs::write(fixture.folder.join("session.json"), serde_json::to_vec(&session)?)?;
    fs::write(
        fixture.folder.join("device.json"),
        serde_json::to_vec(&device_self)?,
    )?;
    Ok(())
}

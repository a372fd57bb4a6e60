//! Sets the stage for the offline tests of all languages: an event, its tickets and its manifests, as a server would
//! send them, and as it never would.
//!
//! `cargo run --example stage FOLDER` writes the manifests as files and what they say as `facts.tsv`.

use std::fs;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use voelgoed_scan_core::manifest::{ManifestDraft, ManifestFacts, ManifestTicket, TicketKey};
use voelgoed_scan_core::model::{
    ClassName, DecidedBy, Device, DeviceId, DeviceSelf, DeviceSettings, DeviceStatus, DeviceToken,
    DeviceType, Direction, EnrollAnswer, EnrollmentCode, EnrollmentUri, Event, EventId, EventStatus, Gate,
    GateId, GateStatus, IssuedToken, KeyFormat, KeyId, KeyStatus, ManifestKey, Name, NamedGate, Occupancy,
    OrganizationId, Reason, Reentry, ScanAnswer, ScanResult, ScanSession, SessionId, SessionStatus,
    SigningKey, StaleManifest, TicketCode, TicketStatus, Timestamp, hex,
};
use voelgoed_scan_core::token::{Keyring, MasterSecret, Vg2Claims};

type Failure = Box<dyn std::error::Error>;

const DAY: Duration = Duration::from_hours(24);

struct Stage {
    folder: PathBuf,
    facts: Vec<String>,
    now: Timestamp,
    event: Event,
    gates: Vec<Gate>,
    keys: Vec<SigningKey>,
    keyring: Keyring,
    device: Option<DeviceId>,
}

impl Stage {
    fn fact(&mut self, name: &str, value: impl ToString) {
        self.facts.push(format!("{name}\t{}", value.to_string()));
    }

    /// A listed ticket, and its payload as a fact.
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
        };
        change(&mut ticket);
        let payload = self.vg2(code, |_| {})?;
        self.fact(name, payload);
        self.fact(&format!("{name}_code"), code);
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

#[expect(clippy::disallowed_methods, reason = "the stage is set for today")]
fn main() -> Result<(), Failure> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("which folder?")?);
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
        capacity: None,
        reentry: Reentry::Never,
        allow_unsigned: false,
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
    let mut stage = Stage {
        folder,
        facts: Vec::new(),
        now,
        event,
        gates,
        keys,
        keyring,
        device: None,
    };
    tell(&mut stage)
}

/// Writes everything down. The facts' names are what the tests ask for.
fn tell(stage: &mut Stage) -> Result<(), Failure> {
    let manifest_key = stage.keyring.manifest_key().ok_or("no manifest key")?;
    stage.fact("organization", stage.event.organization_id);
    stage.fact("event", stage.event.id);
    stage.fact("gate_main", stage.gates[0].id);
    stage.fact("gate_vip", stage.gates[1].id);
    stage.fact("gate_unknown", GateId::generate(stage.now));
    let device = DeviceId::generate(stage.now);
    stage.device = Some(device);
    stage.fact("device_a", device);
    stage.fact("device_b", DeviceId::generate(stage.now));
    stage.fact("manifest_key", hex::encode(&manifest_key));

    let mut tickets = Vec::new();
    for name in ["first", "second", "third", "victim"] {
        tickets.push(stage.ticket(name, |_| {})?);
    }
    tickets.push(stage.ticket("voided", |ticket| ticket.status = TicketStatus::Voided)?);
    tickets.push(stage.ticket("used_online", |ticket| {
        (ticket.admissions, ticket.status) = (1, TicketStatus::Scanned);
    })?);
    // Listed, but read as the server's own format: a phone cannot check that signature.
    let code = TicketCode::generate();
    let mut listed = stage.ticket("unused", |_| {})?;
    listed.key = TicketKey::of(stage.event.organization_id, stage.event.id, code);
    tickets.push(listed);
    stage.fact("server_format", stage.keyring.sign_vg1(code).ok_or("no VG1 key")?);

    let later = stage.vg2(TicketCode::generate(), |_| {})?;
    stage.fact("sold_later", later);
    let elsewhere = EventId::generate(stage.now);
    let payload = stage.vg2(TicketCode::generate(), |claims| claims.event_id = elsewhere)?;
    stage.fact("other_event", payload);
    let past = stage.now.minus(DAY);
    let payload = stage.vg2(TicketCode::generate(), |claims| claims.not_after = Some(past))?;
    stage.fact("expired", payload.clone());
    // The same shape under a signature of something else.
    let forged = payload.rsplit_once('.').zip(
        stage
            .vg2(TicketCode::generate(), |_| {})?
            .rsplit_once('.')
            .map(|(_, signature)| signature.to_owned()),
    );
    let ((signed, _), signature) = forged.ok_or("a payload has four parts")?;
    stage.fact("forged", format!("{signed}.{signature}"));

    let yesterday = stage.now.minus(DAY);
    stage.manifest("good", &tickets, |_, _| {}, |_| {})?;
    stage.manifest("older", &tickets, |_, facts| facts.version = 1, |_| {})?;
    stage.manifest("other-event", &tickets, |event, _| event.id = elsewhere, |_| {})?;
    stage.manifest(
        "other-organization",
        &tickets,
        |event, _| {
            event.organization_id = OrganizationId::generate(yesterday);
        },
        |_| {},
    )?;
    stage.manifest(
        "expired",
        &tickets,
        |_, facts| {
            (facts.version, facts.made_at, facts.expires_at) = (3, yesterday, yesterday);
        },
        |_| {},
    )?;
    stage.manifest(
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
    stage.manifest(
        "stale",
        &tickets,
        |event, facts| {
            event.stale_manifest = StaleManifest::Refuse;
            (facts.version, facts.made_at) = (4, yesterday);
        },
        |_| {},
    )?;
    answers(stage)?;
    fs::write(stage.folder.join("facts.tsv"), stage.facts.join("\n"))?;
    Ok(())
}

/// What a server answers a phone that enrols as `device_a`, stands at the main gate and says how it is.
fn answers(stage: &mut Stage) -> Result<(), Failure> {
    let device_id: DeviceId = stage.device.ok_or("no device")?;
    let device = Device {
        id: device_id,
        organization_id: stage.event.organization_id,
        device_id: "gate-1".parse()?,
        name: Name::new("Gate 1")?,
        device_type: DeviceType::Mobile,
        status: DeviceStatus::Active,
        last_seen_at: None,
        settings: DeviceSettings::default(),
        app: None,
        battery: None,
        waiting: None,
        inserted_at: stage.now,
        updated_at: stage.now,
    };
    let session = ScanSession {
        id: SessionId::generate(stage.now),
        organization_id: stage.event.organization_id,
        device_id,
        event_id: stage.event.id,
        gate_id: stage.gates[0].id,
        status: SessionStatus::Active,
        started_at: stage.now,
        ended_at: None,
        scan_count: 0,
    };
    let manifest_key = ManifestKey::new(stage.keyring.manifest_key().ok_or("no manifest key")?);
    let enrolled = EnrollAnswer {
        device: device.clone(),
        token: IssuedToken(DeviceToken::generate()),
        server_time: stage.now,
        manifest_key,
    };
    let own = DeviceSelf {
        device,
        session: Some(session.clone()),
        server_time: stage.now,
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
        stage.fact(name, uri.reveal());
    }
    let verdict = ScanAnswer {
        scan_id: None,
        result: ScanResult::Valid,
        reason: Reason::Admitted,
        replayed: false,
        direction: Direction::Entry,
        scanned_at: stage.now,
        session_id: Some(session.id),
        event_id: stage.event.id,
        gate: NamedGate {
            id: stage.gates[0].id,
            name: "Main".to_owned(),
        },
        ticket: None,
        previous_scan: None,
        occupancy: Occupancy::default(),
        decided_by: DecidedBy::Database,
        warnings: Vec::new(),
        message: Reason::Admitted.message().to_owned(),
    };
    fs::write(stage.folder.join("scan.json"), serde_json::to_vec(&verdict)?)?;
    fs::write(stage.folder.join("enroll.json"), serde_json::to_vec(&enrolled)?)?;
    fs::write(stage.folder.join("session.json"), serde_json::to_vec(&session)?)?;
    fs::write(stage.folder.join("device.json"), serde_json::to_vec(&own)?)?;
    Ok(())
}

//! The organizer's side of a story: events, gates, tickets, devices, and what the office changes while phones scan.

use std::num::NonZeroU8;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use voelgoed_scan_core::model::{
    AuditContext, ClassName, DeviceId, DeviceLabel, DeviceRegister, DeviceScope, DeviceSettings, DeviceType,
    EnrollmentCode, EventId, EventPut, EventStatus, GateId, GatePut, GateStatus, KeyFormat, KeyId, KeyStatus,
    Name, OrganizationId, ReasonText, Reentry, ScanId, ScanRecord, SettableStatus, StaleManifest, TicketCode,
    TicketLine, Timestamp,
};
use voelgoed_scan_core::node::{ScanError, UndoActor};
use voelgoed_scan_core::store::{
    ConflictFilter, ImportOutcome, NumberedLine, Order, PageRequest, ScanFilter,
};
use voelgoed_scan_core::sync::Conflict;
use voelgoed_scan_core::token::{Keyring, Vg2Claims};

use crate::clock::TrueClock;
use crate::server::{Server, master};

/// Who makes the changes of the stories.
static BY: AuditContext = AuditContext::cli();

/// What a ticket is, from the start of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Admits one person.
    Plain,
    /// Admits one person, and its payload has no signature that a phone can check.
    PlainVg1,
    /// Admits three people.
    Group,
    /// Was cancelled before the story.
    Voided,
    /// Was marked as used before the story.
    Used,
    /// Becomes valid an hour after the start.
    Later,
    /// Its validity ended before the story.
    Expired,
    /// Only the gate `VIP` admits it.
    VipGateOnly,
    /// Is imported during the story.
    SoldLater,
    /// Belongs to the other event.
    OtherEvent,
    /// Its signature is wrong.
    Forged,
    /// Signed with a key that was revoked before the story.
    RevokedKey,
    /// Not a ticket.
    Malformed,
    /// A well-formed payload without a signature that a phone can check, whose code nobody sold.
    UnknownVg1,
}

impl Kind {
    pub(crate) const ALL: [Self; 14] = [
        Self::Plain,
        Self::PlainVg1,
        Self::Group,
        Self::Voided,
        Self::Used,
        Self::Later,
        Self::Expired,
        Self::VipGateOnly,
        Self::SoldLater,
        Self::OtherEvent,
        Self::Forged,
        Self::RevokedKey,
        Self::Malformed,
        Self::UnknownVg1,
    ];
}

/// A ticket of a story.
#[derive(Debug, Clone)]
pub(crate) struct StoryTicket {
    pub(crate) kind: Kind,
    pub(crate) event: EventId,
    pub(crate) code: Option<TicketCode>,
    pub(crate) qr: String,
    pub(crate) limit: u8,
    /// Since when the office bars it.
    pub(crate) barred_since: Option<Timestamp>,
    /// When the office last made it admissible again, by lifting a bar or undoing an admission.
    pub(crate) freed_at: Option<Timestamp>,
    /// How many of its admissions the office undid.
    pub(crate) undone: usize,
    /// Whether the office ever changed it.
    pub(crate) touched: bool,
}

/// An event with its gates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) event: EventId,
    pub(crate) main: GateId,
    pub(crate) vip: GateId,
}

/// An organization of a story.
pub(crate) struct Office {
    pub(crate) server: Arc<Server>,
    pub(crate) clock: TrueClock,
    pub(crate) organization: OrganizationId,
    pub(crate) reentry: Reentry,
    pub(crate) places: [Place; 2],
    pub(crate) tickets: Vec<StoryTicket>,
    pub(crate) started_at: Timestamp,
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn class(text: &str) -> ClassName {
    ClassName::new(text).expect("a class")
}

fn reason(text: &str) -> ReasonText {
    ReasonText::new(text).expect("a reason")
}

const ALL: PageRequest = PageRequest {
    limit: 500,
    after: None,
};

impl Office {
    /// Creates an organization with two events of two gates each, and tickets of these kinds.
    pub(crate) async fn open(
        server: &Arc<Server>,
        clock: TrueClock,
        reentry: Reentry,
        stale_manifest: StaleManifest,
        kinds: &[Kind],
    ) -> Self {
        let now = clock.now();
        let organization = server
            .run(move |server| async move {
                let created = server.admin.create_organization(name("Voelgoed"), &BY, now).await;
                created.expect("an organization").0.id
            })
            .await;
        let place = |_| Place {
            event: EventId::generate(now),
            main: GateId::generate(now),
            vip: GateId::generate(now),
        };
        let places = [0, 1].map(place);
        server
            .run(move |server| async move {
                for place in places {
                    put_place(&server, organization, place, reentry, stale_manifest, now).await;
                }
                // A second key, which is revoked once it has signed.
                let kid: KeyId = "9".parse().expect("a key id");
                let added =
                    server
                        .admin
                        .add_signing_key(organization, KeyFormat::Vg2, kid, &BY, now.plus_millis(1));
                added.await.expect("a key");
            })
            .await;
        let mut office = Self {
            server: Arc::clone(server),
            clock,
            organization,
            reentry,
            places,
            tickets: Vec::new(),
            started_at: now,
        };
        for &kind in kinds {
            let ticket = office.make_ticket(kind).await;
            office.tickets.push(ticket);
        }
        office.set_key("9", KeyStatus::Revoked).await;
        office
    }

    /// Changes the status of a VG2 key.
    pub(crate) async fn set_key(&self, kid: &str, status: KeyStatus) {
        let organization = self.organization;
        let kid: KeyId = kid.parse().expect("a key id");
        let now = self.clock.now();
        self.server
            .run(move |server| async move {
                let changed =
                    server
                        .admin
                        .set_signing_key_status(organization, KeyFormat::Vg2, kid, status, &BY, now);
                changed.await.expect("a key");
            })
            .await;
    }

    /// The keys of the organization. `kid` signs.
    async fn keyring(&self, kid: &str) -> Keyring {
        let organization = self.organization;
        let kid: KeyId = kid.parse().expect("a key id");
        self.server
            .run(move |server| async move {
                let keys = server
                    .scanner
                    .store()
                    .signing_keys(organization)
                    .await
                    .expect("keys");
                let mut keys = keys;
                for key in &mut keys {
                    if key.format == KeyFormat::Vg2 && key.kid != kid {
                        key.status = KeyStatus::VerifyOnly;
                    } else {
                        key.status = KeyStatus::Active;
                    }
                }
                Keyring::derive(&master(), organization, &keys).expect("its keys")
            })
            .await
    }

    async fn make_ticket(&self, kind: Kind) -> StoryTicket {
        let now = self.clock.now();
        let hour = Duration::from_hours(1);
        let event = match kind {
            Kind::OtherEvent => self.places[1].event,
            _ => self.places[0].event,
        };
        let mut line = json!({ "ticket_class": "Day" });
        match kind {
            Kind::Group => line["entry_limit"] = json!(3),
            Kind::Voided => line["status"] = json!("voided"),
            Kind::Used => line["status"] = json!("used"),
            Kind::Later => line["valid_from"] = json!(now.plus(hour)),
            Kind::Expired => line["valid_until"] = json!(now.minus(hour)),
            Kind::VipGateOnly => line["gate_ids"] = json!([self.places[0].vip]),
            _ => {}
        }
        let sold = !matches!(kind, Kind::SoldLater | Kind::Malformed | Kind::UnknownVg1);
        let code = if sold {
            self.import(event, line).await
        } else {
            random_code()
        };
        let claims = Vg2Claims {
            ticket_code: code,
            event_id: event,
            not_before: (kind == Kind::Later).then(|| now.plus(hour)),
            not_after: (kind == Kind::Expired).then(|| now.minus(hour)),
            ticket_class: 2,
            entry_limit: NonZeroU8::new(if kind == Kind::Group { 3 } else { 1 }).expect("not zero"),
        };
        let signer = if kind == Kind::RevokedKey { "9" } else { "1" };
        let keyring = self.keyring(signer).await;
        let vg2 = keyring.sign_vg2(&claims).expect("a key");
        let qr = match kind {
            Kind::PlainVg1 | Kind::UnknownVg1 => keyring.sign_vg1(code).expect("a key"),
            Kind::Malformed => format!("https://example.org/{code}"),
            Kind::Forged => {
                let other = Vg2Claims {
                    ticket_class: 1,
                    ..claims
                };
                let other = keyring.sign_vg2(&other).expect("a key");
                let (_, signature) = other.rsplit_once('.').expect("a signature");
                let (signed, _) = vg2.rsplit_once('.').expect("a signature");
                format!("{signed}.{signature}")
            }
            _ => vg2,
        };
        StoryTicket {
            kind,
            event,
            code: Some(code),
            qr,
            limit: claims.entry_limit.get(),
            barred_since: matches!(kind, Kind::Voided | Kind::Used).then_some(now),
            freed_at: None,
            undone: 0,
            touched: false,
        }
    }

    async fn import(&self, event: EventId, line: serde_json::Value) -> TicketCode {
        let (organization, now) = (self.organization, self.clock.now());
        let line: TicketLine = serde_json::from_value(line).expect("a line");
        self.server
            .run(move |server| async move {
                let lines = [NumberedLine { number: 1, line }];
                let imported = server.admin.import(organization, event, &lines, &BY, now).await;
                match imported.expect("it is imported").expect("the event").remove(0) {
                    ImportOutcome::Inserted(code, _)
                    | ImportOutcome::Updated(code, _)
                    | ImportOutcome::Unchanged(code, _) => code,
                    ImportOutcome::Rejected(why) => panic!("{why}"),
                }
            })
            .await
    }

    /// Imports the tickets that are sold later.
    pub(crate) async fn sell(&mut self) {
        for ticket in self.tickets.clone() {
            if ticket.kind == Kind::SoldLater {
                let line = json!({ "code": ticket.code, "ticket_class": "Day" });
                self.import(ticket.event, line).await;
            }
        }
    }

    /// Bars a ticket, or lifts the bar. Returns false if there is no such ticket.
    pub(crate) async fn set_status(&mut self, ticket: usize, status: SettableStatus) -> bool {
        let StoryTicket { event, code, .. } = self.tickets[ticket].clone();
        let (organization, now) = (self.organization, self.clock.now());
        let Some(code) = code else { return false };
        let changed = self
            .server
            .run(move |server| async move {
                let change = server
                    .admin
                    .set_ticket_status(organization, event, code, status, &BY, now);
                change.await.expect("it is changed").is_some()
            })
            .await;
        let after = self.clock.now();
        let ticket = &mut self.tickets[ticket];
        if changed {
            ticket.touched = true;
            if status == SettableStatus::Active {
                ticket.barred_since = None;
                ticket.freed_at = Some(after);
            } else if ticket.barred_since.is_none() {
                ticket.barred_since = Some(after);
            }
        }
        changed
    }

    /// Undoes an admission of a ticket. Returns whether it was open.
    pub(crate) async fn undo(&mut self, ticket: usize, scan: ScanId) -> bool {
        let (organization, now) = (self.organization, self.clock.now());
        let undone = self
            .server
            .run(move |server| async move {
                let reason = reason("a mistake");
                let undo = server
                    .scanner
                    .undo(organization, scan, UndoActor::Member, &reason, &BY, now);
                match undo.await {
                    Ok(_) => true,
                    Err(ScanError::NotOpen | ScanError::NotFound) => false,
                    Err(error) => panic!("{error}"),
                }
            })
            .await;
        if undone {
            let after = self.clock.now();
            let ticket = &mut self.tickets[ticket];
            ticket.undone += 1;
            ticket.touched = true;
            ticket.freed_at = Some(after);
        }
        undone
    }

    /// Registers a device and returns it with its enrolment code.
    pub(crate) async fn register(&self, label: &str) -> (DeviceId, EnrollmentCode) {
        let (organization, now) = (self.organization, self.clock.now());
        let register = DeviceRegister {
            device_id: label.parse::<DeviceLabel>().expect("a label"),
            name: name(label),
            device_type: DeviceType::Mobile,
            settings: DeviceSettings {
                can_override: true,
                ..DeviceSettings::default()
            },
            scope: DeviceScope::default(),
        };
        self.server
            .run(move |server| async move {
                let registered = server
                    .admin
                    .register_device(organization, &register, &BY, now)
                    .await;
                let (device, _) = registered.expect("it is registered").row().expect("a new label");
                let code = server
                    .admin
                    .new_enrollment(organization, device.id, &BY, now)
                    .await;
                (device.id, code.expect("a code").row().expect("a device").0)
            })
            .await
    }

    pub(crate) async fn revoke(&self, device: DeviceId) {
        let (organization, now) = (self.organization, self.clock.now());
        self.server
            .run(move |server| async move {
                let revoked = server.admin.revoke_device(organization, device, &BY, now).await;
                assert!(revoked.expect("it is revoked"));
            })
            .await;
    }

    /// Ends the active session of a device, if it has one.
    pub(crate) async fn end_session(&self, device: DeviceId) {
        let (organization, now) = (self.organization, self.clock.now());
        self.server
            .run(move |server| async move {
                let store = server.scanner.store();
                let status = Some(voelgoed_scan_core::model::SessionStatus::Active);
                let active = store
                    .sessions(organization, Some(device), None, status, &ALL)
                    .await;
                for session in active.expect("sessions").data {
                    let ended = server
                        .scanner
                        .end_session(organization, session.id, None, now)
                        .await;
                    ended.expect("it ends");
                }
            })
            .await;
    }

    /// All scans on record.
    pub(crate) async fn records(&self) -> Vec<ScanRecord> {
        let organization = self.organization;
        self.server
            .run(move |server| async move {
                server.scanner.wait_for_pending_denials(organization).await;
                let store = server.scanner.store();
                let mut records = Vec::new();
                let mut page = ALL;
                loop {
                    let filter = ScanFilter::default();
                    let read = store.scans(organization, &filter, Order::Oldest, &page).await;
                    let read = read.expect("records");
                    records.extend(read.data);
                    match read.next {
                        Some(next) => page.after = Some(next),
                        None => return records,
                    }
                }
            })
            .await
    }

    pub(crate) async fn conflicts(&self) -> Vec<Conflict> {
        let organization = self.organization;
        self.server
            .run(move |server| async move {
                let store = server.scanner.store();
                let filter = ConflictFilter::default();
                store
                    .conflicts(organization, &filter, &ALL)
                    .await
                    .expect("conflicts")
                    .data
            })
            .await
    }

    pub(crate) async fn is_quarantined(&self, scan: ScanId) -> bool {
        let organization = self.organization;
        self.server
            .run(move |server| async move {
                let store = server.scanner.store();
                store.is_quarantined(organization, scan).await.expect("an answer")
            })
            .await
    }
}

async fn put_place(
    server: &Server,
    organization: OrganizationId,
    place: Place,
    reentry: Reentry,
    stale_manifest: StaleManifest,
    now: Timestamp,
) {
    let event = EventPut {
        name: name("Kirkwood Fees"),
        status: EventStatus::Live,
        reentry,
        stale_manifest,
        ticket_classes: Some(vec![class("VIP"), class("Day")]),
        ..serde_json::from_value(json!({ "name": "x", "status": "live" })).expect("an event")
    };
    let put = server
        .admin
        .put_event(organization, place.event, &event, &BY, now)
        .await;
    put.expect("an event");
    for (id, label, classes) in [
        (place.main, "Main", None),
        (place.vip, "VIP", Some(vec![class("VIP")])),
    ] {
        let gate = GatePut {
            name: name(label),
            code: None,
            status: GateStatus::Open,
            capacity: None,
            ticket_classes: classes,
        };
        let put = server
            .admin
            .put_gate(organization, place.event, id, &gate, &BY, now)
            .await;
        put.expect("a gate");
    }
}

/// A code that nobody sold yet.
fn random_code() -> TicketCode {
    let mut bytes = *uuid::Uuid::new_v4().as_bytes();
    bytes[0] = 7;
    let mut code = [0; 12];
    code.copy_from_slice(&bytes[..12]);
    TicketCode::from_bytes(code).expect("a small number")
}

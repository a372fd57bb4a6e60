//! The audit log: one entry a change, in the transaction of the change, in one chain.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;
use voelgoed_scan_core::audit::{Audit, AuditSigner, AuditedChange, verify_lines};
use voelgoed_scan_core::model::{
    ApiKey, ApiKeyId, Attempt, AuditAction, AuditActor, AuditActorKind, AuditChanges, AuditContext,
    AuditEntry, AuditSubject, AuditSubjectKind, DeviceId, DevicePatch, DeviceRegister, EnrollRequest,
    EnrollmentCode, EventId, EventPut, GateId, GatePut, KeyFormat, KeyId, KeyStatus, Name, Organization,
    Role, SettableStatus, SigningKey, Timestamp,
};
use voelgoed_scan_core::store::{
    AuditFilter, Cursor, ImportCounts, ImportEnd, Order, PageRequest, UndoPermission,
};
use voelgoed_scan_core::token::Keyring;

use crate::attempts::{entry, overriding_entry};
use crate::fixture::{ALL, Fixture, START, after, audit, audit_master, numbered};

impl Fixture {
    /// The whole log, oldest first.
    pub(crate) async fn audit_log(&self) -> Vec<AuditEntry> {
        self.filtered_log(&AuditFilter::default()).await
    }

    async fn filtered_log(&self, filter: &AuditFilter) -> Vec<AuditEntry> {
        let page = self
            .store
            .audit_entries(self.organization, filter, Order::Oldest, &ALL)
            .await
            .expect("the log is read");
        assert_eq!(page.next, None);
        page.data
    }

    /// The entries since there were this many, with their actions.
    pub(crate) async fn new_entries(&self, known: &mut usize) -> Vec<AuditEntry> {
        let mut log = self.audit_log().await;
        let new = log.split_off(*known);
        *known += new.len();
        new
    }

    /// Enters what is pending, as the task in the background does. Returns how many acts it took.
    pub(crate) async fn enter_acts(&self) -> usize {
        let pending = self.store.organizations_with_audit_acts().await.expect("read");
        if !pending.contains(&self.organization) {
            return 0;
        }
        let signer = AuditSigner::new(audit_master());
        let entered = self.store.enter_audit_acts(self.organization, 10, signer).await;
        entered.expect("written")
    }

    /// Panics unless the log is a whole chain that the organization signed.
    async fn verify_log(&self, entries: usize) {
        let log = self.audit_log().await;
        let lines: Vec<_> = log
            .iter()
            .map(|entry| serde_json::to_string(entry).expect("JSON"))
            .collect();
        let keyring = Keyring::derive(audit_master(), self.organization, &[]).expect("a keyring");
        let key = keyring.manifest_key().expect("a server's keyring");
        let head = verify_lines(lines.iter().map(String::as_str), &key, None).expect("an intact log");
        assert_eq!(
            head.map_or(0, |head| head.sequence),
            i64::try_from(entries).expect("few")
        );
    }
}

fn json_of<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("JSON")
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn context(request: &str) -> AuditContext {
    AuditContext {
        actor: AuditActor::api_key(ApiKeyId::from_uuid(Uuid::from_u128(7)), "Office"),
        address: Some([192, 0, 2, 7].into()),
        request_id: Some(request.to_owned()),
    }
}

fn audit_of(context: &AuditContext, at: Timestamp) -> Audit<'_> {
    Audit {
        context,
        at,
        signer: AuditSigner::new(audit_master()),
    }
}

#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(crate) async fn every_change_leaves_one_entry_and_an_unchanged_row_none(fixture: Fixture) {
    let mut known = 0;
    fixture.new_entries(&mut known).await;
    let (store, organization, event) = (&fixture.store, fixture.organization, fixture.event);
    let by = context("r1");
    let audit = audit_of(&by, after(5));
    let device = DeviceId::from_uuid(Uuid::from_u128(1));
    let mut expected = Vec::new();
    let mut expect = |action: AuditAction, kind: AuditSubjectKind, id: String, changes: serde_json::Value| {
        expected.push((action, kind, id, changes));
    };

    let register: DeviceRegister = json_of(
        r#"{"device_id":"door-9","name":"Jane's phone","settings":{"can_override":true,"secret":"x"}}"#,
    );
    let registered = store
        .register_device(organization, device, &register, &[1; 32], START, audit)
        .await;
    registered.expect("written").row().expect("registered");
    expect(
        AuditAction::DeviceCreate,
        AuditSubjectKind::Device,
        device.to_string(),
        json!({ "device_id": [null, "door-9"], "device_type": [null, "scanner"], "status": [null, "active"],
                "can_override": [null, true], "can_search": [null, false] }),
    );
    for (patch, changes) in [
        (r#"{"name":"John's phone"}"#, Some(json!({}))),
        (r#"{"name":"John's phone"}"#, None),
        (
            r#"{"settings":{"can_search":true}}"#,
            Some(json!({ "can_override": [true, false], "can_search": [false, true] })),
        ),
        (
            r#"{"scope":{"event_ids":[],"gate_ids":null}}"#,
            Some(json!({ "event_ids": [null, []] })),
        ),
        (r#"{"scope":{"event_ids":[],"gate_ids":null}}"#, None),
        (
            r#"{"status":"inactive"}"#,
            Some(json!({ "status": ["active", "inactive"] })),
        ),
    ] {
        let patch: DevicePatch = json_of(patch);
        let put = store
            .patch_device(organization, device, &patch, START, audit)
            .await;
        put.expect("written").row().expect("changed");
        if let Some(changes) = changes {
            expect(
                AuditAction::DeviceUpdate,
                AuditSubjectKind::Device,
                device.to_string(),
                changes,
            );
        }
    }
    let rotated = store
        .rotate_device_token(organization, device, &[2; 32], START, audit)
        .await;
    rotated.expect("written").row().expect("rotated");
    expect(
        AuditAction::DeviceRotateToken,
        AuditSubjectKind::Device,
        device.to_string(),
        json!({}),
    );
    let code = EnrollmentCode::generate();
    let begun = store
        .put_enrollment(organization, device, &code, after(300), audit)
        .await;
    begun.expect("written").row().expect("a code");
    let expires = json!({ "expires_at": [null, after(300)] });
    expect(
        AuditAction::DeviceBeginEnrollment,
        AuditSubjectKind::Device,
        device.to_string(),
        expires,
    );
    let enroll: EnrollRequest = json_of(&format!(
        r#"{{"code":"{}","app":{{"name":"A","version":"1","platform":"p"}}}}"#,
        code.reveal()
    ));
    let enrolled = store
        .enroll(&enroll, &[3; 32], START, audit)
        .await
        .expect("written");
    enrolled.expect("the code is valid");
    expect(
        AuditAction::DeviceEnroll,
        AuditSubjectKind::Device,
        device.to_string(),
        json!({}),
    );
    assert_eq!(
        store.enroll(&enroll, &[3; 32], START, audit).await.expect("read"),
        None
    );
    for _ in 0..2 {
        assert!(
            store
                .revoke_device(organization, device, START, audit)
                .await
                .expect("written")
        );
    }
    // It was inactive already.
    let revoked = json!({ "revoked": [false, true] });
    expect(
        AuditAction::DeviceRevoke,
        AuditSubjectKind::Device,
        device.to_string(),
        revoked,
    );

    let new_event = EventId::from_uuid(Uuid::from_u128(2));
    let created = json!({
        "status": [null, "draft"], "time_zone": [null, "UTC"], "day_starts_at": [null, "00:00"],
        "capacity": [null, 5], "reentry": [null, "never"], "allow_unsigned": [null, false],
        "allow_media": [null, false], "stale_manifest": [null, "warn"], "manifest_max_age_s": [null, 43200],
    });
    for (put, change) in [
        (
            r#"{"name":"Secret party","status":"draft","capacity":5}"#,
            Some((AuditAction::EventCreate, created)),
        ),
        (r#"{"name":"Secret party","status":"draft","capacity":5}"#, None),
        (
            r#"{"name":"Secret party","status":"live","ticket_classes":["VIP"]}"#,
            Some((
                AuditAction::EventUpdate,
                json!({ "status": ["draft", "live"], "capacity": [5, null] }),
            )),
        ),
        (
            r#"{"name":"Other","status":"live"}"#,
            Some((AuditAction::EventUpdate, json!({}))),
        ),
    ] {
        let put: EventPut = json_of(put);
        let put = store.put_event(organization, new_event, &put, START, audit).await;
        put.expect("written").row().expect("put");
        if let Some((action, changes)) = change {
            expect(action, AuditSubjectKind::Event, new_event.to_string(), changes);
        }
    }
    let gate = GateId::from_uuid(Uuid::from_u128(3));
    let context_event = json!([null, new_event]);
    for (put, changes) in [
        (
            r#"{"name":"Main","status":"open","code":"A"}"#,
            Some((
                AuditAction::GateCreate,
                json!({ "status": [null, "open"], "event_id": context_event }),
            )),
        ),
        (r#"{"name":"Main","status":"open","code":"A"}"#, None),
        (
            r#"{"name":"Main","status":"closed","capacity":9,"code":"B"}"#,
            Some((
                AuditAction::GateUpdate,
                json!({ "status": ["open", "closed"], "capacity": [null, 9], "event_id": [new_event, new_event] }),
            )),
        ),
    ] {
        let put: GatePut = json_of(put);
        let put = store
            .put_gate(organization, new_event, gate, &put, START, audit)
            .await;
        put.expect("written").row().expect("put");
        if let Some((action, changes)) = changes {
            expect(action, AuditSubjectKind::Gate, gate.to_string(), changes);
        }
    }

    let key = ApiKey {
        id: ApiKeyId::from_uuid(Uuid::from_u128(4)),
        organization_id: organization,
        name: name("Jane"),
        role: Role::Staff,
        inserted_at: START,
    };
    store
        .create_api_key(&key, &[4; 32], audit)
        .await
        .expect("written");
    expect(
        AuditAction::ApiKeyCreate,
        AuditSubjectKind::ApiKey,
        key.id.to_string(),
        json!({ "role": [null, "staff"] }),
    );
    for _ in 0..2 {
        store
            .delete_api_key(organization, key.id, audit)
            .await
            .expect("written");
    }
    expect(
        AuditAction::ApiKeyDelete,
        AuditSubjectKind::ApiKey,
        key.id.to_string(),
        json!({ "role": ["staff", null] }),
    );
    let kid: KeyId = "7".parse().expect("a key id");
    let signing_key = SigningKey {
        format: KeyFormat::Vg2,
        kid,
        status: KeyStatus::Active,
        public_key: Some([5; 32]),
        inserted_at: START,
    };
    for is_new in [true, false] {
        let added = store
            .add_signing_key(organization, &signing_key, audit)
            .await
            .expect("written");
        assert_eq!(added, is_new);
    }
    expect(
        AuditAction::SigningKeyCreate,
        AuditSubjectKind::SigningKey,
        "vg2/7".to_owned(),
        json!({ "status": [null, "active"] }),
    );
    for status in [
        KeyStatus::Active,
        KeyStatus::Revoked,
        KeyStatus::Revoked,
        KeyStatus::Active,
    ] {
        let put = store
            .set_signing_key_status(organization, KeyFormat::Vg2, kid, status, audit)
            .await;
        put.expect("written");
    }
    expect(
        AuditAction::SigningKeyUpdate,
        AuditSubjectKind::SigningKey,
        "vg2/7".to_owned(),
        json!({ "status": ["active", "revoked"] }),
    );

    let code = fixture.ticket("{}").await;
    let ticket = fixture.ticket_facts(code).await.ticket.id;
    for _ in 0..2 {
        let set = store
            .set_ticket_status(organization, event, code, SettableStatus::Voided, START, audit)
            .await;
        set.expect("written").expect("the ticket exists");
    }
    expect(
        AuditAction::TicketUpdate,
        AuditSubjectKind::Ticket,
        ticket.to_string(),
        json!({ "status": ["active", "voided"] }),
    );
    let end = ImportEnd {
        counts: ImportCounts {
            inserted: 4,
            rejected: 2,
            ..ImportCounts::default()
        },
        audit,
    };
    let imported = store
        .import(organization, event, &numbered(&["{}"]), START, Some(end))
        .await;
    imported.expect("written").expect("the event exists");
    expect(
        AuditAction::TicketImportEnd,
        AuditSubjectKind::Event,
        event.to_string(),
        json!({ "inserted": [null, 5], "updated": [null, 0], "unchanged": [null, 0], "rejected": [null, 2] }),
    );
    let session = fixture.main_session.id;
    for _ in 0..2 {
        store
            .end_session(organization, session, START, Some(audit))
            .await
            .expect("written");
    }
    expect(
        AuditAction::SessionEnd,
        AuditSubjectKind::Session,
        session.to_string(),
        json!({ "status": ["active", "ended"] }),
    );
    store
        .end_session(organization, fixture.side_session.id, START, None)
        .await
        .expect("written");

    let entries = fixture.new_entries(&mut known).await;
    let found: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                entry.action,
                entry.subject.kind,
                entry.subject.id.clone(),
                json!(entry.changes),
            )
        })
        .collect();
    assert_eq!(found, expected);
    for entry in &entries {
        assert_eq!((entry.at, entry.address), (after(5), by.address));
        assert_eq!(entry.request_id.as_deref(), Some("r1"));
        if entry.action == AuditAction::DeviceEnroll {
            assert_eq!(entry.actor, AuditActor::device(device, Some("John's phone")));
        } else {
            assert_eq!(entry.actor, by.actor);
        }
    }
    fixture.verify_log(known).await;
}

pub(crate) async fn a_change_that_a_rule_forbids_leaves_no_entry(fixture: Fixture) {
    let known = fixture.audit_log().await.len();
    let (store, organization, event) = (&fixture.store, fixture.organization, fixture.event);
    let unknown = DeviceId::from_uuid(Uuid::from_u128(99));
    let patch = DevicePatch::default();
    let classes: EventPut = json_of(r#"{"name":"Show","status":"live","ticket_classes":["VIP"]}"#);
    store
        .put_event(organization, event, &classes, START, audit())
        .await
        .expect("written");
    let other: EventPut = json_of(r#"{"name":"Show","status":"live","ticket_classes":["Other"]}"#);
    store
        .put_event(organization, event, &other, START, audit())
        .await
        .expect("refused");
    store
        .patch_device(organization, unknown, &patch, START, audit())
        .await
        .expect("missing");
    store
        .rotate_device_token(organization, unknown, &[1; 32], START, audit())
        .await
        .expect("missing");
    assert!(
        !store
            .revoke_device(organization, unknown, START, audit())
            .await
            .expect("missing")
    );
    let code = EnrollmentCode::generate();
    store
        .put_enrollment(organization, unknown, &code, START, audit())
        .await
        .expect("missing");
    let gate: GatePut = json_of(r#"{"name":"Main","status":"open"}"#);
    let no_event = EventId::from_uuid(Uuid::from_u128(98));
    store
        .put_gate(organization, no_event, fixture.main_gate, &gate, START, audit())
        .await
        .expect("missing");
    let taken = Organization {
        id: organization,
        name: name("Taken"),
        inserted_at: START,
    };
    assert!(
        !store
            .create_organization(&taken, &[], audit())
            .await
            .expect("taken")
    );
    let actions: Vec<_> = fixture.audit_log().await[known..]
        .iter()
        .map(|entry| entry.action)
        .collect();
    assert_eq!(actions, [AuditAction::EventUpdate]);
}

pub(crate) async fn concurrent_changes_on_four_nodes_make_one_chain(fixture: Fixture) {
    let known = fixture.audit_log().await.len();
    let nodes = fixture.open_nodes().await;
    let calls: Vec<_> = (0..40_u128)
        .zip(nodes.iter().cycle())
        .map(|(number, node)| {
            let (node, organization) = (Arc::clone(node), fixture.organization);
            tokio::spawn(async move {
                let device = DeviceId::from_uuid(Uuid::from_u128(1000 + number));
                let register: DeviceRegister =
                    json_of(&format!(r#"{{"device_id":"door-{number}","name":"Door"}}"#));
                let token = [u8::try_from(number).expect("few"); 32];
                loop {
                    // A busy machine may keep a call waiting for too long.
                    let put = node
                        .register_device(organization, device, &register, &token, START, audit())
                        .await;
                    if put.is_ok() {
                        return;
                    }
                }
            })
        })
        .collect();
    for call in calls {
        call.await.expect("the task completes");
    }
    let log = fixture.audit_log().await;
    let sequences: Vec<_> = log.iter().map(|entry| entry.sequence).collect();
    let expected: Vec<_> = (1..=i64::try_from(log.len()).expect("few")).collect();
    assert_eq!(sequences, expected, "no gap");
    assert_eq!(log.len(), known + 40);
    fixture.verify_log(log.len()).await;
}

#[expect(clippy::too_many_lines, reason = "a list of cases")]
pub(crate) async fn the_log_is_filtered_and_paged_in_both_orders(fixture: Fixture) {
    let start = fixture.audit_log().await.len();
    let device = fixture.main_session.device;
    let office = context("r1");
    let cli = AuditContext::cli();
    for number in 0..12_i64 {
        let (context, action, id) = match number % 3 {
            0 => (&office, AuditAction::DeviceUpdate, device.to_string()),
            1 => (&cli, AuditAction::DeviceRevoke, format!("d{number}")),
            _ => (&cli, AuditAction::EventUpdate, format!("e{number}")),
        };
        let kind = if number % 3 == 2 {
            AuditSubjectKind::Event
        } else {
            AuditSubjectKind::Device
        };
        let change = AuditedChange {
            action,
            subject: AuditSubject::new(kind, id),
            changes: AuditChanges::new(),
        };
        let written = fixture.store.record_audit(
            fixture.organization,
            &change,
            audit_of(context, after(100 + number)),
        );
        written.await.expect("written");
    }
    let filter = AuditFilter {
        from: Some(after(100)),
        ..AuditFilter::default()
    };
    let numbers = async |filter: AuditFilter| -> Vec<i64> {
        let log = fixture.filtered_log(&filter).await;
        let first = i64::try_from(start).expect("few") + 1;
        log.iter().map(|entry| entry.sequence - first).collect()
    };
    let all = || filter.clone();
    assert_eq!(numbers(all()).await.len(), 12);
    let office_key = office.actor.id;
    for (filter, expected) in [
        (
            AuditFilter {
                actor_kind: Some(AuditActorKind::ApiKey),
                ..all()
            },
            &[0, 3, 6, 9][..],
        ),
        (
            AuditFilter {
                actor_id: office_key,
                ..all()
            },
            &[0, 3, 6, 9],
        ),
        (
            AuditFilter {
                actor_kind: Some(AuditActorKind::Cli),
                actor_id: office_key,
                ..all()
            },
            &[],
        ),
        (
            AuditFilter {
                action: Some(AuditAction::DeviceRevoke),
                ..all()
            },
            &[1, 4, 7, 10],
        ),
        (
            AuditFilter {
                action_on: Some(AuditSubjectKind::Event),
                ..all()
            },
            &[2, 5, 8, 11],
        ),
        (
            AuditFilter {
                subject_kind: Some(AuditSubjectKind::Event),
                ..all()
            },
            &[2, 5, 8, 11],
        ),
        (
            AuditFilter {
                subject_id: Some(device.to_string()),
                ..all()
            },
            &[0, 3, 6, 9],
        ),
        (
            AuditFilter {
                subject_id: Some("d4".to_owned()),
                ..all()
            },
            &[4],
        ),
        (
            AuditFilter {
                from: Some(after(109)),
                ..all()
            },
            &[9, 10, 11],
        ),
        (
            AuditFilter {
                to: Some(after(101)),
                ..all()
            },
            &[0, 1],
        ),
    ] {
        assert_eq!(numbers(filter.clone()).await, expected, "{filter:?}");
    }
    for (order, filter) in [
        (Order::Oldest, all()),
        (Order::Newest, all()),
        (Order::Oldest, AuditFilter::default()),
        (Order::Newest, AuditFilter::default()),
    ] {
        let mut expected: Vec<_> = fixture.filtered_log(&filter).await;
        if matches!(order, Order::Newest) {
            expected.reverse();
        }
        let (mut found, mut after) = (Vec::new(), None::<Cursor>);
        loop {
            let page = PageRequest { limit: 5, after };
            let page = fixture
                .store
                .audit_entries(fixture.organization, &filter, order, &page)
                .await
                .expect("read");
            assert!(page.data.len() <= 5);
            found.extend(page.data);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected);
    }
}

pub(crate) async fn an_organization_reads_only_its_own_log(fixture: Fixture) {
    let other = Fixture::new(Arc::clone(&fixture.database)).await;
    let (own, others) = (fixture.audit_log().await, other.audit_log().await);
    assert!(!own.is_empty());
    assert_eq!(own.len(), others.len());
    assert!(own.iter().all(|entry| !others.contains(entry)));
    fixture.verify_log(own.len()).await;
    other.verify_log(others.len()).await;
}

pub(crate) async fn overrides_and_undos_are_entered_once_with_their_calls(fixture: Fixture) {
    assert_eq!(fixture.enter_acts().await, 0);
    let mut known = fixture.audit_log().await.len();
    let code = fixture.ticket("{}").await;
    let session = &fixture.main_session;
    let first = fixture.decided(entry(session, code, 10)).await.record.scan_id;
    let device = AuditActor::device(session.device, Some("Scanner"));
    let call = AuditContext {
        actor: device.clone(),
        address: Some([192, 0, 2, 9].into()),
        request_id: Some("scan-1".to_owned()),
    };
    let forced = Attempt {
        origin: Some(Arc::new(call.clone())),
        ..overriding_entry(session, code, 20)
    };
    let retry = forced.clone();
    let forced = fixture.decided(forced).await.record.scan_id;
    fixture.record_one(retry).await;
    // An override that does not help is a denial, not an act.
    let unknown = Attempt {
        origin: Some(Arc::new(call.clone())),
        ..overriding_entry(session, "0000000000000000".parse().expect("a code"), 30)
    };
    fixture.record_one(unknown).await;
    assert_eq!(fixture.audit_log().await.len(), known, "no scan writes the log");
    assert_eq!(fixture.enter_acts().await, 1);
    let entries = fixture.new_entries(&mut known).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0].action, AuditAction::ScanOverride);
    assert_eq!(
        entries[0].subject,
        AuditSubject::new(AuditSubjectKind::Scan, forced)
    );
    assert_eq!(
        json!(entries[0].changes),
        json!({ "reason": ["already_scanned", "overridden"] })
    );
    assert_eq!((&entries[0].actor, entries[0].address), (&device, call.address));
    assert_eq!(
        (entries[0].request_id.as_deref(), entries[0].at),
        (Some("scan-1"), after(20))
    );

    fixture.undo(forced, UndoPermission::Member, 40).await;
    fixture.undo(forced, UndoPermission::Member, 41).await;
    fixture.undo(first, UndoPermission::Member, 42).await;
    assert_eq!(fixture.enter_acts().await, 2);
    let entries = fixture.new_entries(&mut known).await;
    let found: Vec<_> = entries
        .iter()
        .map(|entry| (entry.action, entry.subject.id.clone(), entry.at))
        .collect();
    assert_eq!(
        found,
        [
            (AuditAction::ScanUndo, forced.to_string(), after(40)),
            (AuditAction::ScanUndo, first.to_string(), after(42)),
        ]
    );
    assert_eq!(json!(entries[0].changes), json!({ "undone": [false, true] }));
    assert_eq!(entries[0].actor, audit().context.actor);
    assert_eq!(fixture.enter_acts().await, 0);
    fixture.verify_log(known).await;
}

pub(crate) async fn an_act_is_entered_by_one_node(fixture: Fixture) {
    let known = fixture.audit_log().await.len();
    let code = fixture.ticket("{}").await;
    fixture.decided(entry(&fixture.main_session, code, 10)).await;
    fixture
        .decided(overriding_entry(&fixture.main_session, code, 20))
        .await;
    let calls: Vec<_> = fixture
        .open_nodes()
        .await
        .into_iter()
        .map(|node| {
            let organization = fixture.organization;
            tokio::spawn(async move {
                let signer = AuditSigner::new(audit_master());
                node.enter_audit_acts(organization, 10, signer).await
            })
        })
        .collect();
    let mut entered = 0;
    for call in calls {
        entered += call.await.expect("the task completes").expect("written");
    }
    assert_eq!(entered, 1);
    let log = fixture.audit_log().await;
    assert_eq!(log.len(), known + 1);
    // Without a known call, the record tells the device.
    assert_eq!(
        log[known].actor,
        AuditActor::device(fixture.main_session.device, None)
    );
    assert_eq!((log[known].address, &log[known].request_id), (None, &None));
}

pub(crate) async fn an_act_is_entered_though_its_event_was_deleted(fixture: Fixture) {
    let known = fixture.audit_log().await.len();
    let code = fixture.ticket("{}").await;
    let admission = fixture.decided(entry(&fixture.main_session, code, 10)).await;
    let forced = fixture
        .decided(overriding_entry(&fixture.main_session, code, 20))
        .await;
    fixture
        .undo(admission.record.scan_id, UndoPermission::Member, 30)
        .await;
    // What the purge of a deleted event does.
    fixture.database.execute("delete from scans").await;
    let signer = AuditSigner::new(audit_master());
    let entered = fixture.store.enter_audit_acts(fixture.organization, 10, signer);
    assert_eq!(entered.await.expect("written"), 2);
    let log = fixture.audit_log().await;
    let entered: BTreeSet<_> = log[known..]
        .iter()
        .map(|entry| (entry.action.as_str(), entry.subject.id.clone()))
        .collect();
    assert_eq!(
        entered,
        BTreeSet::from([
            ("scan.override", forced.record.scan_id.to_string()),
            ("scan.undo", admission.record.scan_id.to_string()),
        ])
    );
}

pub(crate) async fn old_addresses_are_cleared_and_the_chain_stays(fixture: Fixture) {
    let by = context("r1");
    let change = AuditedChange {
        action: AuditAction::EventUpdate,
        subject: AuditSubject::new(AuditSubjectKind::Event, fixture.event),
        changes: AuditChanges::new(),
    };
    // The clock of the database decides. These times are long before and after every run of this test.
    let (old, future) = (
        Timestamp::from_seconds(0),
        Timestamp::from_seconds(10_000_000_000),
    );
    for at in [old, future] {
        let written = fixture
            .store
            .record_audit(fixture.organization, &change, audit_of(&by, at));
        written.await.expect("written");
    }
    let day = Duration::from_secs(24 * 60 * 60);
    let clear = || {
        fixture
            .store
            .clear_audit_addresses(fixture.organization, 90 * day)
    };
    assert_eq!(clear().await.expect("written"), 1);
    assert_eq!(clear().await.expect("written"), 0);
    let log = fixture.audit_log().await;
    let addresses: Vec<_> = log.iter().rev().take(2).map(|entry| entry.address).collect();
    assert_eq!(addresses, [by.address, None]);
    fixture.verify_log(log.len()).await;
}

//! The change counters, by which other nodes detect that their caches are stale: every change raises its counter, and
//! nothing else does.

use uuid::Uuid;
use voelgoed_scan_core::model::{
    ApiKey, ApiKeyId, DeviceId, KeyFormat, KeyId, KeyStatus, Role, SessionId, SessionStart, SettableStatus,
    SigningKey,
};
use voelgoed_scan_core::store::{ChangeCounters, UndoPermission};

use crate::attempts::entry;
use crate::fixture::{
    Fixture, START, after, audit, live, name, open_gate, put_event, put_gate, register, token,
};

/// Reports which of an organization's counters rose since the last call: (facts, tickets).
struct CounterWatch<'a> {
    fixture: &'a Fixture,
    last: ChangeCounters,
}

impl<'a> CounterWatch<'a> {
    async fn new(fixture: &'a Fixture) -> Self {
        let last = read_counters(fixture).await;
        Self { fixture, last }
    }

    async fn rose(&mut self) -> (bool, bool) {
        let now = read_counters(self.fixture).await;
        let rose = (now.facts > self.last.facts, now.tickets > self.last.tickets);
        self.last = now;
        rose
    }
}

async fn read_counters(fixture: &Fixture) -> ChangeCounters {
    let all = fixture.store.change_counters().await.expect("the read succeeds");
    let own = all
        .into_iter()
        .find(|counters| counters.organization_id == fixture.organization);
    own.expect("the organization exists")
}

pub(crate) async fn every_change_raises_its_counter(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    let mut watch = CounterWatch::new(&fixture).await;
    let facts = (true, false);
    put_event(&**store, organization, &live()).await;
    assert_eq!(watch.rose().await, facts, "a new event");
    fixture.change_event(|_| {}).await;
    assert_eq!(watch.rose().await, facts, "an event");
    put_gate(&**store, organization, fixture.event, &open_gate("New")).await;
    assert_eq!(watch.rose().await, facts, "a new gate");
    fixture.change_gate(fixture.main_gate, |_| {}).await;
    assert_eq!(watch.rose().await, facts, "a gate");
    let device = register(&**store, organization, "new").await.id;
    assert_eq!(watch.rose().await, facts, "a new device");
    let patch = serde_json::from_str(r#"{"name":"Old"}"#).expect("a patch");
    store
        .patch_device(organization, device, &patch, START, audit())
        .await
        .expect("the write succeeds");
    assert_eq!(watch.rose().await, facts, "a device");
    store
        .rotate_device_token(organization, device, &token("new"), START, audit())
        .await
        .expect("the write succeeds");
    assert_eq!(watch.rose().await, facts, "a token");
    let start = SessionStart {
        event_id: fixture.event,
        gate_id: fixture.main_gate,
        replace: false,
    };
    let session = SessionId::from_uuid(Uuid::new_v4());
    store
        .start_session(organization, device, session, &start, START)
        .await
        .expect("the write succeeds");
    assert_eq!(watch.rose().await, facts, "a new session");
    store
        .end_session(organization, session, START, None)
        .await
        .expect("the write succeeds");
    assert_eq!(watch.rose().await, facts, "an ended session");
    store
        .revoke_device(organization, device, START, audit())
        .await
        .expect("the write succeeds");
    assert_eq!(watch.rose().await, facts, "a revoked device");
    let key = SigningKey {
        format: KeyFormat::Vg1,
        kid: KeyId::FIRST,
        status: KeyStatus::Active,
        public_key: None,
        inserted_at: START,
    };
    store
        .add_signing_key(organization, &key, audit())
        .await
        .expect("the write succeeds");
    assert_eq!(watch.rose().await, facts, "a new signing key");
    store
        .set_signing_key_status(organization, key.format, key.kid, KeyStatus::Revoked, audit())
        .await
        .expect("the write succeeds");
    assert_eq!(watch.rose().await, facts, "a signing key");
    let key = ApiKey {
        id: ApiKeyId::from_uuid(Uuid::new_v4()),
        organization_id: organization,
        name: name("Key"),
        role: Role::Staff,
        inserted_at: START,
    };
    store
        .create_api_key(&key, &token("key"), audit())
        .await
        .expect("the write succeeds");
    assert_eq!(watch.rose().await, facts, "a new API key");
    store
        .delete_api_key(organization, key.id, audit())
        .await
        .expect("the write succeeds");
    assert_eq!(watch.rose().await, facts, "a deleted API key");
}

pub(crate) async fn every_change_of_a_ticket_raises_its_counter(fixture: Fixture) {
    let mut watch = CounterWatch::new(&fixture).await;
    let code = fixture.ticket("{}").await;
    assert_eq!(
        watch.rose().await,
        (false, false),
        "a new ticket, which no cache can contain"
    );
    fixture
        .import(&[&format!(r#"{{"code":"{code}","note":"New"}}"#)])
        .await;
    assert_eq!(watch.rose().await, (false, true), "an import");
    fixture
        .import(&[&format!(r#"{{"code":"{code}","ticket_class":"New"}}"#)])
        .await;
    assert_eq!(watch.rose().await, (true, true), "an import with a new class");
    fixture.set_status(code, SettableStatus::Voided).await;
    assert_eq!(watch.rose().await, (false, true), "a status");
    fixture.set_status(code, SettableStatus::Active).await;
    let scan = fixture
        .decided(entry(&fixture.main_session, code, 0))
        .await
        .record
        .scan_id;
    watch.rose().await;
    fixture.undo(scan, UndoPermission::Member, 1).await;
    assert_eq!(watch.rose().await, (false, true), "an undo");
}

pub(crate) async fn scans_and_unchanged_rows_raise_no_counter(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    let code = fixture.ticket("{}").await;
    let other = fixture.another().await;
    let mut watch = CounterWatch::new(&fixture).await;
    fixture
        .record(&[
            entry(&fixture.main_session, code, 0),
            entry(&fixture.main_session, code, 1),
        ])
        .await;
    fixture.leave(code, 2).await;
    store
        .report_device(organization, fixture.main_session.device, None, after(3))
        .await
        .expect("the write succeeds");
    fixture
        .import(&[
            &format!(r#"{{"code":"{code}"}}"#),
            r#"{"gate_ids":["0192f0c1-7a4e-7000-8000-000000000009"]}"#,
        ])
        .await;
    fixture.set_status(code, SettableStatus::Active).await;
    store
        .revoke_device(organization, DeviceId::from_uuid(Uuid::new_v4()), START, audit())
        .await
        .expect("the read succeeds");
    store
        .end_session(organization, SessionId::from_uuid(Uuid::new_v4()), START, None)
        .await
        .expect("the read succeeds");
    other.change_event(|_| {}).await;
    other.ticket("{}").await;
    assert_eq!(watch.rose().await, (false, false));
}

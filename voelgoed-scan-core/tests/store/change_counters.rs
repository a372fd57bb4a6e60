//! How do other nodes learn that something changed? Counters that every change raises, and nothing else.

use uuid::Uuid;
use voelgoed_scan_core::model::{
    ApiKey, ApiKeyId, DeviceId, KeyFormat, KeyId, KeyStatus, Role, SessionId, SessionStart, SettableStatus,
    SigningKey,
};
use voelgoed_scan_core::store::{ChangeCounters, UndoPermission};

use crate::attempts::entry;
use crate::world::{START, World, after, live, name, open_gate, put_event, put_gate, register, token};

/// Which counters rose since they were asked for last: of facts, of tickets.
struct Watch<'a> {
    world: &'a World,
    last: ChangeCounters,
}

impl<'a> Watch<'a> {
    async fn of(world: &'a World) -> Self {
        let last = now(world).await;
        Self { world, last }
    }

    async fn rose(&mut self) -> (bool, bool) {
        let now = now(self.world).await;
        let rose = (now.facts > self.last.facts, now.tickets > self.last.tickets);
        self.last = now;
        rose
    }
}

async fn now(world: &World) -> ChangeCounters {
    let all = world.store.change_counters().await.expect("read");
    let own = all
        .into_iter()
        .find(|one| one.organization_id == world.organization);
    own.expect("the organization is there")
}

pub(crate) async fn every_change_raises_its_counter(world: World) {
    let (store, organization) = (&world.store, world.organization);
    let mut watch = Watch::of(&world).await;
    let facts = (true, false);
    put_event(&**store, organization, &live()).await;
    assert_eq!(watch.rose().await, facts, "a new event");
    world.change_event(|_| {}).await;
    assert_eq!(watch.rose().await, facts, "an event");
    put_gate(&**store, organization, world.event, &open_gate("New")).await;
    assert_eq!(watch.rose().await, facts, "a new gate");
    world.change_gate(world.main, |_| {}).await;
    assert_eq!(watch.rose().await, facts, "a gate");
    let device = register(&**store, organization, "new").await.id;
    assert_eq!(watch.rose().await, facts, "a new device");
    let patch = serde_json::from_str(r#"{"name":"Old"}"#).expect("a patch");
    store
        .patch_device(organization, device, &patch, START)
        .await
        .expect("written");
    assert_eq!(watch.rose().await, facts, "a device");
    store
        .rotate_device_token(organization, device, &token("new"), START)
        .await
        .expect("written");
    assert_eq!(watch.rose().await, facts, "a token");
    let start = SessionStart {
        event_id: world.event,
        gate_id: world.main,
        replace: false,
    };
    let session = SessionId::from_uuid(Uuid::new_v4());
    store
        .start_session(organization, device, session, &start, START)
        .await
        .expect("written");
    assert_eq!(watch.rose().await, facts, "a new session");
    store
        .end_session(organization, session, START)
        .await
        .expect("written");
    assert_eq!(watch.rose().await, facts, "an ended session");
    store
        .revoke_device(organization, device, START)
        .await
        .expect("written");
    assert_eq!(watch.rose().await, facts, "a revoked device");
    let key = SigningKey {
        format: KeyFormat::Vg1,
        kid: KeyId::FIRST,
        status: KeyStatus::Active,
        public_key: None,
        inserted_at: START,
    };
    store.add_signing_key(organization, &key).await.expect("written");
    assert_eq!(watch.rose().await, facts, "a new signing key");
    store
        .set_signing_key_status(organization, key.format, key.kid, KeyStatus::Revoked)
        .await
        .expect("written");
    assert_eq!(watch.rose().await, facts, "a signing key");
    let key = ApiKey {
        id: ApiKeyId::from_uuid(Uuid::new_v4()),
        organization_id: organization,
        name: name("Key"),
        role: Role::Staff,
        inserted_at: START,
    };
    store.create_api_key(&key, &token("key")).await.expect("written");
    assert_eq!(watch.rose().await, facts, "a new API key");
    store.delete_api_key(organization, key.id).await.expect("written");
    assert_eq!(watch.rose().await, facts, "a deleted API key");
    let code = world.ticket("{}").await;
    assert_eq!(
        watch.rose().await,
        (false, false),
        "a ticket that nobody has seen"
    );
    world
        .import(&[&format!(r#"{{"code":"{code}","note":"New"}}"#)])
        .await;
    assert_eq!(watch.rose().await, (false, true), "an import");
    world
        .import(&[&format!(r#"{{"code":"{code}","ticket_class":"New"}}"#)])
        .await;
    assert_eq!(watch.rose().await, (true, true), "an import with a new class");
    world.set_status(code, SettableStatus::Voided).await;
    assert_eq!(watch.rose().await, (false, true), "a status");
    world.set_status(code, SettableStatus::Active).await;
    let scan = world.decided(entry(&world.post, code, 0)).await.record.scan_id;
    watch.rose().await;
    world.undo(scan, UndoPermission::Member, 1).await;
    assert_eq!(watch.rose().await, (false, true), "an undo");
}

pub(crate) async fn what_changes_nothing_raises_nothing(world: World) {
    let (store, organization) = (&world.store, world.organization);
    let code = world.ticket("{}").await;
    let other = world.another().await;
    let mut watch = Watch::of(&world).await;
    world
        .record(&[entry(&world.post, code, 0), entry(&world.post, code, 1)])
        .await;
    world.leave(code, 2).await;
    store
        .report_device(organization, world.post.device, None, after(3))
        .await
        .expect("written");
    world
        .import(&[
            &format!(r#"{{"code":"{code}"}}"#),
            r#"{"gate_ids":["0192f0c1-7a4e-7000-8000-000000000009"]}"#,
        ])
        .await;
    world.set_status(code, SettableStatus::Active).await;
    store
        .revoke_device(organization, DeviceId::from_uuid(Uuid::new_v4()), START)
        .await
        .expect("read");
    store
        .end_session(organization, SessionId::from_uuid(Uuid::new_v4()), START)
        .await
        .expect("read");
    other.change_event(|_| {}).await;
    other.ticket("{}").await;
    assert_eq!(watch.rose().await, (false, false));
}

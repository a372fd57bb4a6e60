//! Which device may scan, and where does it stand?

use std::sync::Arc;

use uuid::Uuid;
use voelgoed_scan_core::model::{
    DeviceId, DevicePatch, DeviceStatus, EventId, EventStatus, GateStatus, Reason, Recorded, SessionStart,
    SessionStatus,
};
use voelgoed_scan_core::store::{PutOutcome, StartOutcome};

use crate::attempts::entry;
use crate::sessions::{new_session, start};
use crate::world::{ALL, START, World, after, informed, name, register, token};

pub(crate) fn patch(json: &str) -> DevicePatch {
    serde_json::from_str(json).expect("a patch")
}

pub(crate) async fn an_inactive_device_records_nothing_until_it_is_active(world: World) {
    let code = world.ticket("{}").await;
    let (organization, device) = (world.organization, world.post.device);
    let set = async |json: &str| {
        let put = world
            .store
            .patch_device(organization, device, &patch(json), after(1))
            .await;
        assert!(matches!(put, Ok(PutOutcome::Replaced(_))), "{put:?}");
    };
    set(r#"{"status":"inactive"}"#).await;
    assert_eq!(
        world.one(entry(&world.post, code, 1)).await,
        Recorded::DeviceInactive
    );
    set(r#"{"status":"active","name":"Lane 4","settings":{"can_override":true,"colour":"red"}}"#).await;
    assert_eq!(
        world.enter(code, 2).await,
        Reason::Admitted,
        "its session went on"
    );
    let found = world
        .store
        .device(organization, device)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(
        (found.name.as_str(), found.settings.can_override),
        ("Lane 4", true)
    );
    assert_eq!(found.settings.other["colour"], "red");
    set("{}").await;
    let same = world
        .store
        .device(organization, device)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(found, same, "what is absent stays");
}

pub(crate) async fn what_memory_held_counts_only_while_nothing_has_changed(world: World) {
    let store = &world.store;
    let held = |attempt| async { informed(&**store, &[attempt]).await.remove(0) };
    let place = SessionStart {
        event_id: world.event,
        gate_id: world.side,
        replace: true,
    };
    // Scans that came before a change and are recorded after it.
    let before = held(entry(&world.post, world.ticket("{}").await, 0)).await;
    world
        .change_gate(world.main, |gate| gate.status = GateStatus::Closed)
        .await;
    assert_eq!(world.reason(before).await, Reason::GateClosed);
    world.change_gate(world.main, |_| ()).await;

    let before = held(entry(&world.post, world.ticket("{}").await, 0)).await;
    world.change_event(|event| event.capacity = Some(0)).await;
    assert_eq!(world.reason(before).await, Reason::EventFull);
    world
        .change_event(|event| event.status = EventStatus::Ended)
        .await;
    let before = held(entry(&world.post, world.ticket("{}").await, 0)).await;
    world.change_event(|_| ()).await;
    assert_eq!(world.reason(before).await, Reason::Admitted, "it is live again");

    let device = world.device_at(world.main, "moved").await;
    let before = held(entry(&device, world.ticket("{}").await, 0)).await;
    let session = new_session();
    let started = store
        .start_session(world.organization, device.device, session, &place, START)
        .await;
    assert!(matches!(started, Ok(StartOutcome::Started(_))), "{started:?}");
    assert_eq!(world.one(before).await, Recorded::NoActiveSession);

    let device = world.device_at(world.main, "lost").await;
    let before = held(entry(&device, world.ticket("{}").await, 0)).await;
    let revoked = store
        .revoke_device(world.organization, device.device, START)
        .await;
    assert!(matches!(revoked, Ok(true)), "{revoked:?}");
    assert_eq!(world.one(before).await, Recorded::DeviceInactive);
}

pub(crate) async fn while_nothing_has_changed_the_database_goes_by_memory(world: World) {
    if !world.database.url.starts_with("postgres") {
        // A file of this process reads its facts anew: that costs next to nothing.
        return;
    }
    let code = world.ticket("{}").await;
    let mut attempt = informed(&*world.store, &[entry(&world.post, code, 0)])
        .await
        .remove(0);
    let authenticated = attempt
        .authenticated
        .as_mut()
        .and_then(Arc::get_mut)
        .expect("it stands");
    authenticated.device.name = name("As memory has it");
    assert_eq!(world.reason(attempt).await, Reason::Admitted);
    let again = world.decided(entry(&world.post, code, 1)).await.answer;
    let seen = again.previous_scan.expect("there was one");
    assert_eq!(seen.device_name, "As memory has it");
}

pub(crate) async fn a_revoked_device_is_out_for_good(world: World) {
    let code = world.ticket("{}").await;
    let (store, organization, device) = (&world.store, world.organization, world.post.device);
    assert!(
        store
            .revoke_device(organization, device, after(1))
            .await
            .expect("revoked")
    );
    assert_eq!(
        world.one(entry(&world.post, code, 2)).await,
        Recorded::DeviceInactive
    );
    let revoked = store
        .device(organization, device)
        .await
        .expect("read")
        .expect("its record stays");
    assert_eq!(
        (revoked.status, revoked.updated_at),
        (DeviceStatus::Inactive, after(1))
    );
    let session = store
        .session(organization, world.post.session)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(
        (session.status, session.ended_at),
        (SessionStatus::Ended, Some(after(1)))
    );
    assert!(
        store
            .revoke_device(organization, device, after(5))
            .await
            .expect("revoked"),
        "twice is once"
    );
    assert_eq!(
        store.device(organization, device).await.expect("read"),
        Some(revoked)
    );
    let back = store
        .patch_device(organization, device, &patch(r#"{"status":"active"}"#), after(3))
        .await;
    assert!(matches!(back, Ok(PutOutcome::Conflict(_))), "{back:?}");
    let renamed = store
        .patch_device(organization, device, &patch(r#"{"name":"Lost"}"#), after(3))
        .await;
    assert!(matches!(renamed, Ok(PutOutcome::Replaced(_))), "{renamed:?}");
    let rotated = store
        .rotate_device_token(organization, device, &token("new"), after(3))
        .await;
    assert!(matches!(rotated, Ok(PutOutcome::Conflict(_))), "{rotated:?}");
    let authenticated = store
        .find_device_by_token(&token(&format!("{organization} scanner-1")))
        .await
        .expect("read");
    let authenticated = authenticated.expect("its token is known, so that it is told");
    assert_eq!(
        (authenticated.device.status, authenticated.active_session),
        (DeviceStatus::Inactive, None)
    );
    let stranger = DeviceId::from_uuid(Uuid::new_v4());
    assert!(
        !store
            .revoke_device(organization, stranger, START)
            .await
            .expect("read")
    );
}

pub(crate) async fn a_new_token_replaces_the_old_one_and_the_session_goes_on(world: World) {
    let (store, organization, device) = (&world.store, world.organization, world.post.device);
    let old = token(&format!("{organization} scanner-1"));
    let rotated = store
        .rotate_device_token(organization, device, &token("new"), after(1))
        .await;
    assert!(matches!(rotated, Ok(PutOutcome::Replaced(_))), "{rotated:?}");
    assert_eq!(store.find_device_by_token(&old).await.expect("read"), None);
    let authenticated = store
        .find_device_by_token(&token("new"))
        .await
        .expect("read")
        .expect("known");
    assert_eq!(authenticated.device.id, device);
    assert_eq!(
        authenticated
            .active_session
            .map(|active_session| active_session.session.id),
        Some(world.post.session)
    );
    assert_eq!(
        store.api_key(&token("new")).await.expect("read"),
        None,
        "a device is no member"
    );
    let stranger = DeviceId::from_uuid(Uuid::new_v4());
    let missing = store
        .rotate_device_token(organization, stranger, &token("other"), START)
        .await;
    assert_eq!(missing.expect("read"), PutOutcome::Missing);
}

pub(crate) async fn a_device_id_is_taken_once(world: World) {
    let (store, organization) = (&world.store, world.organization);
    let register = serde_json::from_str(r#"{"device_id":"scanner-1","name":"Again"}"#).expect("a device");
    let id = DeviceId::from_uuid(Uuid::new_v4());
    let put = store
        .register_device(organization, id, &register, &token("again"), START)
        .await;
    assert!(matches!(put, Ok(PutOutcome::Conflict(_))), "{put:?}");
    assert_eq!(
        store.find_device_by_token(&token("again")).await.expect("read"),
        None
    );
    let elsewhere = world.another().await;
    assert_ne!(
        elsewhere.post.device, world.post.device,
        "another organization has its own"
    );
}

pub(crate) async fn a_device_tells_how_it_is(world: World) {
    let (store, organization, device) = (&world.store, world.organization, world.post.device);
    let health = r#"{"app":{"name":"Gate","version":"1.2","platform":"android"},"battery":0.25,"waiting":7}"#;
    let health = serde_json::from_str(health).expect("health");
    let told = store
        .report_device(organization, device, Some(&health), after(4))
        .await
        .expect("written")
        .expect("there");
    assert_eq!(
        (told.battery, told.waiting, told.last_seen_at),
        (Some(0.25), Some(7), Some(after(4)))
    );
    assert_eq!(told.app, health.app);
    let seen = store
        .report_device(organization, device, None, after(5))
        .await
        .expect("written")
        .expect("there");
    assert_eq!((seen.battery, seen.last_seen_at), (Some(0.25), Some(after(5))));
    assert_eq!(
        store.device(organization, device).await.expect("read"),
        Some(seen)
    );
    let stranger = DeviceId::from_uuid(Uuid::new_v4());
    assert_eq!(
        store
            .report_device(organization, stranger, None, START)
            .await
            .expect("read"),
        None
    );
}

pub(crate) async fn devices_and_sessions_are_listed_by_what_is_asked(world: World) {
    let (store, organization) = (&world.store, world.organization);
    let idle = register(&**store, organization, "idle").await;
    store
        .revoke_device(organization, idle.id, START)
        .await
        .expect("revoked");
    let labels = async |label, status| {
        let page = store
            .devices(organization, label, status, &ALL)
            .await
            .expect("devices");
        let mut labels: Vec<_> = page
            .data
            .iter()
            .map(|device| device.device_id.to_string())
            .collect();
        labels.sort();
        labels.join(" ")
    };
    assert_eq!(labels(None, None).await, "idle scanner-1 scanner-2");
    assert_eq!(labels(Some("scanner-1"), None).await, "scanner-1");
    assert_eq!(
        labels(None, Some(DeviceStatus::Active)).await,
        "scanner-1 scanner-2"
    );
    assert_eq!(labels(Some("idle"), Some(DeviceStatus::Active)).await, "");
    let again = start(world.event, world.side, true);
    let third = new_session();
    store
        .start_session(organization, world.post.device, third, &again, after(60))
        .await
        .expect("started");
    let ids = async |device, event, status| {
        let page = store
            .sessions(organization, device, event, status, &ALL)
            .await
            .expect("sessions");
        page.data.iter().map(|session| session.id).collect::<Vec<_>>()
    };
    assert_eq!(
        ids(Some(world.post.device), None, None).await,
        [third, world.post.session],
        "newest first"
    );
    assert_eq!(
        ids(Some(world.post.device), None, Some(SessionStatus::Ended)).await,
        [world.post.session]
    );
    assert_eq!(ids(None, Some(world.event), None).await.len(), 3);
    assert_eq!(
        ids(None, Some(EventId::from_uuid(Uuid::new_v4())), None).await,
        []
    );
}

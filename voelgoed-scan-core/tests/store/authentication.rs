//! Devices, their tokens and status, and the identities (device, session, event, gate) that nodes cache.

use std::sync::Arc;

use uuid::Uuid;
use voelgoed_scan_core::model::{
    DeviceId, DevicePatch, DeviceStatus, EventId, EventStatus, GateStatus, Reason, Recorded, SessionStart,
    SessionStatus,
};
use voelgoed_scan_core::store::{PutOutcome, StartOutcome};

use crate::attempts::entry;
use crate::fixture::{ALL, Fixture, START, after, audit, name, register, token, with_identities};
use crate::sessions::{new_session, start};

pub(crate) fn patch(json: &str) -> DevicePatch {
    serde_json::from_str(json).expect("a patch")
}

pub(crate) async fn an_inactive_device_records_nothing_until_it_is_reactivated(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let (organization, device) = (fixture.organization, fixture.main_session.device);
    let set = async |json: &str| {
        let put = fixture
            .store
            .patch_device(organization, device, &patch(json), after(1), audit())
            .await;
        assert!(matches!(put, Ok(PutOutcome::Replaced(_))), "{put:?}");
    };
    set(r#"{"status":"inactive"}"#).await;
    assert_eq!(
        fixture.record_one(entry(&fixture.main_session, code, 1)).await,
        Recorded::DeviceInactive
    );
    set(r#"{"status":"active","name":"Lane 4","settings":{"can_override":true,"colour":"red"}}"#).await;
    assert_eq!(
        fixture.enter(code, 2).await,
        Reason::Admitted,
        "its session is still active"
    );
    let found = fixture
        .store
        .device(organization, device)
        .await
        .expect("the read succeeds")
        .expect("it exists");
    assert_eq!(
        (found.name.as_str(), found.settings.can_override),
        ("Lane 4", true)
    );
    assert_eq!(found.settings.other["colour"], "red");
    set("{}").await;
    let same = fixture
        .store
        .device(organization, device)
        .await
        .expect("the read succeeds")
        .expect("it exists");
    assert_eq!(found, same, "absent fields keep their values");
}

pub(crate) async fn a_cached_identity_is_ignored_after_a_change(fixture: Fixture) {
    let store = &fixture.store;
    let cached = |attempt| async { with_identities(&**store, &[attempt]).await.remove(0) };
    let start_at_side_gate = SessionStart {
        event_id: fixture.event,
        gate_id: fixture.side_gate,
        replace: true,
    };
    // These scans read the cache before a change and are recorded after it.
    let before = cached(entry(&fixture.main_session, fixture.ticket("{}").await, 0)).await;
    fixture
        .change_gate(fixture.main_gate, |gate| gate.status = GateStatus::Closed)
        .await;
    assert_eq!(fixture.reason(before).await, Reason::GateClosed);
    fixture.change_gate(fixture.main_gate, |_| ()).await;

    let before = cached(entry(&fixture.main_session, fixture.ticket("{}").await, 0)).await;
    fixture.change_event(|event| event.capacity = Some(0)).await;
    assert_eq!(fixture.reason(before).await, Reason::EventFull);
    fixture
        .change_event(|event| event.status = EventStatus::Ended)
        .await;
    let before = cached(entry(&fixture.main_session, fixture.ticket("{}").await, 0)).await;
    fixture.change_event(|_| ()).await;
    assert_eq!(
        fixture.reason(before).await,
        Reason::Admitted,
        "the event is live again"
    );

    let device = fixture.device_at(fixture.main_gate, "moved").await;
    let before = cached(entry(&device, fixture.ticket("{}").await, 0)).await;
    let session = new_session();
    let started = store
        .start_session(
            fixture.organization,
            device.device,
            session,
            &start_at_side_gate,
            START,
        )
        .await;
    assert!(matches!(started, Ok(StartOutcome::Started(_))), "{started:?}");
    assert_eq!(fixture.record_one(before).await, Recorded::NoActiveSession);

    let device = fixture.device_at(fixture.main_gate, "lost").await;
    let before = cached(entry(&device, fixture.ticket("{}").await, 0)).await;
    let revoked = store
        .revoke_device(fixture.organization, device.device, START, audit())
        .await;
    assert!(matches!(revoked, Ok(true)), "{revoked:?}");
    assert_eq!(fixture.record_one(before).await, Recorded::DeviceInactive);
}

pub(crate) async fn a_cached_identity_is_used_while_nothing_has_changed(fixture: Fixture) {
    if !fixture.database.url.starts_with("postgres") {
        // SQLite has no fast path: it reads the facts for every batch.
        return;
    }
    let code = fixture.ticket("{}").await;
    let mut attempt = with_identities(&*fixture.store, &[entry(&fixture.main_session, code, 0)])
        .await
        .remove(0);
    let authenticated = attempt
        .authenticated
        .as_mut()
        .and_then(Arc::get_mut)
        .expect("the device has an active session");
    authenticated.device.name = name("Cached name");
    assert_eq!(fixture.reason(attempt).await, Reason::Admitted);
    let duplicate = fixture
        .decided(entry(&fixture.main_session, code, 1))
        .await
        .answer;
    let previous = duplicate.previous_scan.expect("a previous scan");
    assert_eq!(previous.device_name, "Cached name");
}

pub(crate) async fn a_revoked_device_cannot_be_reactivated(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let (store, organization, device) = (&fixture.store, fixture.organization, fixture.main_session.device);
    assert!(
        store
            .revoke_device(organization, device, after(1), audit())
            .await
            .expect("the device is revoked")
    );
    assert_eq!(
        fixture.record_one(entry(&fixture.main_session, code, 2)).await,
        Recorded::DeviceInactive
    );
    let revoked = store
        .device(organization, device)
        .await
        .expect("the read succeeds")
        .expect("the device row is kept");
    assert_eq!(
        (revoked.status, revoked.updated_at),
        (DeviceStatus::Inactive, after(1))
    );
    let session = store
        .session(organization, fixture.main_session.id)
        .await
        .expect("the read succeeds")
        .expect("it exists");
    assert_eq!(
        (session.status, session.ended_at),
        (SessionStatus::Ended, Some(after(1)))
    );
    assert!(
        store
            .revoke_device(organization, device, after(5), audit())
            .await
            .expect("the device is revoked"),
        "revoking is idempotent"
    );
    assert_eq!(
        store
            .device(organization, device)
            .await
            .expect("the read succeeds"),
        Some(revoked)
    );
    let reactivated = store
        .patch_device(
            organization,
            device,
            &patch(r#"{"status":"active"}"#),
            after(3),
            audit(),
        )
        .await;
    assert!(
        matches!(reactivated, Ok(PutOutcome::Conflict(_))),
        "{reactivated:?}"
    );
    let renamed = store
        .patch_device(
            organization,
            device,
            &patch(r#"{"name":"Lost"}"#),
            after(3),
            audit(),
        )
        .await;
    assert!(matches!(renamed, Ok(PutOutcome::Replaced(_))), "{renamed:?}");
    let rotated = store
        .rotate_device_token(organization, device, &token("new"), after(3), audit())
        .await;
    assert!(matches!(rotated, Ok(PutOutcome::Conflict(_))), "{rotated:?}");
    let authenticated = store
        .find_device_by_token(&token(&format!("{organization} scanner-1")))
        .await
        .expect("the read succeeds");
    let authenticated = authenticated.expect("the token of a revoked device stays known");
    assert_eq!(
        (authenticated.device.status, authenticated.active_session),
        (DeviceStatus::Inactive, None)
    );
    let unknown_device = DeviceId::from_uuid(Uuid::new_v4());
    assert!(
        !store
            .revoke_device(organization, unknown_device, START, audit())
            .await
            .expect("the read succeeds")
    );
}

pub(crate) async fn a_rotated_token_replaces_the_old_one_and_keeps_the_session(fixture: Fixture) {
    let (store, organization, device) = (&fixture.store, fixture.organization, fixture.main_session.device);
    let old = token(&format!("{organization} scanner-1"));
    let rotated = store
        .rotate_device_token(organization, device, &token("new"), after(1), audit())
        .await;
    assert!(matches!(rotated, Ok(PutOutcome::Replaced(_))), "{rotated:?}");
    assert_eq!(
        store.find_device_by_token(&old).await.expect("the read succeeds"),
        None
    );
    let authenticated = store
        .find_device_by_token(&token("new"))
        .await
        .expect("the read succeeds")
        .expect("the token is known");
    assert_eq!(authenticated.device.id, device);
    assert_eq!(
        authenticated
            .active_session
            .map(|active_session| active_session.session.id),
        Some(fixture.main_session.id)
    );
    assert_eq!(
        store.api_key(&token("new")).await.expect("the read succeeds"),
        None,
        "a device token is not an API key"
    );
    let unknown_device = DeviceId::from_uuid(Uuid::new_v4());
    let missing = store
        .rotate_device_token(organization, unknown_device, &token("other"), START, audit())
        .await;
    assert_eq!(missing.expect("the read succeeds"), PutOutcome::Missing);
}

pub(crate) async fn a_device_label_is_unique_in_its_organization(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    let register = serde_json::from_str(r#"{"device_id":"scanner-1","name":"Again"}"#).expect("a device");
    let id = DeviceId::from_uuid(Uuid::new_v4());
    let put = store
        .register_device(organization, id, &register, &token("again"), START, audit())
        .await;
    assert!(matches!(put, Ok(PutOutcome::Conflict(_))), "{put:?}");
    assert_eq!(
        store
            .find_device_by_token(&token("again"))
            .await
            .expect("the read succeeds"),
        None
    );
    let other = fixture.another().await;
    assert_ne!(
        other.main_session.device, fixture.main_session.device,
        "labels of other organizations do not conflict"
    );
}

pub(crate) async fn devices_are_marked_as_seen_at_their_latest_call(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    let (main, side) = (fixture.main_session.device, fixture.side_session.device);
    for seen in [
        [(main, after(5)), (side, after(7))],
        [(main, after(6)), (side, after(6))],
    ] {
        let mut marked = store
            .mark_devices_seen(organization, &seen)
            .await
            .expect("the write succeeds");
        marked.sort_unstable();
        let mut devices = [main, side];
        devices.sort_unstable();
        assert_eq!(marked, devices);
    }
    for (device, seconds) in [(main, 6), (side, 7)] {
        let device = store.device(organization, device).await;
        let device = device.expect("it is read").expect("it exists");
        assert_eq!(device.last_seen_at, Some(after(seconds)));
    }
}

pub(crate) async fn a_device_reports_its_health(fixture: Fixture) {
    let (store, organization, device) = (&fixture.store, fixture.organization, fixture.main_session.device);
    let health = r#"{"app":{"name":"Gate","version":"1.2","platform":"android"},"battery":0.25,"waiting":7}"#;
    let health = serde_json::from_str(health).expect("health");
    let updated = store
        .report_device(organization, device, Some(&health), after(4))
        .await
        .expect("the write succeeds")
        .expect("it exists");
    assert_eq!(
        (updated.battery, updated.waiting, updated.last_seen_at),
        (Some(0.25), Some(7), Some(after(4)))
    );
    assert_eq!(updated.app, health.app);
    let seen = store
        .report_device(organization, device, None, after(5))
        .await
        .expect("the write succeeds")
        .expect("it exists");
    assert_eq!((seen.battery, seen.last_seen_at), (Some(0.25), Some(after(5))));
    assert_eq!(
        store
            .device(organization, device)
            .await
            .expect("the read succeeds"),
        Some(seen)
    );
    let unknown_device = DeviceId::from_uuid(Uuid::new_v4());
    assert_eq!(
        store
            .report_device(organization, unknown_device, None, START)
            .await
            .expect("the read succeeds"),
        None
    );
}

pub(crate) async fn lists_of_devices_and_sessions_apply_every_filter(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    let idle = register(&**store, organization, "idle").await;
    store
        .revoke_device(organization, idle.id, START, audit())
        .await
        .expect("the device is revoked");
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
    let restart = start(fixture.event, fixture.side_gate, true);
    let third = new_session();
    store
        .start_session(
            organization,
            fixture.main_session.device,
            third,
            &restart,
            after(60),
        )
        .await
        .expect("the session started");
    let ids = async |device, event, status| {
        let page = store
            .sessions(organization, device, event, status, &ALL)
            .await
            .expect("sessions");
        page.data.iter().map(|session| session.id).collect::<Vec<_>>()
    };
    assert_eq!(
        ids(Some(fixture.main_session.device), None, None).await,
        [third, fixture.main_session.id],
        "newest first"
    );
    assert_eq!(
        ids(
            Some(fixture.main_session.device),
            None,
            Some(SessionStatus::Ended)
        )
        .await,
        [fixture.main_session.id]
    );
    assert_eq!(ids(None, Some(fixture.event), None).await.len(), 3);
    assert_eq!(
        ids(None, Some(EventId::from_uuid(Uuid::new_v4())), None).await,
        []
    );
}

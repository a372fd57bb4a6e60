//! What does one organization see of another? Nothing.

use voelgoed_scan_core::model::{
    ApiKey, ApiKeyId, Attempt, KeyFormat, KeyId, KeyStatus, Reason, Recorded, Role, SessionId, SessionStart,
    SettableStatus, SigningKey,
};
use voelgoed_scan_core::store::{ImportOutcome, Order, PutOutcome, ScanFilter, StartOutcome, UndoPermission};

use crate::attempts::entry;
use crate::world::{ALL, RULES, START, World, after, live, name, numbered, open_gate, token, why};

#[expect(
    clippy::too_many_lines,
    reason = "every method of the store, one after the other"
)]
pub(crate) async fn another_organization_s_ids_are_unknown_ids(world: World) {
    let store = &world.store;
    let code = world.ticket("{}").await;
    let scan = world.decided(entry(&world.post, code, 0)).await.record.scan_id;
    let key = SigningKey {
        format: KeyFormat::Vg1,
        kid: KeyId::FIRST,
        status: KeyStatus::Active,
        public_key: None,
        inserted_at: START,
    };
    store
        .add_signing_key(world.organization, &key)
        .await
        .expect("written");
    let api_key = ApiKey {
        id: ApiKeyId::from_uuid(uuid::Uuid::new_v4()),
        organization_id: world.organization,
        name: name("Key"),
        role: Role::Owner,
        inserted_at: START,
    };
    store
        .create_api_key(&api_key, &token("key"))
        .await
        .expect("written");
    let own_trail = world.trail().await;

    let other = world.another().await;
    let o = other.organization;
    let (event, gate, device, session) = (world.event, world.main, world.post.device, world.post.session);
    assert_eq!(store.event(o, event).await.expect("read"), None);
    assert_eq!(store.gate(o, event, gate).await.expect("read"), None);
    assert_eq!(store.gates(o, event, &ALL).await.expect("read").data, []);
    assert_eq!(store.events(o, &ALL).await.expect("read").data.len(), 1);
    assert_eq!(
        store
            .put_gate(o, event, gate, &open_gate("Main"), START)
            .await
            .expect("read"),
        PutOutcome::Missing
    );
    assert_eq!(store.device(o, device).await.expect("read"), None);
    assert_eq!(
        store.devices(o, None, None, &ALL).await.expect("read").data.len(),
        2
    );
    let patch = serde_json::from_str(r#"{"status":"inactive"}"#).expect("a patch");
    assert_eq!(
        store.patch_device(o, device, &patch, START).await.expect("read"),
        PutOutcome::Missing
    );
    assert_eq!(
        store
            .rotate_device_token(o, device, &token("x"), START)
            .await
            .expect("read"),
        PutOutcome::Missing
    );
    assert_eq!(
        store.report_device(o, device, None, START).await.expect("read"),
        None
    );
    assert!(!store.revoke_device(o, device, START).await.expect("read"));
    assert_eq!(store.session(o, session).await.expect("read"), None);
    assert_eq!(store.end_session(o, session, START).await.expect("read"), None);
    assert_eq!(
        store
            .sessions(o, None, None, None, &ALL)
            .await
            .expect("read")
            .data
            .len(),
        2
    );
    assert_eq!(
        store
            .sessions(o, Some(device), None, None, &ALL)
            .await
            .expect("read")
            .data,
        []
    );
    let start = SessionStart {
        event_id: event,
        gate_id: gate,
        replace: true,
    };
    let id = SessionId::from_uuid(uuid::Uuid::new_v4());
    let started = store.start_session(o, other.post.device, id, &start, START).await;
    assert_eq!(started.expect("read"), StartOutcome::Missing);
    let started = store.start_session(o, device, id, &start, START).await;
    assert_eq!(started.expect("read"), StartOutcome::DeviceInactive);
    assert_eq!(store.signing_keys(o).await.expect("read"), []);
    let set = store
        .set_signing_key_status(o, KeyFormat::Vg1, KeyId::FIRST, KeyStatus::Revoked)
        .await;
    assert_eq!(set.expect("read"), PutOutcome::Missing);
    assert_eq!(store.api_keys(o, &ALL).await.expect("read").data, []);
    assert!(!store.delete_api_key(o, api_key.id).await.expect("read"));
    assert_eq!(
        store
            .import(o, event, &numbered(&["{}"]), START)
            .await
            .expect("read"),
        None
    );
    assert_eq!(store.ticket(o, event, code).await.expect("read"), None);
    assert_eq!(store.ticket(o, other.event, code).await.expect("read"), None);
    assert_eq!(
        store
            .tickets(o, event, None, None, &ALL)
            .await
            .expect("read")
            .data,
        []
    );
    assert_eq!(
        store
            .set_ticket_status(o, event, code, SettableStatus::Used, START)
            .await
            .expect("read"),
        None
    );
    assert_eq!(store.find_scan_for_retry(o, scan).await.expect("read"), None);
    assert_eq!(
        store
            .undo(o, scan, UndoPermission::Member, &why("x"), START, &RULES)
            .await
            .expect("read"),
        None
    );
    let mine = ScanFilter {
        event_id: Some(event),
        ..ScanFilter::default()
    };
    for filter in [ScanFilter::default(), mine] {
        assert_eq!(
            store
                .scans(o, &filter, Order::Oldest, &ALL)
                .await
                .expect("read")
                .data,
            []
        );
    }
    assert_eq!(store.occupancy(o, event, START).await.expect("read"), None);
    let by_session = Attempt {
        organization_id: o,
        ..entry(&world.post, code, 1)
    };
    assert_eq!(other.one(by_session).await, Recorded::NoActiveSession);
    assert_eq!(other.enter(code, 1).await, Reason::TicketNotFound, "never named");

    assert_eq!(
        world.trail().await,
        own_trail,
        "nothing of all this touched the first"
    );
    assert_eq!(store.signing_keys(world.organization).await.expect("read"), [key]);
    assert_eq!(store.api_key(&token("key")).await.expect("read"), Some(api_key));
    assert_eq!(world.enter(code, 2).await, Reason::AlreadyScanned);
}

pub(crate) async fn two_organizations_may_use_the_same_ids(world: World) {
    let other = world.another().await;
    let (store, o) = (&world.store, other.organization);
    assert!(matches!(
        store.put_event(o, world.event, &live(), START).await,
        Ok(PutOutcome::Created(_))
    ));
    let gate = store
        .put_gate(o, world.event, world.main, &open_gate("Main"), START)
        .await;
    assert!(matches!(gate, Ok(PutOutcome::Created(_))), "{gate:?}");
    let line = r#"{"code":"3KQR7F924M1XaB0z","id":"0192f0c1-7a4e-7000-8000-000000000001"}"#;
    for outcome in [world.import(&[line]).await, other.import(&[line]).await] {
        assert!(
            matches!(outcome[..], [ImportOutcome::Inserted(..)]),
            "{outcome:?}"
        );
    }
    let code = "3KQR7F924M1XaB0z".parse().expect("a code");
    let here = entry(&world.post, code, 0);
    let there = Attempt {
        scan_id: here.scan_id,
        ..entry(&other.post, code, 0)
    };
    let scan = here.scan_id;
    let recorded = world.record(&[here, there]).await;
    assert_eq!(
        crate::attempts::reasons(&recorded),
        [Reason::Admitted, Reason::Admitted],
        "in one batch"
    );
    world.undo(scan, UndoPermission::Member, 1).await;
    assert_eq!(world.facts(code).await.ticket.scan_count, 0);
    assert_eq!(other.facts(code).await.ticket.scan_count, 1);
    assert_eq!(
        (world.inside().await, other.inside().await),
        ((0, 0, 0), (1, 0, 1))
    );
    assert_eq!(other.trail().await[0].undone, None);
    store
        .revoke_device(o, other.post.device, after(2))
        .await
        .expect("revoked");
    assert_eq!(world.enter(code, 3).await, Reason::Admitted);
}

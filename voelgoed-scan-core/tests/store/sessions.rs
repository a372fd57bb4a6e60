//! Where does a device stand, and since when?

use std::sync::Arc;

use uuid::Uuid;
use voelgoed_scan_core::model::{
    Attempt, DeviceId, EventId, GateId, Recorded, SessionId, SessionStart, SessionStatus,
};
use voelgoed_scan_core::store::StartOutcome;

use crate::attempts::entry;
use crate::authentication::patch;
use crate::world::{START, World, after, live, put_event, put_gate, register, token};

pub(crate) fn new_session() -> SessionId {
    SessionId::from_uuid(Uuid::new_v4())
}

pub(crate) fn start(event: EventId, gate: GateId, replace: bool) -> SessionStart {
    SessionStart {
        event_id: event,
        gate_id: gate,
        replace,
    }
}

pub(crate) async fn of_24_starts_at_once_one_session_is_active(world: World) {
    let device = register(&*world.store, world.organization, "new").await.id;
    let calls: Vec<_> = (0..24)
        .map(|_| {
            let (store, organization) = (Arc::clone(&world.store), world.organization);
            let start = start(world.event, world.main, false);
            tokio::spawn(async move {
                store
                    .start_session(organization, device, new_session(), &start, START)
                    .await
            })
        })
        .collect();
    let (mut started, mut told) = (Vec::new(), Vec::new());
    for call in calls {
        match call
            .await
            .expect("the call ends")
            .expect("the session is written")
        {
            StartOutcome::Started(session) => started.push(session.id),
            StartOutcome::AlreadyActive(session) => told.push(session),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((started.len(), told.len()), (1, 23));
    assert!(told.iter().all(|session| *session == started[0]));
}

pub(crate) async fn a_session_that_replaces_ends_the_one_before(world: World) {
    let start = start(world.event, world.side, true);
    let id = new_session();
    let outcome = world
        .store
        .start_session(world.organization, world.post.device, id, &start, after(9))
        .await;
    let StartOutcome::Started(session) = outcome.expect("the session is written") else {
        panic!("not started")
    };
    assert_eq!(
        (session.id, session.gate_id, session.started_at),
        (id, world.side, after(9))
    );
    let old = world
        .store
        .session(world.organization, world.post.session)
        .await
        .expect("read")
        .expect("there");
    assert_eq!((old.status, old.ended_at), (SessionStatus::Ended, Some(after(9))));
    let code = world.ticket("{}").await;
    assert_eq!(
        world.one(entry(&world.post, code, 10)).await,
        Recorded::NoActiveSession
    );
    let authenticated = world
        .store
        .find_device_by_token(&token(&format!("{} scanner-1", world.organization)))
        .await;
    let active_session = authenticated
        .expect("read")
        .expect("known")
        .active_session
        .expect("it stands");
    assert_eq!(
        (
            active_session.session.id,
            active_session.gate.id,
            active_session.event.id
        ),
        (id, world.side, world.event)
    );
}

pub(crate) async fn a_session_needs_a_gate_of_its_event_and_an_active_device(world: World) {
    let (store, organization) = (&world.store, world.organization);
    let device = register(&**store, organization, "new").await.id;
    let other_event = put_event(&**store, organization, &live()).await;
    let other_gate = put_gate(
        &**store,
        organization,
        other_event,
        &crate::world::open_gate("Other"),
    )
    .await;
    let nowhere = EventId::from_uuid(Uuid::new_v4());
    for (event, gate) in [
        (world.event, other_gate),
        (other_event, world.main),
        (nowhere, world.main),
    ] {
        let start = start(event, gate, false);
        let outcome = store
            .start_session(organization, device, new_session(), &start, START)
            .await;
        assert_eq!(outcome.expect("read"), StartOutcome::Missing);
    }
    store
        .patch_device(organization, device, &patch(r#"{"status":"inactive"}"#), START)
        .await
        .expect("patched");
    let stranger = DeviceId::from_uuid(Uuid::new_v4());
    for device in [device, stranger] {
        let start = start(world.event, world.main, false);
        let outcome = store
            .start_session(organization, device, new_session(), &start, START)
            .await;
        assert_eq!(outcome.expect("read"), StartOutcome::DeviceInactive);
    }
}

pub(crate) async fn an_ended_session_records_nothing_and_stays_ended(world: World) {
    let code = world.ticket("{}").await;
    let session = world.post.session;
    let end = async |seconds| {
        let ended = world
            .store
            .end_session(world.organization, session, after(seconds))
            .await;
        ended.expect("the end is written").expect("the session is there")
    };
    let ended = end(5).await;
    assert_eq!(
        (ended.status, ended.ended_at),
        (SessionStatus::Ended, Some(after(5)))
    );
    assert_eq!(end(6).await, ended);
    assert_eq!(
        world.one(entry(&world.post, code, 7)).await,
        Recorded::NoActiveSession
    );
    let nowhere = Attempt {
        session_id: new_session(),
        ..entry(&world.post, code, 7)
    };
    assert_eq!(world.one(nowhere).await, Recorded::NoActiveSession);
    assert_eq!(world.trail().await, []);
    let missing = world
        .store
        .end_session(world.organization, new_session(), START)
        .await;
    assert_eq!(missing.expect("read"), None);
}

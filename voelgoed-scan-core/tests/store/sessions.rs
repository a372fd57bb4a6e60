//! Sessions: a device has at most one active session, at one gate of one event.

use std::sync::Arc;

use uuid::Uuid;
use voelgoed_scan_core::model::{
    Attempt, DeviceId, EventId, GateId, Recorded, ScannedBy, SessionId, SessionStart, SessionStatus,
};
use voelgoed_scan_core::store::StartOutcome;

use crate::attempts::entry;
use crate::authentication::patch;
use crate::fixture::{Fixture, START, after, audit, live, put_event, put_gate, register, token};

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

pub(crate) async fn of_24_concurrent_starts_one_session_becomes_active(fixture: Fixture) {
    let device = register(&*fixture.store, fixture.organization, "new").await.id;
    let calls: Vec<_> = (0..24)
        .map(|_| {
            let (store, organization) = (Arc::clone(&fixture.store), fixture.organization);
            let start = start(fixture.event, fixture.main_gate, false);
            tokio::spawn(async move {
                store
                    .start_session(organization, device, new_session(), &start, START)
                    .await
            })
        })
        .collect();
    let (mut started, mut already_active) = (Vec::new(), Vec::new());
    for call in calls {
        match call
            .await
            .expect("the task completes")
            .expect("the session is written")
        {
            StartOutcome::Started(session) => started.push(session.id),
            StartOutcome::AlreadyActive(session) => already_active.push(session),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((started.len(), already_active.len()), (1, 23));
    assert!(already_active.iter().all(|session| *session == started[0]));
}

pub(crate) async fn a_replacing_session_ends_the_previous_one(fixture: Fixture) {
    let start = start(fixture.event, fixture.side_gate, true);
    let id = new_session();
    let outcome = fixture
        .store
        .start_session(
            fixture.organization,
            fixture.main_session.device,
            id,
            &start,
            after(9),
        )
        .await;
    let StartOutcome::Started(session) = outcome.expect("the session is written") else {
        panic!("not started")
    };
    assert_eq!(
        (session.id, session.gate_id, session.started_at),
        (id, fixture.side_gate, after(9))
    );
    let previous = fixture
        .store
        .session(fixture.organization, fixture.main_session.id)
        .await
        .expect("the read succeeds")
        .expect("it exists");
    assert_eq!(
        (previous.status, previous.ended_at),
        (SessionStatus::Ended, Some(after(9)))
    );
    let code = fixture.ticket("{}").await;
    assert_eq!(
        fixture.record_one(entry(&fixture.main_session, code, 10)).await,
        Recorded::NoActiveSession
    );
    let authenticated = fixture
        .store
        .find_device_by_token(&token(&format!("{} scanner-1", fixture.organization)))
        .await;
    let active_session = authenticated
        .expect("the read succeeds")
        .expect("the token is known")
        .active_session
        .expect("the device has an active session");
    assert_eq!(
        (
            active_session.session.id,
            active_session.gate.id,
            active_session.event.id
        ),
        (id, fixture.side_gate, fixture.event)
    );
}

pub(crate) async fn a_session_needs_a_gate_of_its_event_and_an_active_device(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    let device = register(&**store, organization, "new").await.id;
    let other_event = put_event(&**store, organization, &live()).await;
    let other_gate = put_gate(
        &**store,
        organization,
        other_event,
        &crate::fixture::open_gate("Other"),
    )
    .await;
    let unknown_event = EventId::from_uuid(Uuid::new_v4());
    for (event, gate) in [
        (fixture.event, other_gate),
        (other_event, fixture.main_gate),
        (unknown_event, fixture.main_gate),
    ] {
        let start = start(event, gate, false);
        let outcome = store
            .start_session(organization, device, new_session(), &start, START)
            .await;
        assert_eq!(outcome.expect("the read succeeds"), StartOutcome::Missing);
    }
    store
        .patch_device(
            organization,
            device,
            &patch(r#"{"status":"inactive"}"#),
            START,
            audit(),
        )
        .await
        .expect("the device is changed");
    let unknown_device = DeviceId::from_uuid(Uuid::new_v4());
    for device in [device, unknown_device] {
        let start = start(fixture.event, fixture.main_gate, false);
        let outcome = store
            .start_session(organization, device, new_session(), &start, START)
            .await;
        assert_eq!(outcome.expect("the read succeeds"), StartOutcome::DeviceInactive);
    }
}

pub(crate) async fn an_ended_session_records_nothing_and_stays_ended(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let session = fixture.main_session.id;
    let end = async |seconds| {
        let ended = fixture
            .store
            .end_session(fixture.organization, session, after(seconds), None)
            .await;
        ended.expect("the end is written").expect("the session exists")
    };
    let ended = end(5).await;
    assert_eq!(
        (ended.status, ended.ended_at),
        (SessionStatus::Ended, Some(after(5)))
    );
    assert_eq!(end(6).await, ended);
    assert_eq!(
        fixture.record_one(entry(&fixture.main_session, code, 7)).await,
        Recorded::NoActiveSession
    );
    let unknown_session = Attempt {
        scanned_by: ScannedBy::Device {
            id: fixture.main_session.device,
            session_id: new_session(),
        },
        ..entry(&fixture.main_session, code, 7)
    };
    assert_eq!(
        fixture.record_one(unknown_session).await,
        Recorded::NoActiveSession
    );
    assert_eq!(fixture.audit_trail().await, []);
    let missing = fixture
        .store
        .end_session(fixture.organization, new_session(), START, None)
        .await;
    assert_eq!(missing.expect("the read succeeds"), None);
}

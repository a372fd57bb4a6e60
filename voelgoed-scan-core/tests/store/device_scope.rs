//! The scope of a device: at a session's start, at a scan on every path, and at an upload by the time of the scan.

use voelgoed_scan_core::model::{DeviceScope, Reason, Recorded, SessionId, SessionStart};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::store::{AcceptOutcome, Acceptance, PutOutcome, StartOutcome};
use voelgoed_scan_core::sync::SyncStatus;

use crate::attempts::entry;
use crate::fixture::{Fixture, RULES, after, audit, reason_text, with_identities};
use crate::sync::{item, outcome_of, scan, sync_batch};

impl Fixture {
    /// Replaces the scope of the main device `seconds` after the start.
    async fn set_scope(&self, scope: DeviceScope, seconds: i64) {
        let patch = voelgoed_scan_core::model::DevicePatch {
            scope: Some(scope.clone()),
            ..Default::default()
        };
        let (organization, device) = (self.organization, self.main_session.device);
        let put = self
            .store
            .patch_device(organization, device, &patch, after(seconds), audit())
            .await;
        match put {
            Ok(PutOutcome::Replaced(device)) => assert_eq!(device.scope, scope),
            other => panic!("{other:?}"),
        }
    }

    /// The scope that contains the gate of the side session alone.
    fn elsewhere(&self) -> DeviceScope {
        DeviceScope {
            event_ids: None,
            gate_ids: Some(vec![self.side_session.gate]),
        }
    }
}

pub(crate) async fn a_scan_outside_the_scope_records_nothing_on_every_path(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let session = fixture.main_session;
    let other_event = DeviceScope {
        event_ids: Some(vec![]),
        gate_ids: None,
    };
    for (seconds, scope) in [(1, fixture.elsewhere()), (2, other_event)] {
        // The cached identity is from before the change, from after it, or there is none.
        let before = with_identities(&*fixture.store, &[entry(&session, code, seconds)]).await;
        fixture.set_scope(scope, seconds).await;
        for attempt in before
            .into_iter()
            .chain(with_identities(&*fixture.store, &[entry(&session, code, seconds)]).await)
            .chain([entry(&session, code, seconds)])
        {
            let dry = fixture.store.dry_run(&attempt, &RULES).await;
            assert_eq!(dry.expect("the read succeeds"), Recorded::OutOfScope);
            let recorded = fixture.store.record(&[attempt], &RULES).await;
            assert_eq!(recorded.expect("a result"), [Recorded::OutOfScope]);
        }
        fixture.set_scope(DeviceScope::default(), seconds).await;
    }
    assert_eq!(
        (fixture.inside().await.2, fixture.audit_trail().await.len()),
        (0, 0)
    );
    let inside = DeviceScope {
        event_ids: Some(vec![session.event]),
        gate_ids: Some(vec![session.gate]),
    };
    fixture.set_scope(inside, 3).await;
    assert_eq!(fixture.enter(code, 4).await, Reason::Admitted);
    // A known scan outranks the scope.
    let known = entry(&session, fixture.ticket("{}").await, 5);
    assert_eq!(fixture.reason(known.clone()).await, Reason::Admitted);
    fixture.set_scope(fixture.elsewhere(), 6).await;
    match fixture.record_one(known).await {
        Recorded::Replayed(answer) => assert_eq!(answer.reason, Reason::Admitted),
        other => panic!("{other:?}"),
    }
    let new = entry(&session, fixture.ticket("{}").await, 7);
    assert_eq!(fixture.record_one(new).await, Recorded::OutOfScope);
}

pub(crate) async fn a_session_begins_only_inside_the_scope(fixture: Fixture) {
    let session = fixture.main_session;
    fixture.set_scope(fixture.elsewhere(), 1).await;
    let start = async |gate, replace| {
        let start = SessionStart {
            event_id: session.event,
            gate_id: gate,
            replace,
        };
        let id = SessionId::generate(after(2));
        let outcome = fixture
            .store
            .start_session(session.organization, session.device, id, &start, after(2))
            .await;
        outcome.expect("the write succeeds")
    };
    // 404 comes before 403, and 403 before 409.
    let unknown = uuid::Uuid::from_u128(1).into();
    assert_eq!(start(unknown, false).await, StartOutcome::Missing);
    for replace in [false, true] {
        assert_eq!(start(session.gate, replace).await, StartOutcome::OutOfScope);
    }
    let present = fixture.store.session(session.organization, session.id).await;
    let present = present.expect("the read succeeds").expect("the session");
    assert_eq!(present.ended_at, None, "a refused start replaces nothing");
    let gate = fixture.side_session.gate;
    assert_eq!(start(gate, false).await, StartOutcome::AlreadyActive(session.id));
    assert!(matches!(start(gate, true).await, StartOutcome::Started(_)));
}

pub(crate) async fn an_uploaded_scan_is_judged_by_the_scope_at_its_time(fixture: Fixture) {
    let session = fixture.main_session;
    let nowhere = DeviceScope {
        event_ids: None,
        gate_ids: Some(vec![]),
    };
    // Anywhere until 100 s, elsewhere until 200 s, then anywhere, from 300 s on nowhere.
    fixture.set_scope(fixture.elsewhere(), 100).await;
    fixture.set_scope(nowhere.clone(), 200).await;
    // The clock of the node that makes this change is behind: the scope before never held.
    fixture.set_scope(DeviceScope::default(), 150).await;
    fixture.set_scope(nowhere, 300).await;
    let expected = [
        (0, true),
        (99, true),
        (100, false),
        (199, false),
        (200, true),
        (299, true),
        (300, false),
        (3600, false),
    ];
    let mut scans = Vec::new();
    for (seconds, is_inside) in expected {
        let code = fixture.ticket("{}").await;
        scans.push((scan(&session, code, seconds), code, is_inside));
    }
    let items = || {
        let item =
            |(scan, code, _): &(_, _, _)| item(voelgoed_scan_core::sync::SyncScan::clone(scan), Some(*code));
        scans.iter().map(item).collect::<Vec<_>>()
    };
    for recorded in [SyncStatus::Recorded, SyncStatus::Replayed] {
        let outcome = fixture.ingest(&sync_batch(&session, items(), 3600)).await;
        for (result, (scan, _, is_inside)) in outcome.results.iter().zip(&scans) {
            let expected = if *is_inside {
                (recorded, Some(Reason::Admitted), None)
            } else {
                (SyncStatus::Quarantined, None, None)
            };
            assert_eq!(outcome_of(result), expected, "{:?}", scan.scanned_at);
        }
    }
    assert_eq!(fixture.inside().await.2, 4, "a quarantined scan admits nobody");
    let conflicts = fixture.conflicts().await;
    assert_eq!(conflicts.len(), 4);
    assert!(conflicts.iter().all(|one| one.kind == ConflictKind::Unverified));

    // Acceptance records the scan wherever the device may work.
    let (outside, _, _) = scans.iter().find(|(_, _, is_inside)| !is_inside).expect("one");
    let acceptance = Acceptance {
        reason: reason_text("the steward stood in for another"),
        api_key_id: uuid::Uuid::from_u128(7).into(),
        at: after(4000),
    };
    for _ in 0..2 {
        let accepted = fixture
            .store
            .accept(
                fixture.organization,
                outside.scan_id,
                &acceptance,
                &RULES,
                audit(),
            )
            .await;
        match accepted.expect("the write succeeds") {
            Some(AcceptOutcome::Accepted { record, .. }) => {
                assert_eq!((record.reason, record.scanned_at), (Reason::Admitted, after(100)));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fixture.inside().await.2, 5);
    let outcome = fixture.ingest(&sync_batch(&session, items(), 5000)).await;
    let replayed = outcome
        .results
        .iter()
        .filter(|one| one.status == SyncStatus::Replayed)
        .count();
    assert_eq!(replayed, 5);
}

pub(crate) async fn a_quarantined_scan_is_judged_by_the_time_that_its_first_arrival_fixed(fixture: Fixture) {
    let session = fixture.main_session;
    fixture.set_scope(fixture.elsewhere(), 100).await;
    let code = fixture.ticket("{}").await;
    let mut late = scan(&session, code, 100);
    late.age_ms = Some(3_500_000);
    let first = fixture
        .ingest(&sync_batch(&session, vec![item(late.clone(), Some(code))], 3600))
        .await;
    assert_eq!(
        outcome_of(&first.results[0]),
        (SyncStatus::Quarantined, None, None)
    );
    // The transfer was faster: by its age alone the scan would be of a time inside the scope.
    late.age_ms = Some(3_500_001);
    let again = fixture
        .ingest(&sync_batch(&session, vec![item(late, Some(code))], 3600))
        .await;
    assert_eq!(
        outcome_of(&again.results[0]),
        (SyncStatus::Quarantined, None, None)
    );
    assert_eq!(fixture.inside().await.2, 0);
}

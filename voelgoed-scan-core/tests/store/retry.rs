//! Retries: a `scan_id` that is sent again gets the first answer. Also previews and the records of denials.

use std::sync::Arc;

use voelgoed_scan_core::model::{
    Attempt, DecidedBy, Denial, Direction, Reason, Recorded, ScanAnswer, ScannedBy, TicketCode, Verification,
};
use voelgoed_scan_core::rules::NewScan;
use voelgoed_scan_core::store::UndoPermission;
use voelgoed_scan_core::token::payload_sha256;

use crate::attempts::{entry, exit, overriding_entry};
use crate::fixture::{ALL, Fixture, RULES, with_identities};

fn replayed(recorded: Recorded) -> ScanAnswer {
    match recorded {
        Recorded::Replayed(answer) => *answer,
        other => panic!("not replayed: {other:?}"),
    }
}

/// The answer without the fields that a replay may change: the flag itself and the current occupancy.
fn without_replay_fields(answer: &ScanAnswer) -> ScanAnswer {
    ScanAnswer {
        replayed: false,
        occupancy: voelgoed_scan_core::model::Occupancy::default(),
        ..answer.clone()
    }
}

pub(crate) async fn a_repeated_scan_id_gets_the_first_answer(fixture: Fixture) {
    let code = fixture
        .ticket(r#"{"note":"VIP lounge","ticket_class":"VIP"}"#)
        .await;
    let mut scan = entry(&fixture.main_session, code, 0);
    scan.warnings = vec![voelgoed_scan_core::model::Warning::ClockSkew];
    let duplicate = entry(&fixture.main_session, code, 5);
    for attempt in [scan, duplicate] {
        let first = fixture.decided(attempt.clone()).await.answer;
        let later = Attempt {
            now: crate::fixture::after(1000),
            ..attempt
        };
        let again = replayed(fixture.record_one(later).await);
        assert!(again.replayed);
        assert_eq!(without_replay_fields(&again), without_replay_fields(&first));
        assert_eq!(again.occupancy.event.inside, 1, "occupancy is current");
    }
    assert_eq!(fixture.audit_trail().await.len(), 2);
    assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 1);
}

pub(crate) async fn a_replay_takes_precedence_over_every_check(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let scan = entry(&fixture.main_session, code, 0);
    assert_eq!(fixture.reason(scan.clone()).await, Reason::Admitted);
    fixture
        .change_event(|event| event.status = voelgoed_scan_core::model::EventStatus::Ended)
        .await;
    fixture
        .store
        .end_session(
            fixture.organization,
            fixture.main_session.id,
            crate::fixture::after(1),
            None,
        )
        .await
        .expect("the session ended");
    assert_eq!(
        replayed(fixture.record_one(scan.clone()).await).reason,
        Reason::Admitted
    );
    let denied = Attempt {
        verification: denial(Reason::AlreadyScanned, DecidedBy::Memory),
        ..scan
    };
    assert_eq!(
        replayed(fixture.record_one(denied).await).reason,
        Reason::Admitted,
        "the cache was stale"
    );
}

pub(crate) async fn a_scan_id_is_bound_to_its_payload_direction_and_device(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let scan = entry(&fixture.main_session, code, 0);
    fixture.decided(scan.clone()).await;
    let mut payload = scan.clone();
    payload.fingerprint.sha256 = payload_sha256("another");
    let direction = Attempt {
        direction: Direction::Exit,
        ..scan.clone()
    };
    let device = Attempt {
        scanned_by: ScannedBy::Device {
            id: fixture.side_session.device,
            session_id: fixture.side_session.id,
        },
        gate_id: fixture.side_session.gate,
        ..scan.clone()
    };
    for attempt in [payload, direction, device] {
        assert_eq!(fixture.record_one(attempt).await, Recorded::ScanIdReused);
    }
    let mut same = scan;
    same.metadata = Some(serde_json::from_str(r#"{"lane":4}"#).expect("metadata"));
    same.override_ = overriding_entry(&fixture.main_session, code, 0).override_;
    assert!(
        replayed(fixture.record_one(same).await).replayed,
        "other fields are not compared"
    );
}

pub(crate) async fn the_id_of_an_undone_scan_answers_scan_undone(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let scan = entry(&fixture.main_session, code, 0);
    fixture.decided(scan.clone()).await;
    fixture.undo(scan.scan_id, UndoPermission::Member, 1).await;
    assert_eq!(fixture.record_one(scan).await, Recorded::ScanUndone);
}

pub(crate) async fn a_scan_id_repeated_in_a_batch_is_decided_once(fixture: Fixture) {
    let code = fixture.ticket(r#"{"entry_limit":2}"#).await;
    let scan = entry(&fixture.main_session, code, 0);
    let mut other = entry(&fixture.main_session, fixture.ticket("{}").await, 0);
    other.scan_id = scan.scan_id;
    let mut answers = fixture.record(&[scan.clone(), scan, other]).await.into_iter();
    let first = crate::attempts::decided(answers.next().expect("an answer")).answer;
    assert_eq!(
        without_replay_fields(&replayed(answers.next().expect("an answer"))),
        without_replay_fields(&first)
    );
    assert_eq!(answers.next(), Some(Recorded::ScanIdReused));
    assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 1);
}

pub(crate) async fn concurrent_calls_with_one_scan_id_get_one_decision(fixture: Fixture) {
    let code = fixture.ticket(r#"{"entry_limit":9}"#).await;
    let scan = entry(&fixture.main_session, code, 0);
    // Every batch has a second scan with a ticket of its own, so that the batches meet only at the scan id.
    let nodes = fixture.open_nodes().await;
    let scan = with_identities(&*fixture.store, &[scan]).await.remove(0);
    let calls: Vec<_> = (0..12)
        .map(|number| {
            let store = Arc::clone(&nodes[number % nodes.len()]);
            let batch = [
                scan.clone(),
                exit(&fixture.main_session, TicketCode::generate(), 0),
            ];
            tokio::spawn(async move {
                store
                    .record(&batch, &RULES)
                    .await
                    .expect("the batch is recorded")
                    .remove(0)
            })
        })
        .collect();
    let mut decided = 0;
    for call in calls {
        match call.await.expect("the task completes") {
            Recorded::Decided(_) => decided += 1,
            other => assert_eq!(replayed(other).reason, Reason::Admitted),
        }
    }
    assert_eq!(decided, 1);
    assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 1);
}

pub(crate) async fn a_recorded_scan_is_found_by_its_id(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let scan = entry(&fixture.main_session, code, 0);
    let id = scan.scan_id;
    let find = async || {
        fixture
            .store
            .find_scan_for_retry(fixture.organization, id)
            .await
            .expect("the read succeeds")
    };
    assert_eq!(find().await, None);
    let answer = fixture.decided(scan.clone()).await.answer;
    let found = find().await.expect("the scan is recorded");
    assert_eq!(found.payload_sha256, scan.fingerprint.sha256);
    assert_eq!(
        without_replay_fields(&found.answer),
        without_replay_fields(&answer)
    );
    assert!(!found.undone);
    fixture.undo(id, UndoPermission::Member, 1).await;
    assert!(find().await.expect("the scan is recorded").undone);
}

pub(crate) async fn a_preview_answers_and_writes_nothing(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    for _ in 0..2 {
        let preview = fixture
            .store
            .dry_run(&entry(&fixture.main_session, code, 0), &RULES)
            .await
            .expect("a preview");
        assert_eq!(crate::attempts::decided(preview).answer.reason, Reason::Admitted);
    }
    assert_eq!(fixture.audit_trail().await, []);
    assert_eq!(fixture.ticket_facts(code).await.version, 1);
    assert_eq!(fixture.inside().await, (0, 0, 0));
}

pub(crate) async fn every_denial_is_recorded(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let unknown = entry(&fixture.main_session, TicketCode::generate(), 0);
    assert_eq!(fixture.reason(unknown).await, Reason::TicketNotFound);
    let malformed = Attempt {
        verification: denial(Reason::Malformed, DecidedBy::Token),
        ..entry(&fixture.main_session, code, 1)
    };
    let decided = fixture.decided(malformed).await;
    assert_eq!(
        (decided.record.ticket_id, decided.record.ticket_code),
        (None, None)
    );
    fixture.enter(code, 2).await;
    fixture
        .store
        .end_session(
            fixture.organization,
            fixture.main_session.id,
            crate::fixture::after(3),
            None,
        )
        .await
        .expect("the session ended");
    let cached = Attempt {
        verification: denial(Reason::AlreadyScanned, DecidedBy::Memory),
        ..entry(&fixture.main_session, code, 3)
    };
    assert_eq!(
        fixture.reason(cached).await,
        Reason::AlreadyScanned,
        "answered before the session ended"
    );
    let reasons: Vec<_> = fixture
        .audit_trail()
        .await
        .iter()
        .map(|scan| (scan.reason, scan.decided_by))
        .collect();
    assert_eq!(
        reasons,
        [
            (Reason::AlreadyScanned, DecidedBy::Memory),
            (Reason::Admitted, DecidedBy::Database),
            (Reason::Malformed, DecidedBy::Token),
            (Reason::TicketNotFound, DecidedBy::Database),
        ]
    );
    let results = fixture.occupancy().await.results;
    assert_eq!(
        (results.valid, results.duplicate, results.invalid_token),
        (1, 1, 2)
    );
    let sessions = fixture
        .store
        .sessions(
            fixture.organization,
            Some(fixture.main_session.device),
            None,
            None,
            &ALL,
        )
        .await;
    assert_eq!(sessions.expect("sessions").data[0].scan_count, 4);
}

/// A denial that a cache answered is recorded as it was answered. A scan id that is on record already stays unchanged.
pub(crate) async fn a_cached_denial_is_recorded_once_as_it_was_answered(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let admitted = entry(&fixture.main_session, code, 0);
    let first = fixture.decided(admitted.clone()).await.answer;
    let attempts = [
        admitted,
        entry(&fixture.main_session, code, 1),
        entry(&fixture.side_session, code, 2),
    ];
    let denials: Vec<NewScan> = attempts
        .into_iter()
        .map(|attempt| NewScan::denied(attempt, cached_denial(code)))
        .collect();
    for denials in [&denials[..2], &denials[..], &[]] {
        fixture
            .store
            .record_denials(denials)
            .await
            .expect("the denials are recorded");
    }
    let trail = fixture.audit_trail().await;
    let recorded: Vec<_> = trail.iter().map(|scan| (scan.scan_id, scan.reason)).collect();
    assert_eq!(
        recorded,
        [
            (denials[2].record.scan_id, Reason::AlreadyScanned),
            (denials[1].record.scan_id, Reason::AlreadyScanned),
            (denials[0].record.scan_id, Reason::Admitted),
        ]
    );
    assert_eq!(trail[1], denials[1].record);
    let again = replayed(
        fixture
            .record_one(repeated_entry(&fixture.main_session, code, &denials[1]))
            .await,
    );
    assert_eq!(again.decided_by, DecidedBy::Memory);
    assert_eq!(again.gate.name, "Main");
    let again = replayed(
        fixture
            .record_one(repeated_entry(&fixture.main_session, code, &denials[0]))
            .await,
    );
    assert_eq!(without_replay_fields(&again), without_replay_fields(&first));
    let occupancy = fixture.occupancy().await;
    assert_eq!((occupancy.results.valid, occupancy.results.duplicate), (1, 2));
    assert_eq!(occupancy.event.inside, 1);
    let sessions = fixture
        .store
        .sessions(
            fixture.organization,
            Some(fixture.main_session.device),
            None,
            None,
            &ALL,
        )
        .await;
    assert_eq!(sessions.expect("sessions").data[0].scan_count, 2);
}

fn repeated_entry(session: &crate::fixture::TestSession, code: TicketCode, first: &NewScan) -> Attempt {
    Attempt {
        scan_id: first.record.scan_id,
        ..entry(session, code, 9)
    }
}

fn cached_denial(code: TicketCode) -> Denial {
    Denial {
        reason: Reason::AlreadyScanned,
        decided_by: DecidedBy::Memory,
        claims: Some(voelgoed_scan_core::model::Claims {
            ticket_code: Some(code),
            ..voelgoed_scan_core::model::Claims::default()
        }),
        ticket: None,
        previous_scan: None,
    }
}

fn denial(reason: Reason, decided_by: DecidedBy) -> Verification {
    Verification::Denied(Box::new(Denial {
        reason,
        decided_by,
        claims: None,
        ticket: None,
        previous_scan: None,
    }))
}

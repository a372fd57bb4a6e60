//! What does the same scan get when it comes again?

use std::sync::Arc;

use voelgoed_scan_core::model::{
    Attempt, DecidedBy, Denial, Direction, Reason, Recorded, ScanAnswer, TicketCode, Verification,
};
use voelgoed_scan_core::rules::NewScan;
use voelgoed_scan_core::store::UndoPermission;
use voelgoed_scan_core::token::payload_sha256;

use crate::attempts::{entry, exit, forced};
use crate::world::{ALL, RULES, World, informed};

fn replayed(recorded: Recorded) -> ScanAnswer {
    match recorded {
        Recorded::Replayed(answer) => *answer,
        other => panic!("not replayed: {other:?}"),
    }
}

/// The answer without what may be current in a replay.
fn first_of(answer: &ScanAnswer) -> ScanAnswer {
    ScanAnswer {
        replayed: false,
        occupancy: voelgoed_scan_core::model::Occupancy::default(),
        ..answer.clone()
    }
}

pub(crate) async fn a_scan_id_again_gets_the_first_answer(world: World) {
    let code = world
        .ticket(r#"{"note":"VIP lounge","ticket_class":"VIP"}"#)
        .await;
    let mut scan = entry(&world.post, code, 0);
    scan.warnings = vec![voelgoed_scan_core::model::Warning::ClockSkew];
    let duplicate = entry(&world.post, code, 5);
    for attempt in [scan, duplicate] {
        let first = world.decided(attempt.clone()).await.answer;
        let later = Attempt {
            now: crate::world::after(1000),
            ..attempt
        };
        let again = replayed(world.one(later).await);
        assert!(again.replayed);
        assert_eq!(first_of(&again), first_of(&first));
        assert_eq!(again.occupancy.event.inside, 1, "occupancy is current");
    }
    assert_eq!(world.trail().await.len(), 2);
    assert_eq!(world.facts(code).await.ticket.scan_count, 1);
}

pub(crate) async fn a_replay_outranks_every_check(world: World) {
    let code = world.ticket("{}").await;
    let scan = entry(&world.post, code, 0);
    assert_eq!(world.reason(scan.clone()).await, Reason::Admitted);
    world
        .change_event(|event| event.status = voelgoed_scan_core::model::EventStatus::Ended)
        .await;
    world
        .store
        .end_session(world.organization, world.post.session, crate::world::after(1))
        .await
        .expect("ended");
    assert_eq!(replayed(world.one(scan.clone()).await).reason, Reason::Admitted);
    let denied = Attempt {
        verification: denial(Reason::AlreadyScanned, DecidedBy::Memory),
        ..scan
    };
    assert_eq!(
        replayed(world.one(denied).await).reason,
        Reason::Admitted,
        "a tier knew less"
    );
}

pub(crate) async fn a_scan_id_names_one_payload_one_way_and_one_device(world: World) {
    let code = world.ticket("{}").await;
    let scan = entry(&world.post, code, 0);
    world.decided(scan.clone()).await;
    let mut payload = scan.clone();
    payload.fingerprint.sha256 = payload_sha256("another");
    let direction = Attempt {
        direction: Direction::Exit,
        ..scan.clone()
    };
    let device = Attempt {
        device_id: world.other_post.device,
        session_id: world.other_post.session,
        gate_id: world.other_post.gate,
        ..scan.clone()
    };
    for attempt in [payload, direction, device] {
        assert_eq!(world.one(attempt).await, Recorded::ScanIdReused);
    }
    let mut same = scan;
    same.metadata = Some(serde_json::from_str(r#"{"lane":4}"#).expect("metadata"));
    same.override_ = forced(&world.post, code, 0).override_;
    assert!(
        replayed(world.one(same).await).replayed,
        "nothing else is compared"
    );
}

pub(crate) async fn an_undone_scan_s_id_is_told(world: World) {
    let code = world.ticket("{}").await;
    let scan = entry(&world.post, code, 0);
    world.decided(scan.clone()).await;
    world.undo(scan.scan_id, UndoPermission::Member, 1).await;
    assert_eq!(world.one(scan).await, Recorded::ScanUndone);
}

pub(crate) async fn a_scan_id_twice_in_one_batch_is_decided_once(world: World) {
    let code = world.ticket(r#"{"entry_limit":2}"#).await;
    let scan = entry(&world.post, code, 0);
    let mut other = entry(&world.post, world.ticket("{}").await, 0);
    other.scan_id = scan.scan_id;
    let mut answers = world.record(&[scan.clone(), scan, other]).await.into_iter();
    let first = crate::attempts::decided(answers.next().expect("an answer")).answer;
    assert_eq!(
        first_of(&replayed(answers.next().expect("an answer"))),
        first_of(&first)
    );
    assert_eq!(answers.next(), Some(Recorded::ScanIdReused));
    assert_eq!(world.facts(code).await.ticket.scan_count, 1);
}

pub(crate) async fn calls_at_once_with_one_scan_id_get_one_decision(world: World) {
    let code = world.ticket(r#"{"entry_limit":9}"#).await;
    let scan = entry(&world.post, code, 0);
    // In batches of two whose other scans differ, so that no lock but the scan id's own brings them together.
    let nodes = world.nodes().await;
    let scan = informed(&*world.store, &[scan]).await.remove(0);
    let calls: Vec<_> = (0..12)
        .map(|number| {
            let store = Arc::clone(&nodes[number % nodes.len()]);
            let batch = [scan.clone(), exit(&world.post, TicketCode::generate(), 0)];
            tokio::spawn(async move { store.record(&batch, &RULES).await.expect("recorded").remove(0) })
        })
        .collect();
    let mut decided = 0;
    for call in calls {
        match call.await.expect("the call ends") {
            Recorded::Decided(_) => decided += 1,
            other => assert_eq!(replayed(other).reason, Reason::Admitted),
        }
    }
    assert_eq!(decided, 1);
    assert_eq!(world.facts(code).await.ticket.scan_count, 1);
}

pub(crate) async fn a_scan_is_known_by_its_id(world: World) {
    let code = world.ticket("{}").await;
    let scan = entry(&world.post, code, 0);
    let id = scan.scan_id;
    let known = async || {
        world
            .store
            .find_scan_for_retry(world.organization, id)
            .await
            .expect("read")
    };
    assert_eq!(known().await, None);
    let answer = world.decided(scan.clone()).await.answer;
    let found = known().await.expect("known");
    assert_eq!(found.payload_sha256, scan.fingerprint.sha256);
    assert_eq!(first_of(&found.answer), first_of(&answer));
    assert!(!found.undone);
    world.undo(id, UndoPermission::Member, 1).await;
    assert!(known().await.expect("known").undone);
}

pub(crate) async fn a_preview_answers_and_writes_nothing(world: World) {
    let code = world.ticket("{}").await;
    for _ in 0..2 {
        let preview = world
            .store
            .dry_run(&entry(&world.post, code, 0), &RULES)
            .await
            .expect("a preview");
        assert_eq!(crate::attempts::decided(preview).answer.reason, Reason::Admitted);
    }
    assert_eq!(world.trail().await, []);
    assert_eq!(world.facts(code).await.version, 1);
    assert_eq!(world.inside().await, (0, 0, 0));
}

pub(crate) async fn every_denial_leaves_a_record(world: World) {
    let code = world.ticket("{}").await;
    let unknown = entry(&world.post, TicketCode::generate(), 0);
    assert_eq!(world.reason(unknown).await, Reason::TicketNotFound);
    let malformed = Attempt {
        verification: denial(Reason::Malformed, DecidedBy::Token),
        ..entry(&world.post, code, 1)
    };
    let decided = world.decided(malformed).await;
    assert_eq!(
        (decided.record.ticket_id, decided.record.ticket_code),
        (None, None)
    );
    world.enter(code, 2).await;
    world
        .store
        .end_session(world.organization, world.post.session, crate::world::after(3))
        .await
        .expect("ended");
    let by_memory = Attempt {
        verification: denial(Reason::AlreadyScanned, DecidedBy::Memory),
        ..entry(&world.post, code, 3)
    };
    assert_eq!(
        world.reason(by_memory).await,
        Reason::AlreadyScanned,
        "answered before the session ended"
    );
    let reasons: Vec<_> = world
        .trail()
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
    let results = world.occupancy().await.results;
    assert_eq!(
        (results.valid, results.duplicate, results.invalid_token),
        (1, 1, 2)
    );
    let sessions = world
        .store
        .sessions(world.organization, Some(world.post.device), None, None, &ALL)
        .await;
    assert_eq!(sessions.expect("sessions").data[0].scan_count, 4);
}

/// What a tier answers is recorded as it was answered, once, whatever else came under its id.
pub(crate) async fn a_denial_is_noted_once_and_as_it_was_answered(world: World) {
    let code = world.ticket("{}").await;
    let admitted = entry(&world.post, code, 0);
    let first = world.decided(admitted.clone()).await.answer;
    let attempts = [
        admitted,
        entry(&world.post, code, 1),
        entry(&world.other_post, code, 2),
    ];
    let notes: Vec<NewScan> = attempts
        .into_iter()
        .map(|attempt| NewScan::denied(attempt, tier_s_denial(code)))
        .collect();
    for notes in [&notes[..2], &notes[..], &[]] {
        world.store.record_denials(notes).await.expect("noted");
    }
    let trail = world.trail().await;
    let told: Vec<_> = trail.iter().map(|scan| (scan.scan_id, scan.reason)).collect();
    assert_eq!(
        told,
        [
            (notes[2].record.scan_id, Reason::AlreadyScanned),
            (notes[1].record.scan_id, Reason::AlreadyScanned),
            (notes[0].record.scan_id, Reason::Admitted),
        ]
    );
    assert_eq!(trail[1], notes[1].record);
    let again = replayed(world.one(entry_again(&world.post, code, &notes[1])).await);
    assert_eq!(again.decided_by, DecidedBy::Memory);
    assert_eq!(again.gate.name, "Main");
    let again = replayed(world.one(entry_again(&world.post, code, &notes[0])).await);
    assert_eq!(first_of(&again), first_of(&first));
    let occupancy = world.occupancy().await;
    assert_eq!((occupancy.results.valid, occupancy.results.duplicate), (1, 2));
    assert_eq!(occupancy.event.inside, 1);
    let sessions = world
        .store
        .sessions(world.organization, Some(world.post.device), None, None, &ALL)
        .await;
    assert_eq!(sessions.expect("sessions").data[0].scan_count, 2);
}

fn entry_again(post: &crate::world::SessionFacts, code: TicketCode, note: &NewScan) -> Attempt {
    Attempt {
        scan_id: note.record.scan_id,
        ..entry(post, code, 9)
    }
}

fn tier_s_denial(code: TicketCode) -> Denial {
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

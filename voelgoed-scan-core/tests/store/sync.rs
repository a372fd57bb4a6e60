//! Scans that devices decided alone.

use std::collections::BTreeMap;

use uuid::Uuid;
use voelgoed_scan_core::model::{
    BatchId, Claims, Direction, Reading, Reason, Recorded, Reentry, ScanId, ScanResult, TicketCode,
    TicketStatus, Timestamp,
};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::store::{ConflictFilter, PageRequest, SyncOutcome, UndoPermission};
use voelgoed_scan_core::sync::{
    Conflict, DENIED_AT_GATE, LinkHash, SyncResult, SyncScan, SyncStatus, Upload, UploadBatch, UploadItem,
};

use crate::attempts::{entry, exit};
use crate::world::{ALL, RULES, SessionFacts, World, after};

/// A scan as a device tells it.
pub(crate) fn scan(post: &SessionFacts, code: TicketCode, seconds: i64) -> SyncScan {
    SyncScan {
        scan_id: ScanId::from_uuid(Uuid::new_v4()),
        reading: Reading::Qr(code.to_string()),
        gate_id: post.gate,
        direction: Direction::Entry,
        scanned_at: after(seconds),
        local_result: Some(ScanResult::Valid),
        local_reason: None,
        sequence: None,
        override_: None,
        metadata: None,
        prev_hash: None,
    }
}

pub(crate) fn item(scan: SyncScan, code: Option<TicketCode>) -> UploadItem {
    let fingerprint = entry(&PLACEHOLDER, code.unwrap_or_else(TicketCode::generate), 0).fingerprint;
    let claims = Claims {
        ticket_code: code,
        ..Claims::default()
    };
    UploadItem {
        scan_id: Some(scan.scan_id),
        sequence: scan.sequence,
        link: LinkHash::new([0; 32]),
        upload: Ok(Box::new(Upload {
            scan,
            fingerprint,
            claims: code.map(|_| claims).ok_or(Reason::BadSignature),
        })),
    }
}

const PLACEHOLDER: SessionFacts = SessionFacts {
    organization: voelgoed_scan_core::model::OrganizationId::from_uuid(Uuid::nil()),
    event: voelgoed_scan_core::model::EventId::from_uuid(Uuid::nil()),
    gate: voelgoed_scan_core::model::GateId::from_uuid(Uuid::nil()),
    device: voelgoed_scan_core::model::DeviceId::from_uuid(Uuid::nil()),
    session: voelgoed_scan_core::model::SessionId::from_uuid(Uuid::nil()),
};

pub(crate) fn intake(post: &SessionFacts, items: Vec<UploadItem>, arrival: i64) -> UploadBatch {
    UploadBatch {
        organization_id: post.organization,
        device_id: post.device,
        batch_id: BatchId::from_uuid(Uuid::new_v4()),
        sent_at: after(arrival),
        received_at: after(arrival),
        signature: None,
        items,
    }
}

impl World {
    pub(crate) async fn hand_in(&self, intake: &UploadBatch) -> SyncOutcome {
        let synced = self
            .store
            .sync(intake, &RULES)
            .await
            .expect("the batch is written");
        synced.expect("the device may hand in")
    }

    /// Hands in scans of one ticket an hour later.
    async fn sync(&self, post: &SessionFacts, code: TicketCode, scans: &[SyncScan]) -> Vec<SyncResult> {
        let items = scans.iter().map(|scan| item(scan.clone(), Some(code))).collect();
        self.hand_in(&intake(post, items, 3600)).await.results
    }

    async fn conflicts(&self) -> Vec<Conflict> {
        let page = self
            .store
            .conflicts(self.organization, &ConflictFilter::default(), &ALL)
            .await;
        page.expect("conflicts are read").data
    }
}

fn told(result: &SyncResult) -> (SyncStatus, Option<Reason>, Option<ConflictKind>) {
    (
        result.status,
        result.reason,
        result.conflict.as_ref().map(|conflict| conflict.kind),
    )
}

pub(crate) async fn one_ticket_at_two_devices_is_one_right_and_two_people(world: World) {
    let code = world.ticket("{}").await;
    let (first, second) = (scan(&world.post, code, 10), scan(&world.other_post, code, 20));
    let late = world
        .sync(&world.other_post, code, std::slice::from_ref(&second))
        .await;
    assert_eq!(
        told(&late[0]),
        (SyncStatus::Recorded, Some(Reason::Admitted), None)
    );
    let early = world.sync(&world.post, code, std::slice::from_ref(&first)).await;
    let won = Some(ConflictKind::DoubleEntry);
    assert_eq!(
        told(&early[0]),
        (SyncStatus::Recorded, Some(Reason::Admitted), won)
    );
    let again = world
        .sync(&world.other_post, code, std::slice::from_ref(&second))
        .await;
    assert_eq!(
        told(&again[0]),
        (SyncStatus::Replayed, Some(Reason::AlreadyScanned), won)
    );

    assert_eq!(world.inside().await, (1, 1, 2));
    let facts = world.facts(code).await;
    assert_eq!(
        (facts.ticket.scan_count, facts.ticket.status),
        (1, TicketStatus::Scanned)
    );
    let conflicts = world.conflicts().await;
    assert_eq!(conflicts.len(), 1);
    let conflict = &conflicts[0];
    assert_eq!(Some(conflict), again[0].conflict.as_ref());
    assert_eq!(
        (conflict.winner_scan_id, conflict.other_scan_id),
        (Some(first.scan_id), second.scan_id)
    );
    assert_eq!(conflict.ticket_code, Some(code));
    assert_eq!(conflict.times, [after(10), after(20)]);
    assert_eq!(
        conflict.gates.iter().map(|gate| gate.id).collect::<Vec<_>>(),
        [world.main, world.side]
    );
    let loser = world
        .trail()
        .await
        .into_iter()
        .find(|record| record.scan_id == second.scan_id);
    let loser = loser.expect("a record");
    assert_eq!(
        (loser.result, loser.local_result),
        (ScanResult::Duplicate, Some(ScanResult::Valid))
    );
    let results = world.occupancy().await.results;
    assert_eq!((results.valid, results.duplicate), (1, 1));
    // One went out: the other is still inside, and the ticket stays used up.
    assert_eq!(world.leave(code, 4000).await, Reason::Exited);
    assert_eq!(world.inside().await.2, 1);
    assert_eq!(world.enter(code, 4001).await, Reason::AlreadyScanned);
}

pub(crate) async fn who_was_answered_at_the_gate_keeps_the_answer(world: World) {
    let code = world.ticket("{}").await;
    let online = entry(&world.post, code, 100);
    world.decided(online.clone()).await;
    let early = scan(&world.other_post, code, 50);
    let results = world
        .sync(&world.other_post, code, std::slice::from_ref(&early))
        .await;
    assert_eq!(results[0].reason, Some(Reason::Admitted));
    let conflicts = world.conflicts().await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].winner_scan_id, Some(early.scan_id));
    assert_eq!(conflicts[0].other_scan_id, online.scan_id);
    match world.one(online.clone()).await {
        Recorded::Replayed(answer) => assert_eq!(answer.reason, Reason::Admitted),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.inside().await, (1, 1, 2));
    // Taken back, it is no conflict any more.
    world.undo(online.scan_id, UndoPermission::Member, 200).await;
    assert_eq!(world.conflicts().await, []);
    assert_eq!(world.inside().await, (0, 1, 1));
}

pub(crate) async fn a_winner_taken_back_leaves_the_other_by_right(world: World) {
    let code = world.ticket("{}").await;
    let (first, second) = (scan(&world.post, code, 10), scan(&world.other_post, code, 20));
    world.sync(&world.post, code, std::slice::from_ref(&first)).await;
    let lost = world
        .sync(&world.other_post, code, std::slice::from_ref(&second))
        .await;
    assert_eq!(lost[0].reason, Some(Reason::AlreadyScanned));
    world.undo(first.scan_id, UndoPermission::Member, 4000).await;
    let again = world
        .sync(&world.other_post, code, std::slice::from_ref(&second))
        .await;
    assert_eq!(
        told(&again[0]),
        (SyncStatus::Replayed, Some(Reason::Admitted), None)
    );
    assert_eq!(world.inside().await, (0, 1, 1));
    let results = world.occupancy().await.results;
    assert_eq!(
        (results.valid, results.duplicate),
        (2, 0),
        "the undone one keeps its result"
    );
}

pub(crate) async fn who_was_let_in_against_the_rules_is_counted_where_the_ticket_is_known(world: World) {
    let side_only = format!(r#"{{"gate_ids":["{}"]}}"#, world.side);
    let code = world.ticket(&side_only).await;
    let wrong_gate = scan(&world.post, code, 10);
    let forged = scan(&world.post, code, 20);
    let items = vec![item(wrong_gate, Some(code)), item(forged, None)];
    let results = world.hand_in(&intake(&world.post, items, 3600)).await.results;
    let kind = Some(ConflictKind::NotAdmissible);
    assert_eq!(
        told(&results[0]),
        (SyncStatus::Recorded, Some(Reason::GateNotAllowed), kind)
    );
    assert_eq!(
        told(&results[1]),
        (SyncStatus::Recorded, Some(Reason::BadSignature), kind)
    );
    assert_eq!(world.inside().await, (1, 0, 1));
    assert_eq!(world.conflicts().await.len(), 2);
    // The right is not used up: a person is inside, and the holder comes in where the ticket lets in.
    let facts = world.facts(code).await;
    assert_eq!((facts.ticket.scan_count, facts.ledger.inside()), (0, 1));
    assert_eq!(
        world.reason(entry(&world.other_post, code, 4000)).await,
        Reason::Admitted
    );
    let facts = world.facts(code).await;
    assert_eq!((facts.ticket.scan_count, facts.ledger.inside()), (1, 2));
    assert_eq!(world.inside().await, (1, 1, 2));
}

pub(crate) async fn a_denial_never_becomes_an_admission(world: World) {
    let code = world.ticket("{}").await;
    let mut denied = scan(&world.post, code, 10);
    denied.local_result = Some(ScanResult::Refused);
    denied.local_reason = Some(Reason::EventNotLive);
    let results = world.sync(&world.post, code, &[denied]).await;
    assert_eq!(
        told(&results[0]),
        (SyncStatus::Recorded, Some(Reason::EventNotLive), None)
    );
    assert_eq!(world.inside().await.2, 0);
    assert_eq!(world.facts(code).await.ticket.status, TicketStatus::Active);
}

pub(crate) async fn what_nobody_decided_is_decided_as_of_its_time(world: World) {
    let code = world.ticket(r#"{"valid_until":"2026-11-22T18:00:30Z"}"#).await;
    let ask = |seconds| SyncScan {
        local_result: None,
        ..scan(&world.post, code, seconds)
    };
    let (late, second, first) = (ask(20 * 3600), ask(20), ask(10));
    let results = world.sync(&world.post, code, &[second.clone(), first]).await;
    assert_eq!(
        told(&results[0]),
        (SyncStatus::Recorded, Some(Reason::AlreadyScanned), None)
    );
    assert_eq!(
        told(&results[1]),
        (SyncStatus::Recorded, Some(Reason::Admitted), None)
    );
    assert_eq!(world.inside().await.2, 1, "nobody was let in whom nobody let in");
    let items = vec![item(late, Some(code))];
    let results = world
        .hand_in(&intake(&world.post, items, 21 * 3600))
        .await
        .results;
    assert_eq!(results[0].reason, Some(Reason::TicketExpired));
    world
        .set_status(code, voelgoed_scan_core::model::SettableStatus::Voided)
        .await;
    let voided = world.sync(&world.post, code, &[ask(5)]).await;
    assert_eq!(
        voided[0].reason,
        Some(Reason::TicketVoided),
        "every rule holds but for the time"
    );
    assert_eq!(world.conflicts().await, []);
}

pub(crate) async fn what_the_server_and_the_device_did_to_one_scan_meet(world: World) {
    // The server denied, the device did not hear of it.
    let code = world.ticket("{}").await;
    world
        .change_gate(world.main, |gate| gate.capacity = Some(0))
        .await;
    let denied = entry(&world.post, code, 10);
    assert_eq!(world.reason(denied.clone()).await, Reason::GateFull);
    let mut let_in = scan(&world.post, code, 10);
    let_in.scan_id = denied.scan_id;
    let results = world.sync(&world.post, code, std::slice::from_ref(&let_in)).await;
    let kind = Some(ConflictKind::AdmittedOffline);
    assert_eq!(
        told(&results[0]),
        (SyncStatus::Replayed, Some(Reason::GateFull), kind)
    );
    assert_eq!(world.inside().await, (1, 0, 1));
    // The server let in, the device sent the person away.
    let code = world.ticket("{}").await;
    let admitted = entry(&world.other_post, code, 10);
    assert_eq!(world.reason(admitted.clone()).await, Reason::Admitted);
    let mut sent_away = scan(&world.other_post, code, 10);
    sent_away.scan_id = admitted.scan_id;
    sent_away.local_result = Some(ScanResult::Duplicate);
    world
        .sync(&world.other_post, code, std::slice::from_ref(&sent_away))
        .await;
    assert_eq!(world.inside().await, (1, 0, 1));
    let record = world
        .trail()
        .await
        .into_iter()
        .find(|record| record.scan_id == admitted.scan_id);
    let undone = record.and_then(|record| record.undone).expect("undone");
    assert_eq!((undone.reason.as_str(), undone.at), (DENIED_AT_GATE, after(3600)));
    assert_eq!(world.facts(code).await.ticket.status, TicketStatus::Active);
    // Another time nothing changes.
    let again = world.sync(&world.post, code, &[let_in]).await;
    assert_eq!(told(&again[0]).0, SyncStatus::Rejected, "another payload");
    assert_eq!(world.inside().await, (1, 0, 1));
}

pub(crate) async fn one_bad_scan_never_affects_another(world: World) {
    let code = world.ticket("{}").await;
    let mut nowhere = scan(&world.post, code, 5);
    nowhere.gate_id = Uuid::new_v4().into();
    let mut unreadable = item(scan(&world.post, code, 6), None);
    unreadable.upload = Err(voelgoed_scan_core::sync::ScanFault::new(
        "/direction",
        "is not valid",
    ));
    unreadable.sequence = Some(2);
    let theirs = entry(&world.other_post, code, 7);
    let elsewhere = world.ticket("{}").await;
    world.one(entry(&world.other_post, elsewhere, 7)).await;
    world.one(theirs.clone()).await;
    let mut stolen = scan(&world.post, code, 7);
    stolen.scan_id = theirs.scan_id;
    let mut good = scan(&world.post, elsewhere, 1);
    good.sequence = Some(4);
    let items = vec![
        item(nowhere, Some(code)),
        unreadable,
        item(stolen, Some(code)),
        item(good, Some(elsewhere)),
    ];
    let synced = world.hand_in(&intake(&world.post, items, 3600)).await;
    let faults: Vec<_> = synced
        .results
        .iter()
        .map(|result| {
            (
                result.status,
                result.errors.first().map(|fault| fault.pointer.as_str()),
            )
        })
        .collect();
    assert_eq!(
        faults,
        [
            (SyncStatus::Rejected, Some("/gate_id")),
            (SyncStatus::Rejected, Some("/direction")),
            (SyncStatus::Rejected, Some("/scan_id")),
            (SyncStatus::Recorded, None),
        ]
    );
    assert_eq!(synced.writes.received.missing(), [(1, 1), (3, 3)]);
}

pub(crate) async fn a_batch_again_changes_nothing_and_a_retry_at_the_gate_is_a_replay(world: World) {
    let code = world.ticket("{}").await;
    let one = scan(&world.post, code, 10);
    let batch = intake(&world.post, vec![item(one.clone(), Some(code)); 2], 3600);
    let results = world.hand_in(&batch).await.results;
    assert_eq!(
        [results[0].status, results[1].status],
        [SyncStatus::Recorded, SyncStatus::Replayed]
    );
    let version = world.facts(code).await.version;
    let again = world.hand_in(&batch).await.results;
    assert_eq!(again[0].status, SyncStatus::Replayed);
    assert_eq!(
        (world.facts(code).await.version, world.inside().await.2),
        (version, 1)
    );
    assert_eq!(world.trail().await.len(), 1);
    let mut retry = entry(&world.post, code, 3700);
    retry.scan_id = one.scan_id;
    retry.fingerprint = match &batch.items[0].upload {
        Ok(upload) => upload.fingerprint,
        Err(fault) => panic!("{fault:?}"),
    };
    match world.one(retry).await {
        Recorded::Replayed(answer) => {
            assert_eq!(
                (answer.reason, answer.gate.name.as_str()),
                (Reason::Admitted, "Main")
            );
            assert_eq!(answer.ticket.map(|ticket| ticket.scan_count), Some(1));
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_scan_belongs_to_the_session_of_its_time(world: World) {
    let code = world.ticket("{}").await;
    let during = scan(&world.post, code, 10);
    let before = scan(&world.post, code, -10);
    // The device's clock is an hour ahead.
    let mut ahead = scan(&world.post, code, 3600 + 30);
    ahead.local_result = Some(ScanResult::Duplicate);
    let mut batch = intake(
        &world.post,
        vec![item(during, Some(code)), item(before.clone(), Some(code))],
        3600,
    );
    world.hand_in(&batch).await;
    batch = intake(&world.post, vec![item(ahead.clone(), Some(code))], 100);
    batch.sent_at = after(3600 + 100);
    world.hand_in(&batch).await;
    let trail = world.trail().await;
    let of = |id: ScanId| {
        trail
            .iter()
            .find(|record| record.scan_id == id)
            .expect("a record")
    };
    assert_eq!(of(before.scan_id).scan_session_id, None);
    let late = of(ahead.scan_id);
    assert_eq!(
        (late.scanned_at, late.device_scanned_at),
        (after(30), Some(after(3630)))
    );
    assert_eq!(late.scan_session_id, Some(world.post.session));
    let session = world.store.session(world.organization, world.post.session).await;
    assert_eq!(session.expect("read").expect("a session").scan_count, 2);
}

pub(crate) async fn a_revoked_device_s_scans_admit_nobody(world: World) {
    let code = world.ticket("{}").await;
    world
        .store
        .revoke_device(world.organization, world.post.device, after(1))
        .await
        .expect("revoked");
    let one = scan(&world.post, code, 10);
    for _ in 0..2 {
        let results = world.sync(&world.post, code, std::slice::from_ref(&one)).await;
        assert_eq!(told(&results[0]), (SyncStatus::Quarantined, None, None));
    }
    assert_eq!((world.inside().await.2, world.trail().await.len()), (0, 0));
    let conflicts = world.conflicts().await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].kind, ConflictKind::Unverified);
    assert_eq!(
        (conflicts[0].other_scan_id, conflicts[0].ticket_code),
        (one.scan_id, Some(code))
    );
    let filter = ConflictFilter {
        event_id: Some(world.event),
        kind: Some(ConflictKind::DoubleEntry),
    };
    let none = world.store.conflicts(world.organization, &filter, &ALL).await;
    assert_eq!(none.expect("read").data, []);
}

pub(crate) async fn conflicts_come_in_pages(world: World) {
    let code = world.ticket("{}").await;
    let scans: Vec<_> = (0..5).map(|at| scan(&world.post, code, at)).collect();
    world.sync(&world.post, code, &scans).await;
    let mut page = PageRequest {
        limit: 3,
        after: None,
    };
    let mut seen: Vec<Timestamp> = Vec::new();
    loop {
        let found = world
            .store
            .conflicts(world.organization, &ConflictFilter::default(), &page)
            .await;
        let found = found.expect("read");
        seen.extend(found.data.iter().filter_map(|conflict| conflict.times.last()));
        match found.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, [4, 3, 2, 1].map(after));
}

pub(crate) async fn no_order_and_no_grouping_of_batches_makes_a_difference(world: World) {
    let mut dice = 7_u64;
    for round in 0..12 {
        let mut roll = |sides: u64| {
            dice = dice
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        let reentry = Reentry::ALL[usize::try_from(roll(3)).expect("small")];
        let limit = roll(2) + 1;
        let count = 12;
        let plan: Vec<_> = (0..count)
            .map(|number| {
                (
                    ScanId::from_uuid(Uuid::new_v4()),
                    number,
                    roll(2),
                    roll(2),
                    roll(60) * 10,
                    roll(6),
                )
            })
            .collect();
        let mut states = Vec::new();
        for turn in 0..2 {
            let world = world.another().await;
            world.change_event(|event| event.reentry = reentry).await;
            let line = format!(r#"{{"entry_limit":{limit}}}"#);
            let codes = [world.ticket(&line).await, world.ticket(&line).await];
            let mut plan = plan.clone();
            // Two of them were answered at the gate.
            for (id, _, device, ticket, _, _) in &plan[..2] {
                let mut online = entry(
                    if *device == 0 {
                        &world.post
                    } else {
                        &world.other_post
                    },
                    codes[usize::try_from(*ticket).expect("small")],
                    300,
                );
                online.scan_id = *id;
                world.record(&[online]).await;
            }
            if turn == 1 {
                plan.reverse();
                plan.rotate_left(5);
            }
            let size = if turn == 0 { 1 } else { 4 };
            for batch in plan[..].chunks(size) {
                for device in 0..2 {
                    let post = if device == 0 {
                        &world.post
                    } else {
                        &world.other_post
                    };
                    let items: Vec<_> = batch
                        .iter()
                        .filter(|one| one.2 == device)
                        .map(|(id, _, _, ticket, seconds, kind)| {
                            let code = codes[usize::try_from(*ticket).expect("small")];
                            let mut one = scan(post, code, i64::try_from(*seconds).expect("small"));
                            one.scan_id = *id;
                            match kind {
                                0 => one.local_result = None,
                                1 => one.local_result = Some(ScanResult::Duplicate),
                                2 => one.direction = Direction::Exit,
                                _ => {}
                            }
                            item(one, Some(code))
                        })
                        .collect();
                    world.hand_in(&intake(post, items, 3600)).await;
                }
            }
            states.push(state(&world, &codes).await);
        }
        assert_eq!(states[0], states[1], "round {round}");
    }
}

type State = (
    BTreeMap<ScanId, (Reason, Option<ScanResult>, bool)>,
    Vec<(u32, TicketStatus, usize)>,
    String,
    Vec<(Option<ScanId>, ScanId)>,
);

async fn state(world: &World, codes: &[TicketCode]) -> State {
    let scans = world.trail().await.into_iter().map(|record| {
        let of_one = (record.reason, record.local_result, record.undone.is_some());
        (record.scan_id, of_one)
    });
    let mut tickets = Vec::new();
    for code in codes {
        let facts = world.facts(*code).await;
        tickets.push((
            facts.ticket.scan_count,
            facts.ticket.status,
            facts.ledger.inside(),
        ));
    }
    let occupancy = world.occupancy().await;
    let gates: Vec<_> = occupancy
        .gates
        .iter()
        .map(|gate| (&gate.name, gate.count))
        .collect();
    let counts = format!("{gates:?} {:?}", occupancy.results);
    let conflicts = world.conflicts().await;
    let conflicts = conflicts
        .iter()
        .map(|one| (one.winner_scan_id, one.other_scan_id))
        .collect();
    (scans.collect(), tickets, counts, conflicts)
}

pub(crate) async fn a_full_batch_is_taken_at_once(world: World) {
    let lines = vec!["{}"; 500];
    let codes: Vec<_> = world
        .import(&lines)
        .await
        .into_iter()
        .map(|outcome| match outcome {
            voelgoed_scan_core::store::ImportOutcome::Inserted(code, _) => code,
            other => panic!("{other:?}"),
        })
        .collect();
    let items = (0..1000).map(|at| {
        let code = codes[at % codes.len()];
        item(
            scan(&world.post, code, i64::try_from(at).expect("small")),
            Some(code),
        )
    });
    let results = world
        .hand_in(&intake(&world.post, items.collect(), 3600))
        .await
        .results;
    assert_eq!(
        results
            .iter()
            .filter(|one| one.reason == Some(Reason::Admitted))
            .count(),
        500
    );
    assert_eq!(results.iter().filter(|one| one.conflict.is_some()).count(), 1000);
    assert_eq!(world.inside().await.2, 1000);
    let out = exit(&world.post, codes[0], 4000);
    assert_eq!(world.reason(out).await, Reason::Exited);
}

pub(crate) async fn a_quarantine_holds_ten_thousand(world: World) {
    let code = world.ticket("{}").await;
    let revoked = world
        .store
        .revoke_device(world.organization, world.post.device, after(1))
        .await;
    revoked.expect("revoked");
    let mut statuses = BTreeMap::new();
    for _ in 0..11 {
        let items = (0..1000)
            .map(|at| item(scan(&world.post, code, at), Some(code)))
            .collect();
        for result in world.hand_in(&intake(&world.post, items, 3600)).await.results {
            *statuses.entry(result.status).or_insert(0) += 1;
        }
    }
    let expected = [(SyncStatus::Rejected, 1000), (SyncStatus::Quarantined, 10_000)];
    assert_eq!(statuses, BTreeMap::from(expected));
}

pub(crate) async fn batches_of_two_devices_at_once_lose_nothing(world: World) {
    let codes: Vec<_> = [
        world.ticket("{}").await,
        world.ticket("{}").await,
        world.ticket("{}").await,
    ]
    .into();
    let mut calls = Vec::new();
    for round in 0..6 {
        for post in [world.post, world.other_post] {
            let items = codes
                .iter()
                .map(|code| item(scan(&post, *code, round), Some(*code)))
                .collect();
            let (store, intake) = (world.store.clone(), intake(&post, items, 3600));
            calls.push(tokio::spawn(async move { store.sync(&intake, &RULES).await }));
        }
    }
    for call in calls {
        let synced = call.await.expect("the call ends").expect("the batch is written");
        assert!(synced.is_some());
    }
    assert_eq!(world.inside().await, (18, 18, 36));
    assert_eq!(world.conflicts().await.len(), 33);
    let results = world.occupancy().await.results;
    assert_eq!((results.valid, results.duplicate), (3, 33));
}

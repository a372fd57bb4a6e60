//! Scans that devices decided offline and upload later.

use std::collections::BTreeMap;

use uuid::Uuid;
use voelgoed_scan_core::model::{
    BatchId, Claims, Direction, Reading, Reason, ReasonText, Recorded, Reentry, ScanId, ScanResult,
    SettableStatus, TicketCode, TicketStatus, Timestamp,
};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::store::{
    AcceptOutcome, Acceptance, ConflictFilter, PageRequest, SyncOutcome, UndoPermission,
};
use voelgoed_scan_core::sync::{
    Conflict, DENIED_AT_GATE, LinkHash, SyncResult, SyncScan, SyncStatus, Upload, UploadBatch, UploadItem,
};

use crate::attempts::{entry, exit};
use crate::fixture::{ALL, Fixture, RULES, TestSession, after, audit, reason_text};
use crate::random_walks::Random;

/// An offline entry as a device uploads it, admitted by the device `seconds` after the start.
pub(crate) fn scan(session: &TestSession, code: TicketCode, seconds: i64) -> SyncScan {
    SyncScan {
        scan_id: ScanId::from_uuid(Uuid::new_v4()),
        reading: Reading::Qr(code.to_string()),
        gate_id: session.gate,
        direction: Direction::Entry,
        scanned_at: after(seconds),
        local_result: Some(ScanResult::Valid),
        local_reason: None,
        sequence: None,
        override_: None,
        metadata: None,
        event_id: None,
        age_ms: None,
        prev_hash: None,
    }
}

/// An item of a batch. `None` for `code` is a payload whose signature does not verify.
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
            medium: None,
            media_tickets: Vec::new(),
        })),
    }
}

/// [`item`] uses only the fingerprint of an attempt, which does not depend on the session.
const PLACEHOLDER: TestSession = TestSession {
    organization: voelgoed_scan_core::model::OrganizationId::from_uuid(Uuid::nil()),
    event: voelgoed_scan_core::model::EventId::from_uuid(Uuid::nil()),
    gate: voelgoed_scan_core::model::GateId::from_uuid(Uuid::nil()),
    device: voelgoed_scan_core::model::DeviceId::from_uuid(Uuid::nil()),
    id: voelgoed_scan_core::model::SessionId::from_uuid(Uuid::nil()),
};

/// A batch of a device that arrives `arrival` seconds after the start.
pub(crate) fn sync_batch(session: &TestSession, items: Vec<UploadItem>, arrival: i64) -> UploadBatch {
    UploadBatch {
        organization_id: session.organization,
        device_id: session.device,
        batch_id: BatchId::from_uuid(Uuid::new_v4()),
        sent_at: after(arrival),
        received_at: after(arrival),
        signature: None,
        origin: None,
        items,
    }
}

impl Fixture {
    pub(crate) async fn ingest(&self, batch: &UploadBatch) -> SyncOutcome {
        let synced = self
            .store
            .sync(&batch.whole(), &RULES)
            .await
            .expect("the batch is recorded");
        synced.expect("the device may sync")
    }

    /// Uploads scans of one ticket an hour after the start.
    pub(crate) async fn sync(
        &self,
        session: &TestSession,
        code: TicketCode,
        scans: &[SyncScan],
    ) -> Vec<SyncResult> {
        let items = scans.iter().map(|scan| item(scan.clone(), Some(code))).collect();
        self.ingest(&sync_batch(session, items, 3600)).await.results
    }

    pub(crate) async fn conflicts(&self) -> Vec<Conflict> {
        let page = self
            .store
            .conflicts(self.organization, &ConflictFilter::default(), &ALL)
            .await;
        page.expect("conflicts are read").data
    }
}

pub(crate) fn outcome_of(result: &SyncResult) -> (SyncStatus, Option<Reason>, Option<ConflictKind>) {
    (
        result.status,
        result.reason,
        result.conflict.as_ref().map(|conflict| conflict.kind),
    )
}

pub(crate) async fn one_ticket_admitted_at_two_devices_is_one_admission_and_two_people(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let (first, second) = (
        scan(&fixture.main_session, code, 10),
        scan(&fixture.side_session, code, 20),
    );
    let late = fixture
        .sync(&fixture.side_session, code, std::slice::from_ref(&second))
        .await;
    assert_eq!(
        outcome_of(&late[0]),
        (SyncStatus::Recorded, Some(Reason::Admitted), None)
    );
    let early = fixture
        .sync(&fixture.main_session, code, std::slice::from_ref(&first))
        .await;
    let won = Some(ConflictKind::DoubleEntry);
    assert_eq!(
        outcome_of(&early[0]),
        (SyncStatus::Recorded, Some(Reason::Admitted), won)
    );
    let again = fixture
        .sync(&fixture.side_session, code, std::slice::from_ref(&second))
        .await;
    assert_eq!(
        outcome_of(&again[0]),
        (SyncStatus::Replayed, Some(Reason::AlreadyScanned), won)
    );

    assert_eq!(fixture.inside().await, (1, 1, 2));
    let facts = fixture.ticket_facts(code).await;
    assert_eq!(
        (facts.ticket.scan_count, facts.ticket.status),
        (1, TicketStatus::Scanned)
    );
    let conflicts = fixture.conflicts().await;
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
        [fixture.main_gate, fixture.side_gate]
    );
    let loser = fixture
        .audit_trail()
        .await
        .into_iter()
        .find(|record| record.scan_id == second.scan_id);
    let loser = loser.expect("a record");
    assert_eq!(
        (loser.result, loser.local_result),
        (ScanResult::Duplicate, Some(ScanResult::Valid))
    );
    let results = fixture.occupancy().await.results;
    assert_eq!((results.valid, results.duplicate), (1, 1));
    // One person leaves. The other is still inside, and the ticket has no admission left.
    assert_eq!(fixture.leave(code, 4000).await, Reason::Exited);
    assert_eq!(fixture.inside().await.2, 1);
    assert_eq!(fixture.enter(code, 4001).await, Reason::AlreadyScanned);
}

pub(crate) async fn an_online_answer_is_kept_when_an_earlier_offline_scan_wins(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let online = entry(&fixture.main_session, code, 100);
    fixture.decided(online.clone()).await;
    let early = scan(&fixture.side_session, code, 50);
    let results = fixture
        .sync(&fixture.side_session, code, std::slice::from_ref(&early))
        .await;
    assert_eq!(results[0].reason, Some(Reason::Admitted));
    let conflicts = fixture.conflicts().await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].winner_scan_id, Some(early.scan_id));
    assert_eq!(conflicts[0].other_scan_id, online.scan_id);
    match fixture.record_one(online.clone()).await {
        Recorded::Replayed(answer) => assert_eq!(answer.reason, Reason::Admitted),
        other => panic!("{other:?}"),
    }
    assert_eq!(fixture.inside().await, (1, 1, 2));
    // Undoing the online scan resolves the conflict.
    fixture.undo(online.scan_id, UndoPermission::Member, 200).await;
    assert_eq!(fixture.conflicts().await, []);
    assert_eq!(fixture.inside().await, (0, 1, 1));
}

pub(crate) async fn undoing_the_winning_scan_makes_the_other_one_valid(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let (first, second) = (
        scan(&fixture.main_session, code, 10),
        scan(&fixture.side_session, code, 20),
    );
    fixture
        .sync(&fixture.main_session, code, std::slice::from_ref(&first))
        .await;
    let lost = fixture
        .sync(&fixture.side_session, code, std::slice::from_ref(&second))
        .await;
    assert_eq!(lost[0].reason, Some(Reason::AlreadyScanned));
    fixture.undo(first.scan_id, UndoPermission::Member, 4000).await;
    let again = fixture
        .sync(&fixture.side_session, code, std::slice::from_ref(&second))
        .await;
    assert_eq!(
        outcome_of(&again[0]),
        (SyncStatus::Replayed, Some(Reason::Admitted), None)
    );
    assert_eq!(fixture.inside().await, (0, 1, 1));
    let results = fixture.occupancy().await.results;
    assert_eq!(
        (results.valid, results.duplicate),
        (2, 0),
        "an undone scan keeps its result"
    );
}

pub(crate) async fn an_inadmissible_offline_entry_is_counted_when_its_ticket_is_known(fixture: Fixture) {
    let side_only = format!(r#"{{"gate_ids":["{}"]}}"#, fixture.side_gate);
    let code = fixture.ticket(&side_only).await;
    let wrong_gate = scan(&fixture.main_session, code, 10);
    let forged = scan(&fixture.main_session, code, 20);
    let items = vec![item(wrong_gate, Some(code)), item(forged, None)];
    let results = fixture
        .ingest(&sync_batch(&fixture.main_session, items, 3600))
        .await
        .results;
    let kind = Some(ConflictKind::NotAdmissible);
    assert_eq!(
        outcome_of(&results[0]),
        (SyncStatus::Recorded, Some(Reason::GateNotAllowed), kind)
    );
    assert_eq!(
        outcome_of(&results[1]),
        (SyncStatus::Recorded, Some(Reason::BadSignature), kind)
    );
    assert_eq!(fixture.inside().await, (1, 0, 1));
    assert_eq!(fixture.conflicts().await.len(), 2);
    // The inadmissible entry does not use the admission: the holder can still enter at the permitted gate.
    let facts = fixture.ticket_facts(code).await;
    assert_eq!(
        (facts.ticket.scan_count, facts.ledger.inside(Timestamp::MIN)),
        (0, 1)
    );
    assert_eq!(
        fixture.reason(entry(&fixture.side_session, code, 4000)).await,
        Reason::Admitted
    );
    let facts = fixture.ticket_facts(code).await;
    assert_eq!(
        (facts.ticket.scan_count, facts.ledger.inside(Timestamp::MIN)),
        (1, 2)
    );
    assert_eq!(fixture.inside().await, (1, 1, 2));
}

pub(crate) async fn an_offline_denial_never_becomes_an_admission(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let mut denied = scan(&fixture.main_session, code, 10);
    denied.local_result = Some(ScanResult::Refused);
    denied.local_reason = Some(Reason::EventNotLive);
    let results = fixture.sync(&fixture.main_session, code, &[denied]).await;
    assert_eq!(
        outcome_of(&results[0]),
        (SyncStatus::Recorded, Some(Reason::EventNotLive), None)
    );
    assert_eq!(fixture.inside().await.2, 0);
    assert_eq!(
        fixture.ticket_facts(code).await.ticket.status,
        TicketStatus::Active
    );
}

pub(crate) async fn an_undecided_scan_is_decided_as_of_its_own_time(fixture: Fixture) {
    let code = fixture.ticket(r#"{"valid_until":"2026-11-22T18:00:30Z"}"#).await;
    let undecided = |seconds| SyncScan {
        local_result: None,
        ..scan(&fixture.main_session, code, seconds)
    };
    let (late, second, first) = (undecided(20 * 3600), undecided(20), undecided(10));
    let results = fixture
        .sync(&fixture.main_session, code, &[second.clone(), first])
        .await;
    assert_eq!(
        outcome_of(&results[0]),
        (SyncStatus::Recorded, Some(Reason::AlreadyScanned), None)
    );
    assert_eq!(
        outcome_of(&results[1]),
        (SyncStatus::Recorded, Some(Reason::Admitted), None)
    );
    assert_eq!(fixture.inside().await.2, 1, "an undecided scan admits nobody");
    let items = vec![item(late, Some(code))];
    let results = fixture
        .ingest(&sync_batch(&fixture.main_session, items, 21 * 3600))
        .await
        .results;
    assert_eq!(results[0].reason, Some(Reason::TicketExpired));
    fixture.set_status(code, SettableStatus::Voided).await;
    let voided = fixture.sync(&fixture.main_session, code, &[undecided(5)]).await;
    assert_eq!(
        voided[0].reason,
        Some(Reason::TicketVoided),
        "a status of today still applies"
    );
    assert_eq!(fixture.conflicts().await, []);
}

pub(crate) async fn contradicting_decisions_of_server_and_device_are_reconciled(fixture: Fixture) {
    // The server denied; the device did not receive the answer and admitted.
    let code = fixture.ticket("{}").await;
    fixture
        .change_gate(fixture.main_gate, |gate| gate.capacity = Some(0))
        .await;
    let denied = entry(&fixture.main_session, code, 10);
    assert_eq!(fixture.reason(denied.clone()).await, Reason::GateFull);
    let mut admitted_offline = scan(&fixture.main_session, code, 10);
    admitted_offline.scan_id = denied.scan_id;
    let results = fixture
        .sync(
            &fixture.main_session,
            code,
            std::slice::from_ref(&admitted_offline),
        )
        .await;
    let kind = Some(ConflictKind::AdmittedOffline);
    assert_eq!(
        outcome_of(&results[0]),
        (SyncStatus::Replayed, Some(Reason::GateFull), kind)
    );
    assert_eq!(fixture.inside().await, (1, 0, 1));
    // The server admitted; the device did not receive the answer and denied.
    let code = fixture.ticket("{}").await;
    let admitted = entry(&fixture.side_session, code, 10);
    assert_eq!(fixture.reason(admitted.clone()).await, Reason::Admitted);
    let mut denied_offline = scan(&fixture.side_session, code, 10);
    denied_offline.scan_id = admitted.scan_id;
    denied_offline.local_result = Some(ScanResult::Duplicate);
    fixture
        .sync(&fixture.side_session, code, std::slice::from_ref(&denied_offline))
        .await;
    assert_eq!(fixture.inside().await, (1, 0, 1));
    let record = fixture
        .audit_trail()
        .await
        .into_iter()
        .find(|record| record.scan_id == admitted.scan_id);
    let undone = record
        .and_then(|record| record.undone)
        .expect("the scan is undone");
    assert_eq!(
        (undone.reason.as_ref().map(ReasonText::as_str), undone.at),
        (Some(DENIED_AT_GATE), after(3600))
    );
    assert_eq!(
        fixture.ticket_facts(code).await.ticket.status,
        TicketStatus::Active
    );
    // A repeated upload changes nothing.
    let again = fixture
        .sync(&fixture.main_session, code, &[admitted_offline])
        .await;
    assert_eq!(outcome_of(&again[0]).0, SyncStatus::Rejected, "another payload");
    assert_eq!(fixture.inside().await, (1, 0, 1));
}

pub(crate) async fn an_invalid_scan_does_not_affect_the_rest_of_its_batch(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let mut unknown_gate = scan(&fixture.main_session, code, 5);
    unknown_gate.gate_id = Uuid::new_v4().into();
    let mut unreadable = item(scan(&fixture.main_session, code, 6), None);
    unreadable.upload = Err(voelgoed_scan_core::sync::ScanFault::new(
        "/direction",
        "is not valid",
    ));
    unreadable.sequence = Some(2);
    let of_other_device = entry(&fixture.side_session, code, 7);
    let elsewhere = fixture.ticket("{}").await;
    fixture
        .record_one(entry(&fixture.side_session, elsewhere, 7))
        .await;
    fixture.record_one(of_other_device.clone()).await;
    let mut reused_id = scan(&fixture.main_session, code, 7);
    reused_id.scan_id = of_other_device.scan_id;
    let mut good = scan(&fixture.main_session, elsewhere, 1);
    good.sequence = Some(4);
    let items = vec![
        item(unknown_gate, Some(code)),
        unreadable,
        item(reused_id, Some(code)),
        item(good, Some(elsewhere)),
    ];
    let synced = fixture
        .ingest(&sync_batch(&fixture.main_session, items, 3600))
        .await;
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

pub(crate) async fn a_repeated_batch_changes_nothing_and_an_online_retry_is_a_replay(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let one = scan(&fixture.main_session, code, 10);
    let batch = sync_batch(
        &fixture.main_session,
        vec![item(one.clone(), Some(code)); 2],
        3600,
    );
    let results = fixture.ingest(&batch).await.results;
    assert_eq!(
        [results[0].status, results[1].status],
        [SyncStatus::Recorded, SyncStatus::Replayed]
    );
    let version = fixture.ticket_facts(code).await.version;
    let again = fixture.ingest(&batch).await.results;
    assert_eq!(again[0].status, SyncStatus::Replayed);
    assert_eq!(
        (fixture.ticket_facts(code).await.version, fixture.inside().await.2),
        (version, 1)
    );
    assert_eq!(fixture.audit_trail().await.len(), 1);
    let mut retry = entry(&fixture.main_session, code, 3700);
    retry.scan_id = one.scan_id;
    retry.fingerprint = match &batch.items[0].upload {
        Ok(upload) => upload.fingerprint,
        Err(fault) => panic!("{fault:?}"),
    };
    match fixture.record_one(retry).await {
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

pub(crate) async fn a_scan_is_assigned_to_the_session_active_at_its_time(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let during = scan(&fixture.main_session, code, 10);
    let before = scan(&fixture.main_session, code, -10);
    // The clock of the device is one hour ahead.
    let mut ahead = scan(&fixture.main_session, code, 3600 + 30);
    ahead.local_result = Some(ScanResult::Duplicate);
    let mut batch = sync_batch(
        &fixture.main_session,
        vec![item(during, Some(code)), item(before.clone(), Some(code))],
        3600,
    );
    fixture.ingest(&batch).await;
    batch = sync_batch(&fixture.main_session, vec![item(ahead.clone(), Some(code))], 100);
    batch.sent_at = after(3600 + 100);
    fixture.ingest(&batch).await;
    let trail = fixture.audit_trail().await;
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
    assert_eq!(late.scan_session_id, Some(fixture.main_session.id));
    let session = fixture
        .store
        .session(fixture.organization, fixture.main_session.id)
        .await;
    assert_eq!(
        session.expect("the read succeeds").expect("a session").scan_count,
        2
    );
}

pub(crate) async fn scans_of_a_revoked_device_are_quarantined(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    fixture
        .store
        .revoke_device(
            fixture.organization,
            fixture.main_session.device,
            after(1),
            audit(),
        )
        .await
        .expect("the device is revoked");
    let one = scan(&fixture.main_session, code, 10);
    for _ in 0..2 {
        let results = fixture
            .sync(&fixture.main_session, code, std::slice::from_ref(&one))
            .await;
        assert_eq!(outcome_of(&results[0]), (SyncStatus::Quarantined, None, None));
    }
    assert_eq!(
        (fixture.inside().await.2, fixture.audit_trail().await.len()),
        (0, 0)
    );
    let conflicts = fixture.conflicts().await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].kind, ConflictKind::Unverified);
    assert_eq!(
        (conflicts[0].other_scan_id, conflicts[0].ticket_code),
        (one.scan_id, Some(code))
    );
    let filter = ConflictFilter {
        event_id: Some(fixture.event),
        kind: Some(ConflictKind::DoubleEntry),
    };
    let none = fixture.store.conflicts(fixture.organization, &filter, &ALL).await;
    assert_eq!(none.expect("the read succeeds").data, []);
}

pub(crate) async fn conflicts_are_paged(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let scans: Vec<_> = (0..5).map(|at| scan(&fixture.main_session, code, at)).collect();
    fixture.sync(&fixture.main_session, code, &scans).await;
    let mut page = PageRequest {
        limit: 3,
        after: None,
    };
    let mut seen: Vec<Timestamp> = Vec::new();
    loop {
        let found = fixture
            .store
            .conflicts(fixture.organization, &ConflictFilter::default(), &page)
            .await;
        let found = found.expect("the read succeeds");
        seen.extend(found.data.iter().filter_map(|conflict| conflict.times.last()));
        match found.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, [4, 3, 2, 1].map(after));
}

/// One offline scan of a random plan.
#[derive(Clone, Copy)]
struct PlannedScan {
    id: ScanId,
    at_side_gate: bool,
    ticket: usize,
    seconds: i64,
    kind: usize,
}

impl PlannedScan {
    fn draw(random: &mut Random) -> Self {
        Self {
            id: ScanId::from_uuid(Uuid::new_v4()),
            at_side_gate: random.below(2) == 1,
            ticket: random.below(2),
            seconds: i64::try_from(random.below(60)).expect("a small number") * 10,
            kind: random.below(6),
        }
    }

    fn session<'a>(&self, fixture: &'a Fixture) -> &'a TestSession {
        if self.at_side_gate {
            &fixture.side_session
        } else {
            &fixture.main_session
        }
    }

    fn item(&self, fixture: &Fixture, codes: &[TicketCode; 2]) -> UploadItem {
        let code = codes[self.ticket];
        let mut scan = scan(self.session(fixture), code, self.seconds);
        scan.scan_id = self.id;
        match self.kind {
            0 => scan.local_result = None,
            1 => scan.local_result = Some(ScanResult::Duplicate),
            2 => scan.direction = Direction::Exit,
            _ => {}
        }
        item(scan, Some(code))
    }
}

pub(crate) async fn the_order_and_grouping_of_batches_do_not_matter(fixture: Fixture) {
    let mut random = Random(7);
    for round in 0..12 {
        let reentry = Reentry::ALL[random.below(4)];
        let limit = random.below(2) + 1;
        let plan: Vec<_> = (0..12).map(|_| PlannedScan::draw(&mut random)).collect();
        let online = [plan[0], plan[1]];
        let mut reordered = plan.clone();
        reordered.reverse();
        reordered.rotate_left(5);
        let mut states = Vec::new();
        for (plan, batch_size) in [(&plan, 1), (&reordered, 4)] {
            let fixture = fixture.another().await;
            fixture.change_event(|event| event.reentry = reentry).await;
            let line = format!(r#"{{"entry_limit":{limit}}}"#);
            let codes = [fixture.ticket(&line).await, fixture.ticket(&line).await];
            fixture.set_status_at(codes[1], SettableStatus::Voided, 350).await;
            // The server answered two of them online.
            for planned in &online {
                let code = codes[planned.ticket];
                let mut attempt = entry(planned.session(&fixture), code, 300);
                attempt.scan_id = planned.id;
                fixture.record(&[attempt]).await;
            }
            for batch in plan.chunks(batch_size) {
                for at_side_gate in [false, true] {
                    let of_device = batch
                        .iter()
                        .filter(|planned| planned.at_side_gate == at_side_gate);
                    let items: Vec<_> = of_device.map(|planned| planned.item(&fixture, &codes)).collect();
                    let session = if at_side_gate {
                        &fixture.side_session
                    } else {
                        &fixture.main_session
                    };
                    fixture.ingest(&sync_batch(session, items, 3600)).await;
                }
            }
            states.push(state(&fixture, &codes).await);
        }
        assert_eq!(states[0], states[1], "round {round}");
    }
}

/// What must not depend on the order of the batches: records by scan id, tickets, counters, conflicts.
pub(crate) type State = (
    BTreeMap<ScanId, (Reason, Option<ScanResult>, bool)>,
    Vec<(u32, TicketStatus, usize)>,
    String,
    Vec<(ConflictKind, Option<ScanId>, ScanId)>,
);

pub(crate) async fn state(fixture: &Fixture, codes: &[TicketCode]) -> State {
    let scans = fixture.audit_trail().await.into_iter().map(|record| {
        let of_one = (record.reason, record.local_result, record.undone.is_some());
        (record.scan_id, of_one)
    });
    let mut tickets = Vec::new();
    for code in codes {
        let facts = fixture.ticket_facts(*code).await;
        tickets.push((
            facts.ticket.scan_count,
            facts.ticket.status,
            facts.ledger.inside(Timestamp::MIN),
        ));
    }
    let occupancy = fixture.occupancy().await;
    let gates: Vec<_> = occupancy
        .gates
        .iter()
        .map(|gate| (&gate.name, gate.count))
        .collect();
    let counts = format!("{gates:?} {:?}", occupancy.results);
    let conflicts = fixture.conflicts().await;
    let conflicts = conflicts
        .iter()
        .map(|one| (one.kind, one.winner_scan_id, one.other_scan_id))
        .collect();
    (scans.collect(), tickets, counts, conflicts)
}

pub(crate) async fn a_batch_of_1000_scans_is_accepted(fixture: Fixture) {
    let lines = vec!["{}"; 500];
    let codes: Vec<_> = fixture
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
            scan(
                &fixture.main_session,
                code,
                i64::try_from(at).expect("a small number"),
            ),
            Some(code),
        )
    });
    let results = fixture
        .ingest(&sync_batch(&fixture.main_session, items.collect(), 3600))
        .await
        .results;
    assert_eq!(
        results
            .iter()
            .filter(|result| result.reason == Some(Reason::Admitted))
            .count(),
        500
    );
    assert_eq!(
        results.iter().filter(|result| result.conflict.is_some()).count(),
        1000
    );
    assert_eq!(fixture.inside().await.2, 1000);
    let exit = exit(&fixture.main_session, codes[0], 4000);
    assert_eq!(fixture.reason(exit).await, Reason::Exited);
}

pub(crate) async fn a_quarantine_holds_10000_scans(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let revoked = fixture
        .store
        .revoke_device(
            fixture.organization,
            fixture.main_session.device,
            after(1),
            audit(),
        )
        .await;
    revoked.expect("the device is revoked");
    let mut statuses = BTreeMap::new();
    for _ in 0..11 {
        let items = (0..1000)
            .map(|at| item(scan(&fixture.main_session, code, at), Some(code)))
            .collect();
        for result in fixture
            .ingest(&sync_batch(&fixture.main_session, items, 3600))
            .await
            .results
        {
            *statuses.entry(result.status).or_insert(0) += 1;
        }
    }
    let expected = [(SyncStatus::Rejected, 1000), (SyncStatus::Quarantined, 10_000)];
    assert_eq!(statuses, BTreeMap::from(expected));
}

pub(crate) async fn an_item_may_name_the_event_of_its_gate_and_no_other(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let mut named = scan(&fixture.main_session, code, 10);
    named.event_id = Some(fixture.event);
    let mut elsewhere = scan(&fixture.main_session, code, 11);
    elsewhere.event_id = Some(fixture.another().await.event);
    let mut unknown = scan(&fixture.main_session, code, 12);
    unknown.event_id = Some(Uuid::new_v4().into());
    let results = fixture
        .sync(&fixture.main_session, code, &[elsewhere, unknown, named])
        .await;
    assert_eq!(
        outcome_of(&results[2]),
        (SyncStatus::Recorded, Some(Reason::Admitted), None)
    );
    for result in &results[..2] {
        assert_eq!(result.status, SyncStatus::Rejected);
        assert_eq!(result.errors[0].pointer, "/event_id");
    }
    let record = &fixture.audit_trail().await[0];
    assert_eq!(record.scan_session_id, Some(fixture.main_session.id));
    // A session at another gate is not the one of the scan.
    let mut at_side_gate = scan(&fixture.main_session, code, 20);
    at_side_gate.gate_id = fixture.side_gate;
    let id = at_side_gate.scan_id;
    fixture.sync(&fixture.main_session, code, &[at_side_gate]).await;
    let trail = fixture.audit_trail().await;
    let record = trail.iter().find(|record| record.scan_id == id);
    assert_eq!(record.expect("a record").scan_session_id, None);
}

pub(crate) async fn the_age_of_a_scan_counts_more_than_the_clock_of_its_device(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let mut wrong_clock = scan(&fixture.main_session, code, 999_999);
    wrong_clock.age_ms = Some(60_000);
    let second = scan(&fixture.side_session, code, 3600 - 59);
    let results = fixture
        .sync(&fixture.main_session, code, std::slice::from_ref(&wrong_clock))
        .await;
    assert_eq!(results[0].reason, Some(Reason::Admitted));
    let late = fixture.sync(&fixture.side_session, code, &[second]).await;
    assert_eq!(
        late[0].reason,
        Some(Reason::AlreadyScanned),
        "it was a second later"
    );
    // The first recording fixes the time: the age at a second sending is another one.
    let mut batch = sync_batch(
        &fixture.main_session,
        vec![item(wrong_clock.clone(), Some(code))],
        7200,
    );
    if let Ok(upload) = &mut batch.items[0].upload {
        upload.scan.age_ms = Some(3_660_000);
    }
    assert_eq!(
        fixture.ingest(&batch).await.results[0].status,
        SyncStatus::Replayed
    );
    let trail = fixture.audit_trail().await;
    let record = trail.iter().find(|record| record.scan_id == wrong_clock.scan_id);
    let record = record.expect("a record");
    assert_eq!(
        (record.scanned_at, record.device_scanned_at),
        (after(3540), Some(after(999_999)))
    );
}

pub(crate) async fn a_ticket_that_was_barred_before_the_scan_is_counted_and_named(fixture: Fixture) {
    for status in [
        SettableStatus::Voided,
        SettableStatus::Refunded,
        SettableStatus::Used,
    ] {
        let fixture = fixture.another().await;
        let code = fixture.ticket("{}").await;
        fixture.set_status_at(code, status, 100).await;
        let before = scan(&fixture.main_session, code, 90);
        let later = scan(&fixture.main_session, code, 110);
        let results = fixture
            .sync(&fixture.main_session, code, &[before.clone(), later.clone()])
            .await;
        assert_eq!(
            outcome_of(&results[0]),
            (SyncStatus::Recorded, Some(Reason::Admitted), None)
        );
        let kind = Some(ConflictKind::LetInDespiteStatus);
        assert_eq!(
            outcome_of(&results[1]),
            (SyncStatus::Recorded, Some(Reason::AlreadyScanned), kind)
        );
        assert_eq!(fixture.inside().await.2, 2, "{status:?}");
        let conflicts = fixture.conflicts().await;
        assert_eq!(conflicts.len(), 1);
        assert_eq!(
            (conflicts[0].winner_scan_id, conflicts[0].other_scan_id),
            (None, later.scan_id)
        );
        assert_eq!(conflicts[0].ticket_code, Some(code));
        // Without the first admission it is one by right, and it stays named.
        fixture
            .undo(before.scan_id, UndoPermission::Member, 4000)
            .await
            .expect("it is undone");
        let again = fixture
            .sync(&fixture.main_session, code, std::slice::from_ref(&later))
            .await;
        assert_eq!(
            outcome_of(&again[0]),
            (SyncStatus::Replayed, Some(Reason::Admitted), kind)
        );
    }
    // A status that was lifted before the scan, or given after it, bars nobody, whenever the scan arrives.
    let code = fixture.ticket("{}").await;
    for (status, seconds) in [
        (SettableStatus::Voided, 100),
        (SettableStatus::Active, 200),
        (SettableStatus::Refunded, 300),
    ] {
        fixture.set_status_at(code, status, seconds).await;
    }
    for (seconds, kind) in [
        (50, None),
        (150, Some(ConflictKind::LetInDespiteStatus)),
        (250, Some(ConflictKind::DoubleEntry)),
    ] {
        let results = fixture
            .sync(
                &fixture.main_session,
                code,
                &[scan(&fixture.main_session, code, seconds)],
            )
            .await;
        assert_eq!(outcome_of(&results[0]).2, kind, "{seconds}");
    }
    // An import bars tickets too: a new one, and one that exists.
    let imported = fixture.ticket(r#"{"status":"voided"}"#).await;
    let existing = fixture.ticket("{}").await;
    fixture
        .import_at(
            &[&format!(r#"{{"code":"{existing}","status":"refunded"}}"#)],
            after(100),
        )
        .await;
    for (code, seconds, kind) in [
        (imported, 5, Some(ConflictKind::LetInDespiteStatus)),
        (existing, 90, None),
        (existing, 110, Some(ConflictKind::LetInDespiteStatus)),
    ] {
        let results = fixture
            .sync(
                &fixture.main_session,
                code,
                &[scan(&fixture.main_session, code, seconds)],
            )
            .await;
        assert_eq!(outcome_of(&results[0]).2, kind, "{seconds}");
    }
    // A denial lets nobody in.
    let mut denied = scan(&fixture.main_session, imported, 20);
    denied.local_result = Some(ScanResult::Refused);
    denied.local_reason = Some(Reason::TicketVoided);
    let results = fixture.sync(&fixture.main_session, imported, &[denied]).await;
    assert_eq!(outcome_of(&results[0]).2, None);
}

pub(crate) async fn a_number_that_belongs_to_another_scan_is_named_and_the_person_counts(fixture: Fixture) {
    let mut numbered = Vec::new();
    for (at, sequence) in [(10, 1), (20, 2), (30, 4), (40, 1), (50, 3)] {
        let code = fixture.ticket("{}").await;
        let mut scan = scan(&fixture.main_session, code, at);
        scan.sequence = Some(sequence);
        numbered.push(item(scan, Some(code)));
    }
    let wiped = numbered.split_off(3);
    let first = fixture
        .ingest(&sync_batch(&fixture.main_session, numbered, 3600))
        .await;
    assert!(first.results.iter().all(|result| result.conflict.is_none()));
    // The phone lost its log and begins at 1 again. Nobody enrolled it.
    let second = sync_batch(&fixture.main_session, wiped, 3600);
    let results = fixture.ingest(&second).await.results;
    let unverified = Some(ConflictKind::Unverified);
    assert_eq!(
        outcome_of(&results[0]),
        (SyncStatus::Recorded, Some(Reason::Admitted), unverified)
    );
    assert_eq!(
        outcome_of(&results[1]),
        (SyncStatus::Recorded, Some(Reason::Admitted), None)
    );
    assert_eq!(fixture.inside().await.2, 5);
    let again = fixture.ingest(&second).await.results;
    assert_eq!(
        outcome_of(&again[0]),
        (SyncStatus::Replayed, Some(Reason::Admitted), unverified)
    );
    let conflicts = fixture.conflicts().await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(Some(conflicts[0].other_scan_id), second.items[0].scan_id);
}

pub(crate) async fn an_accepted_scan_is_recorded_as_if_its_device_were_trusted(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let revoked = fixture
        .store
        .revoke_device(
            fixture.organization,
            fixture.main_session.device,
            after(1),
            audit(),
        )
        .await;
    revoked.expect("the device is revoked");
    let mut one = scan(&fixture.main_session, code, 10);
    one.metadata = serde_json::from_str(r#"{"steward":"Ann"}"#).ok();
    one.sequence = Some(1);
    fixture
        .sync(&fixture.main_session, code, std::slice::from_ref(&one))
        .await;
    let accept = |fixture: &Fixture, id: ScanId, reason: &'static str, seconds: i64| {
        let (store, organization) = (fixture.store.clone(), fixture.organization);
        let acceptance = Acceptance {
            reason: reason_text(reason),
            api_key_id: Uuid::from_u128(1).into(),
            at: after(seconds),
        };
        async move {
            store
                .accept(organization, id, &acceptance, &RULES, audit())
                .await
                .expect("the call succeeds")
        }
    };
    assert!(
        accept(&fixture, ScanId::from_uuid(Uuid::new_v4()), "unknown", 5000)
            .await
            .is_none()
    );
    let elsewhere = fixture.another().await;
    assert!(
        accept(&elsewhere, one.scan_id, "of another organization", 5000)
            .await
            .is_none()
    );
    assert_eq!(fixture.inside().await.2, 0);
    let calls =
        ["seen at the gate", "twice"].map(|reason| tokio::spawn(accept(&fixture, one.scan_id, reason, 5000)));
    let mut records = Vec::new();
    let mut writes = 0;
    for call in calls {
        match call.await.expect("the task completes") {
            Some(AcceptOutcome::Accepted {
                record,
                writes: written,
            }) => {
                writes += usize::from(written.is_some());
                records.push(record);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(writes, 1, "it is recorded once");
    assert_eq!(records[0], records[1]);
    let record = &records[0];
    assert_eq!(
        (record.result, record.reason),
        (ScanResult::Valid, Reason::Admitted)
    );
    assert_eq!((record.scanned_at, record.received_at), (after(10), after(3600)));
    assert_eq!(record.metadata, one.metadata);
    assert_eq!(record.ticket_code, Some(code));
    assert_eq!(fixture.inside().await.2, 1);
    assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 1);
    assert_eq!(fixture.conflicts().await, []);
    // The ticket is used up now.
    assert_eq!(
        fixture.reason(entry(&fixture.side_session, code, 4000)).await,
        Reason::AlreadyScanned
    );
    // A scan that loses when it is accepted is a conflict, like any other.
    let late = scan(&fixture.main_session, code, 20);
    fixture
        .sync(&fixture.main_session, code, std::slice::from_ref(&late))
        .await;
    assert!(accept(&fixture, late.scan_id, "seen too", 6000).await.is_some());
    assert_eq!(fixture.conflicts().await[0].kind, ConflictKind::DoubleEntry);
    assert_eq!(fixture.inside().await.2, 2);
}

pub(crate) async fn concurrent_batches_of_two_devices_lose_nothing(fixture: Fixture) {
    let codes: Vec<_> = [
        fixture.ticket("{}").await,
        fixture.ticket("{}").await,
        fixture.ticket("{}").await,
    ]
    .into();
    let mut calls = Vec::new();
    for round in 0..6 {
        for session in [fixture.main_session, fixture.side_session] {
            let items = codes
                .iter()
                .map(|code| item(scan(&session, *code, round), Some(*code)))
                .collect();
            let (store, batch) = (fixture.store.clone(), sync_batch(&session, items, 3600));
            calls.push(tokio::spawn(
                async move { store.sync(&batch.whole(), &RULES).await },
            ));
        }
    }
    for call in calls {
        let synced = call
            .await
            .expect("the task completes")
            .expect("the batch is recorded");
        assert!(synced.is_some());
    }
    assert_eq!(fixture.inside().await, (18, 18, 36));
    assert_eq!(fixture.conflicts().await.len(), 33);
    let results = fixture.occupancy().await.results;
    assert_eq!((results.valid, results.duplicate), (3, 33));
}

//! Changes of the re-entry policy, the entry limit and the deduplication window: they hold for the scans from then on.
//! What was counted and answered before stays so, and a scan that arrives later is judged by the rules of its own time.

use std::collections::HashMap;
use std::time::Duration;

use voelgoed_scan_core::model::{
    Direction, Reason, Recorded, Reentry, ScanId, ScanResult, Source, TicketCode, Timestamp,
};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::store::{UndoOutcome, UndoPermission};
use voelgoed_scan_core::sync::{SyncScan, UploadItem};

use crate::attempts::{entry, exit, overriding_entry};
use crate::fixture::{Fixture, RULES, TestSession, after};
use crate::random_walks::Random;
use crate::sync::{item, scan, state, sync_batch};

impl Fixture {
    async fn set_policy(&self, seconds: i64, policy: Reentry) {
        self.change_event_at(seconds, |event| event.reentry = policy)
            .await;
    }

    async fn set_limit(&self, seconds: i64, code: TicketCode, limit: usize) {
        let line = format!(r#"{{"code":"{code}","entry_limit":{limit}}}"#);
        self.import_at(&[&line], after(seconds)).await;
    }

    /// Uploads one scan, `arrival` seconds after the start, and returns its reason and its conflict.
    async fn upload(
        &self,
        session: &TestSession,
        code: TicketCode,
        scan: SyncScan,
        arrival: i64,
    ) -> (Option<Reason>, Option<ConflictKind>) {
        let batch = sync_batch(session, vec![item(scan, Some(code))], arrival);
        let result = self.ingest(&batch).await.results.remove(0);
        (result.reason, result.conflict.map(|conflict| conflict.kind))
    }

    /// Uploads a denial, which has the ticket folded again.
    async fn upload_denial(&self, code: TicketCode, seconds: i64, arrival: i64) {
        let denied = SyncScan {
            local_result: Some(ScanResult::Duplicate),
            local_reason: Some(Reason::AlreadyScanned),
            ..scan(&self.main_session, code, seconds)
        };
        let (reason, conflict) = self.upload(&self.main_session, code, denied, arrival).await;
        assert_eq!((reason, conflict), (Some(Reason::AlreadyScanned), None));
    }
}

pub(crate) async fn a_later_change_of_the_rules_changes_no_occupancy(fixture: Fixture) {
    for (policy, limit) in [
        (Reentry::AfterWindow, 2),
        (Reentry::AfterWindow, 3),
        (Reentry::Never, 1),
        (Reentry::Never, 2),
        (Reentry::AfterExit, 1),
        (Reentry::AfterExit, 5),
    ] {
        let fixture = fixture.another().await;
        fixture.set_policy(0, Reentry::AfterWindow).await;
        let code = fixture.ticket("{}").await;
        // Two entries ten minutes apart, at two gates without a connection: the holder came back without an exit scan.
        let (one, two) = (
            scan(&fixture.main_session, code, 10),
            scan(&fixture.side_session, code, 610),
        );
        fixture.upload(&fixture.main_session, code, one, 700).await;
        fixture.upload(&fixture.side_session, code, two, 700).await;
        assert_eq!(fixture.inside().await, (0, 1, 1));
        fixture.set_policy(1000, policy).await;
        fixture.set_limit(1000, code, limit).await;
        fixture.upload_denial(code, 650, 1100).await;
        assert_eq!(fixture.inside().await, (0, 1, 1), "{policy:?} {limit}");
        assert_eq!(fixture.conflicts().await, []);
        assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 2);
        assert_eq!(fixture.leave(code, 1200).await, Reason::Exited);
        assert_eq!(fixture.leave(code, 1201).await, Reason::NotInside);
        assert_eq!(fixture.inside().await, (0, 0, 0), "{policy:?} {limit}");
    }
}

pub(crate) async fn a_changed_policy_makes_no_answered_admission_lose(fixture: Fixture) {
    for (policy, limit) in [(Reentry::Never, 1), (Reentry::AfterExit, 1), (Reentry::Never, 2)] {
        let fixture = fixture.another().await;
        fixture.set_policy(0, Reentry::AfterWindow).await;
        let code = fixture.ticket(&format!(r#"{{"entry_limit":{limit}}}"#)).await;
        assert_eq!(fixture.enter(code, 0).await, Reason::Admitted);
        let offline = scan(&fixture.side_session, code, 310);
        fixture.upload(&fixture.side_session, code, offline, 320).await;
        let online = entry(&fixture.main_session, code, 620);
        assert_eq!(fixture.reason(online.clone()).await, Reason::Readmitted);
        let before = (
            fixture.inside().await,
            fixture.ticket_facts(code).await.ticket.scan_count,
        );
        fixture.set_policy(700, policy).await;
        fixture.set_limit(700, code, 1).await;
        fixture.upload_denial(code, 650, 800).await;
        assert_eq!(fixture.conflicts().await, [], "{policy:?}");
        let after = (
            fixture.inside().await,
            fixture.ticket_facts(code).await.ticket.scan_count,
        );
        assert_eq!((before, before.1), (after, 3), "{policy:?}");
        match fixture.record_one(online).await {
            Recorded::Replayed(answer) => assert_eq!(answer.reason, Reason::Readmitted),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn a_raised_limit_counts_the_admissions_of_before(fixture: Fixture) {
    for leaves in [false, true] {
        let fixture = fixture.another().await;
        fixture.set_policy(0, Reentry::AfterWindow).await;
        let code = fixture.ticket("{}").await;
        for seconds in [0, 10, 20] {
            let attempt = overriding_entry(&fixture.main_session, code, seconds);
            assert!(matches!(
                fixture.reason(attempt).await,
                Reason::Admitted | Reason::Overridden
            ));
            if leaves {
                assert_eq!(fixture.leave(code, seconds + 5).await, Reason::Exited);
            }
        }
        fixture.set_limit(30, code, 3).await;
        assert_eq!(fixture.enter(code, 40).await, Reason::EntryLimitReached);
        // The same for a device without a connection.
        let offline = scan(&fixture.side_session, code, 50);
        assert_eq!(
            fixture.upload(&fixture.side_session, code, offline, 60).await,
            (Some(Reason::EntryLimitReached), Some(ConflictKind::DoubleEntry))
        );
        // The window of the first admission ends. The person without right does not use up the ticket.
        assert_eq!(fixture.enter(code, 300).await, Reason::EntryLimitReached);
        assert_eq!(fixture.enter(code, 301).await, Reason::Readmitted);
        assert_eq!(fixture.enter(code, 310).await, Reason::EntryLimitReached);
        assert_eq!(fixture.enter(code, 311).await, Reason::Readmitted);
    }
}

pub(crate) async fn another_policy_counts_the_admissions_of_before(fixture: Fixture) {
    fixture.set_policy(0, Reentry::AfterExit).await;
    let code = fixture.ticket("{}").await;
    for seconds in [0, 10, 20, 30] {
        fixture.enter(code, seconds).await;
        assert_eq!(fixture.leave(code, seconds + 5).await, Reason::Exited);
    }
    fixture.set_policy(100, Reentry::AfterWindow).await;
    fixture.set_limit(100, code, 4).await;
    assert_eq!(fixture.enter(code, 110).await, Reason::EntryLimitReached);
    assert_eq!(fixture.enter(code, 301).await, Reason::Readmitted);
    fixture.set_policy(400, Reentry::Never).await;
    fixture.set_limit(400, code, 6).await;
    assert_eq!(fixture.enter(code, 410).await, Reason::Admitted);
    assert_eq!(fixture.enter(code, 420).await, Reason::EntryLimitReached);
}

pub(crate) async fn a_scan_is_judged_by_the_rules_of_its_own_time(fixture: Fixture) {
    let upload = |fixture: Fixture, seconds: [i64; 3], code| async move {
        let mut scans = Vec::new();
        // The latest first.
        for seconds in seconds.into_iter().rev() {
            let one = scan(&fixture.main_session, code, seconds);
            fixture
                .upload(&fixture.main_session, code, one.clone(), 3600)
                .await;
            scans.push(one);
        }
        let mut reasons = Vec::new();
        for one in scans.into_iter().rev() {
            reasons.push(fixture.upload(&fixture.main_session, code, one, 3700).await.0);
        }
        reasons.into_iter().flatten().collect::<Vec<_>>()
    };
    // The policy: `never` at first.
    let one = fixture.another().await;
    let code = one.ticket("{}").await;
    one.set_policy(1000, Reentry::AfterWindow).await;
    let reasons = upload(one, [10, 500, 1100], code).await;
    assert_eq!(
        reasons,
        [Reason::Admitted, Reason::AlreadyScanned, Reason::Readmitted]
    );
    // A raised limit.
    let one = fixture.another().await;
    let code = one.ticket("{}").await;
    one.set_limit(1000, code, 2).await;
    let reasons = upload(one, [10, 500, 1100], code).await;
    assert_eq!(
        reasons,
        [Reason::Admitted, Reason::AlreadyScanned, Reason::Admitted]
    );
    // A lowered limit, and one that is lowered and raised again.
    for limits in [&[(1000, 1)][..], &[(1000, 1), (1050, 9), (1080, 1)]] {
        let one = fixture.another().await;
        let code = one.ticket(r#"{"entry_limit":2}"#).await;
        for (seconds, limit) in limits {
            one.set_limit(*seconds, code, *limit).await;
        }
        let reasons = upload(one, [10, 999, 1100], code).await;
        assert_eq!(
            reasons,
            [Reason::Admitted, Reason::Admitted, Reason::AlreadyScanned]
        );
    }
    // A change includes its own moment.
    let one = fixture.another().await;
    let code = one.ticket("{}").await;
    one.set_limit(1000, code, 3).await;
    let reasons = upload(one, [10, 999, 1000], code).await;
    assert_eq!(
        reasons,
        [Reason::Admitted, Reason::AlreadyScanned, Reason::Admitted]
    );
}

pub(crate) async fn an_uploaded_scan_is_judged_by_the_window_of_its_own_time(fixture: Fixture) {
    fixture.set_policy(0, Reentry::AfterWindow).await;
    let code = fixture.ticket("{}").await;
    for (window, seconds) in [(60, 0), (60, 500), (RULES.dedup_window.as_secs(), 1000)] {
        let kept = fixture
            .store
            .keep_dedup_window(Duration::from_secs(window), after(seconds))
            .await;
        kept.expect("the window is stored");
    }
    let mut outcomes = Vec::new();
    for seconds in [10, 71, 990, 1100, 1401] {
        let uploaded = scan(&fixture.main_session, code, seconds);
        outcomes.push(
            fixture
                .upload(&fixture.main_session, code, uploaded, 3600)
                .await
                .0,
        );
    }
    let [readmitted, lost] = [Reason::Readmitted, Reason::AlreadyScanned].map(Some);
    assert_eq!(
        outcomes,
        [Some(Reason::Admitted), readmitted, readmitted, lost, readmitted]
    );
}

pub(crate) async fn a_change_begins_after_every_recorded_scan(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let other = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(code, 500).await, Reason::Admitted);
    // The clock of the node that changes the event is behind, and so is that of the next scan.
    fixture.set_policy(100, Reentry::AfterExit).await;
    let decided = fixture.decided(entry(&fixture.main_session, other, 200)).await;
    assert_eq!(decided.record.scanned_at, after(500).plus_millis(1));
    assert_eq!(fixture.leave(other, 210).await, Reason::Exited);
    let again = fixture.decided(entry(&fixture.main_session, other, 220)).await;
    assert_eq!(again.answer.reason, Reason::Readmitted);
    assert!(again.record.scanned_at > after(500));
    // An entry of before becomes known. The readmission was right by the rules that it was decided by.
    let early = scan(&fixture.side_session, other, 50);
    let (reason, _) = fixture.upload(&fixture.side_session, other, early, 600).await;
    assert_eq!(reason, Some(Reason::Admitted));
    assert_eq!(fixture.leave(other, 610).await, Reason::Exited);
    assert_eq!(fixture.inside().await.2, 2);
}

pub(crate) async fn rules_that_never_held_are_not_kept(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    // Two changes at the same moment, and one by a clock that is behind.
    for (seconds, policy, limit) in [
        (1000, Reentry::AfterExit, 5),
        (1000, Reentry::AfterWindow, 6),
        (900, Reentry::Never, 2),
    ] {
        fixture.set_policy(seconds, policy).await;
        fixture.set_limit(seconds, code, limit).await;
    }
    let mut reasons = Vec::new();
    for seconds in [10, 950, 1001, 1002] {
        let uploaded = scan(&fixture.main_session, code, seconds);
        reasons.extend(
            fixture
                .upload(&fixture.main_session, code, uploaded, 3600)
                .await
                .0,
        );
    }
    assert_eq!(
        reasons,
        [
            Reason::Admitted,
            Reason::AlreadyScanned,
            Reason::Admitted,
            Reason::EntryLimitReached
        ]
    );
}

pub(crate) async fn an_undo_applies_the_rules_of_each_scan(fixture: Fixture) {
    fixture.set_policy(0, Reentry::AfterWindow).await;
    let code = fixture.ticket("{}").await;
    let first = fixture.decided(entry(&fixture.main_session, code, 0)).await;
    let (inside, late) = (
        scan(&fixture.side_session, code, 100),
        scan(&fixture.side_session, code, 500),
    );
    let lost = fixture
        .upload(&fixture.side_session, code, inside.clone(), 600)
        .await;
    assert_eq!(
        lost,
        (Some(Reason::AlreadyScanned), Some(ConflictKind::DoubleEntry))
    );
    fixture
        .upload(&fixture.side_session, code, late.clone(), 600)
        .await;
    fixture.set_policy(1000, Reentry::Never).await;
    fixture.set_limit(1000, code, 4).await;
    let undone = fixture
        .undo(first.record.scan_id, UndoPermission::Member, 1100)
        .await;
    // The holder came back at the side gate, which ended the first admission.
    assert_eq!(undone, Some(UndoOutcome::NotOpen));
    let undone = fixture.undo(late.scan_id, UndoPermission::Member, 1100).await;
    assert!(matches!(undone, Some(UndoOutcome::Undone { .. })), "{undone:?}");
    assert_eq!(fixture.inside().await, (1, 1, 2));
    let undone = fixture
        .undo(first.record.scan_id, UndoPermission::Member, 1100)
        .await;
    assert!(matches!(undone, Some(UndoOutcome::Undone { .. })), "{undone:?}");
    // Without it the entry at the side gate is by right.
    assert_eq!(fixture.inside().await, (0, 1, 1));
    assert_eq!(fixture.conflicts().await, []);
    assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 1);
    // The limit of now: four admissions, one of which is used.
    let mut reasons = Vec::new();
    for seconds in 1200..1204 {
        reasons.push(fixture.enter(code, seconds).await);
    }
    assert_eq!(
        reasons,
        [
            Reason::Admitted,
            Reason::Admitted,
            Reason::Admitted,
            Reason::EntryLimitReached
        ]
    );
}

/// What the server answered, and the number of the scan among all recorded ones.
type Answers = HashMap<ScanId, (usize, Reason)>;

pub(crate) async fn what_was_answered_and_counted_stays_in_any_sequence(fixture: Fixture) {
    for seed in 1..=10 {
        walk(&fixture.another().await, Random(seed)).await;
    }
}

async fn walk(fixture: &Fixture, mut random: Random) {
    let codes = [
        fixture.ticket("{}").await,
        fixture.ticket(r#"{"entry_limit":2}"#).await,
    ];
    fixture.set_policy(0, Reentry::ALL[random.below(4)]).await;
    let mut seconds = 1000;
    let mut answers = Answers::new();
    let mut uploaded = HashMap::new();
    for step in 0..40 {
        seconds += [0, 1, 60, 200, 310][random.below(5)];
        let code = codes[random.below(2)];
        let session = if random.below(2) == 0 {
            fixture.main_session
        } else {
            fixture.side_session
        };
        match random.below(12) {
            0 | 1 => fixture.set_policy(seconds, Reentry::ALL[random.below(4)]).await,
            2 | 3 => fixture.set_limit(seconds, code, random.below(3) + 1).await,
            4 => {
                let trail = fixture.audit_trail().await;
                if let Some(scan) = trail.get(random.below(8)) {
                    fixture.undo(scan.scan_id, UndoPermission::Member, seconds).await;
                }
            }
            5..=7 => {
                let attempt = match random.below(8) {
                    0..=3 => entry(&session, code, seconds),
                    4 => overriding_entry(&session, code, seconds),
                    _ => exit(&session, code, seconds),
                };
                let scan = attempt.scan_id;
                let reason = fixture.reason(attempt).await;
                answers.insert(scan, (step, reason));
            }
            _ => {
                let age = i64::try_from(random.below(900)).expect("small");
                let mut one = scan(&session, code, seconds - age);
                match random.below(6) {
                    0 => one.direction = Direction::Exit,
                    1 => one.local_result = None,
                    2 => one.local_result = Some(ScanResult::Duplicate),
                    _ => {}
                }
                uploaded.insert(one.scan_id, step);
                fixture.upload(&session, code, one, seconds).await;
            }
        }
        check(fixture, &codes, &answers, &uploaded, step).await;
    }
}

/// Checks the counters against the ledgers, the ledgers against the records, and the records against the answers.
async fn check(
    fixture: &Fixture,
    codes: &[TicketCode],
    answers: &Answers,
    uploaded: &HashMap<ScanId, usize>,
    step: usize,
) {
    let trail = fixture.audit_trail().await;
    let conflicts = fixture.conflicts().await;
    let mut inside = 0;
    for code in codes {
        let facts = fixture.ticket_facts(*code).await;
        inside += i64::try_from(facts.ledger.inside(Timestamp::MIN)).expect("few people");
        assert_eq!(facts.ledger.admissions(), facts.ticket.scan_count, "step {step}");
    }
    let occupancy = fixture.occupancy().await;
    assert_eq!(occupancy.event.inside, inside, "step {step}");
    let mut entries = 0;
    for gate in &occupancy.gates {
        let count = gate.count;
        assert!(count.inside >= 0, "step {step}: {count:?}");
        assert_eq!(count.inside, count.entries - count.exits, "step {step}");
        entries += count.entries;
    }
    // A person whom the server or a device let in is one entry. An undecided scan is one if it was admitted.
    let let_in = trail.iter().filter(|record| {
        let by_device = record.source == Source::Sync && record.local_result == Some(ScanResult::Valid);
        record.direction == Direction::Entry
            && record.undone.is_none()
            && (record.result == ScanResult::Valid || by_device)
    });
    assert_eq!(
        entries,
        i64::try_from(let_in.count()).expect("few scans"),
        "step {step}"
    );
    for record in &trail {
        let Some((answered, reason)) = answers.get(&record.scan_id) else {
            continue;
        };
        assert_eq!(record.reason, *reason, "step {step}: an answer changed");
        let lost = conflicts
            .iter()
            .any(|conflict| conflict.other_scan_id == record.scan_id);
        let late = trail.iter().any(|other| {
            uploaded.get(&other.scan_id).is_some_and(|at| at > answered)
                && other.ticket_id == record.ticket_id
                && other.scanned_at <= record.scanned_at
        });
        assert!(
            !lost || late,
            "step {step}: {record:?} lost against what the server knew"
        );
    }
}

pub(crate) async fn uploads_before_and_after_changes_give_the_same_state(fixture: Fixture) {
    let mut random = Random(11);
    for round in 0..12 {
        let policies: Vec<_> = (0..4).map(|_| Reentry::ALL[random.below(4)]).collect();
        let limits: Vec<_> = (0..4).map(|_| random.below(3) + 1).collect();
        let plan: Vec<_> = (0..12).map(|_| Planned::draw(&mut random)).collect();
        let arrivals: Vec<Vec<usize>> = (0..2)
            .map(|_| {
                let slot = |planned: &Planned| planned.first_slot().max(random.below(5));
                plan.iter().map(slot).collect()
            })
            .collect();
        let mut states = Vec::new();
        for arrivals in &arrivals {
            let fixture = fixture.another().await;
            fixture.set_policy(0, Reentry::AfterWindow).await;
            let code = fixture.ticket("{}").await;
            // The rules change in the middle of each slot but the first, and scans arrive at its end.
            for slot in 0..5_usize {
                let seconds = i64::try_from(slot).expect("small") * 1000;
                if let Some(change) = slot.checked_sub(1) {
                    fixture.set_policy(seconds + 500, policies[change]).await;
                    fixture.set_limit(seconds + 500, code, limits[change]).await;
                }
                for (planned, _) in plan.iter().zip(arrivals).filter(|(_, at)| **at == slot) {
                    let session = planned.session(&fixture);
                    let batch = sync_batch(session, vec![planned.item(session, code)], seconds + 1000);
                    fixture.ingest(&batch).await;
                }
            }
            let late = scan(&fixture.main_session, code, 5000);
            let late = SyncScan {
                scan_id: plan[0].id(99),
                ..late
            };
            fixture.upload(&fixture.main_session, code, late, 6000).await;
            states.push(state(&fixture, &[code]).await);
        }
        assert_eq!(states[0], states[1], "round {round}");
    }
}

/// A scan of a device.
struct Planned {
    number: u128,
    seconds: i64,
    at_side_gate: bool,
    direction: Direction,
    local_result: Option<ScanResult>,
}

impl Planned {
    fn draw(random: &mut Random) -> Self {
        Self {
            number: random.below(1 << 30) as u128,
            seconds: i64::try_from(random.below(5000)).expect("small"),
            at_side_gate: random.below(2) == 0,
            direction: if random.below(4) == 0 {
                Direction::Exit
            } else {
                Direction::Entry
            },
            local_result: (random.below(5) > 0).then_some(ScanResult::Valid),
        }
    }

    /// The slot of a thousand seconds in which the scan was made. It cannot arrive before.
    fn first_slot(&self) -> usize {
        usize::try_from(self.seconds / 1000).expect("small")
    }

    fn id(&self, offset: u128) -> ScanId {
        ScanId::from_uuid(uuid::Uuid::from_u128((self.number << 8) + offset))
    }

    fn session<'a>(&self, fixture: &'a Fixture) -> &'a TestSession {
        if self.at_side_gate {
            &fixture.side_session
        } else {
            &fixture.main_session
        }
    }

    fn item(&self, session: &TestSession, code: TicketCode) -> UploadItem {
        let scan = SyncScan {
            scan_id: self.id(0),
            direction: self.direction,
            local_result: self.local_result,
            ..scan(session, code, self.seconds)
        };
        item(scan, Some(code))
    }
}

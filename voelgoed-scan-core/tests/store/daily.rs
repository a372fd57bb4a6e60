//! The policy `daily`: a ticket admits as often as its entry limit on each day, and at a day's begin everybody has left.
//!
//! The event is in Berlin, and its days begin at 20:00: an hour after the start of the tests, and every 24 hours from then.

use voelgoed_scan_core::model::{
    Direction, EventPut, Reason, Recorded, Reentry, ScanResult, TicketCode, TicketStatus,
};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::store::{UndoOutcome, UndoPermission};
use voelgoed_scan_core::sync::{SyncResult, SyncScan, UploadItem};

use crate::attempts::{entry, exit, overriding_entry, reasons};
use crate::fixture::{Fixture, TestSession, after};
use crate::random_walks::Random;
use crate::sync::{item, scan, sync_batch};

/// The starts of the second and the third day, in seconds after the start.
const SECOND: i64 = 3600;
const THIRD: i64 = SECOND + 86_400;

fn daily(event: &mut EventPut) {
    event.reentry = Reentry::Daily;
    event.time_zone = "Europe/Berlin".parse().expect("a zone");
    event.day_starts_at = "20:00".parse().expect("a time of day");
}

impl Fixture {
    async fn make_daily(&self) {
        self.change_event(daily).await;
    }

    /// Entries and exits of the event, as they are shown `seconds` after the start.
    async fn counted_at(&self, seconds: i64) -> (i64, i64) {
        let event = self.occupancy_at(seconds).await.event;
        assert_eq!(event.inside, event.entries - event.exits);
        (event.entries, event.exits)
    }

    /// Uploads scans of one ticket and returns the reason and the conflict of each.
    async fn upload_at(
        &self,
        session: &TestSession,
        code: TicketCode,
        scans: &[SyncScan],
        arrival: i64,
    ) -> Vec<(Option<Reason>, Option<ConflictKind>)> {
        let items: Vec<UploadItem> = scans.iter().map(|scan| item(scan.clone(), Some(code))).collect();
        let results = self.ingest(&sync_batch(session, items, arrival)).await.results;
        let outcome = |result: SyncResult| (result.reason, result.conflict.map(|one| one.kind));
        results.into_iter().map(outcome).collect()
    }
}

pub(crate) async fn a_ticket_admits_as_often_as_its_limit_on_each_day(fixture: Fixture) {
    fixture.make_daily().await;
    let code = fixture.ticket("{}").await;
    for (seconds, reason) in [
        (0, Reason::Admitted),
        (10, Reason::AlreadyScanned),
        (SECOND - 1, Reason::AlreadyScanned),
        (SECOND, Reason::Readmitted),
        (SECOND + 1, Reason::AlreadyScanned),
        (THIRD - 1, Reason::AlreadyScanned),
        (THIRD + 86_400, Reason::Readmitted),
        (THIRD + 86_401, Reason::AlreadyScanned),
    ] {
        assert_eq!(fixture.enter(code, seconds).await, reason, "{seconds}");
    }
    let for_two = fixture.ticket(r#"{"entry_limit":2}"#).await;
    for (seconds, reason) in [
        (0, Reason::Admitted),
        (1, Reason::Admitted),
        (2, Reason::EntryLimitReached),
        (SECOND, Reason::Readmitted),
        (SECOND + 1, Reason::Readmitted),
        (SECOND + 2, Reason::EntryLimitReached),
        (THIRD, Reason::Readmitted),
    ] {
        assert_eq!(fixture.enter(for_two, seconds).await, reason, "{seconds}");
    }
    let facts = fixture.ticket_facts(for_two).await;
    assert_eq!(
        (facts.ticket.scan_count, facts.ticket.status),
        (5, TicketStatus::Scanned)
    );
}

pub(crate) async fn an_exit_gives_no_second_entry_on_the_same_day(fixture: Fixture) {
    fixture.make_daily().await;
    let code = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(code, 0).await, Reason::Admitted);
    assert_eq!(fixture.leave(code, 1).await, Reason::Exited);
    assert_eq!(fixture.leave(code, 2).await, Reason::NotInside);
    assert_eq!(fixture.enter(code, 3).await, Reason::AlreadyScanned);
    assert_eq!(fixture.inside_at(3).await, (0, 0, 0));
}

pub(crate) async fn an_exit_of_somebody_admitted_on_an_earlier_day_is_not_inside(fixture: Fixture) {
    fixture.make_daily().await;
    let code = fixture.ticket("{}").await;
    let entered = entry(&fixture.side_session, code, 0);
    let entry_id = entered.scan_id;
    assert_eq!(fixture.reason(entered).await, Reason::Admitted);
    let late = fixture
        .decided(exit(&fixture.main_session, code, SECOND))
        .await
        .answer;
    assert_eq!(late.reason, Reason::NotInside);
    assert_eq!(
        late.previous_scan.map(|previous| previous.scan_id),
        Some(entry_id)
    );
    assert_eq!(fixture.counted_at(SECOND).await, (0, 0));
    assert_eq!(fixture.enter(code, SECOND + 1).await, Reason::Readmitted);
    assert_eq!(fixture.leave(code, SECOND + 2).await, Reason::Exited);
    assert_eq!(fixture.counted_at(SECOND + 2).await, (1, 1));
}

pub(crate) async fn occupancy_is_that_of_the_present_day(fixture: Fixture) {
    fixture.make_daily().await;
    let codes = [fixture.ticket("{}").await, fixture.ticket("{}").await];
    assert_eq!(
        fixture.reason(entry(&fixture.main_session, codes[0], 0)).await,
        Reason::Admitted
    );
    assert_eq!(
        fixture.reason(entry(&fixture.side_session, codes[1], 1)).await,
        Reason::Admitted
    );
    assert_eq!(fixture.inside_at(SECOND - 1).await, (1, 1, 2));
    // Nothing runs at the start of the day: a read shows that everybody has left.
    assert_eq!(fixture.inside_at(SECOND).await, (0, 0, 0));
    assert_eq!(fixture.counted_at(SECOND).await, (0, 0));
    assert_eq!(
        fixture.occupancy_at(SECOND).await.results.valid,
        2,
        "results are not of a day"
    );
    // The next scan counts from there, at its own gate and at the event.
    let answer = fixture
        .decided(entry(&fixture.main_session, codes[0], SECOND))
        .await
        .answer;
    let shown = answer.occupancy;
    assert_eq!(
        (answer.reason, shown.gate.inside, shown.event.inside),
        (Reason::Readmitted, 1, 1)
    );
    assert_eq!(fixture.inside_at(SECOND + 1).await, (1, 0, 1));
    assert_eq!(fixture.counted_at(SECOND + 1).await, (1, 0));
    // So does a first admission, which may take the fast path.
    let new = fixture.ticket("{}").await;
    let shown = fixture
        .decided(entry(&fixture.side_session, new, THIRD))
        .await
        .answer
        .occupancy;
    assert_eq!((shown.gate.inside, shown.event.inside), (1, 1));
    let another = fixture.ticket("{}").await;
    let shown = fixture
        .decided(entry(&fixture.main_session, another, THIRD + 1))
        .await
        .answer
        .occupancy;
    assert_eq!((shown.gate.inside, shown.event.inside), (1, 2));
    assert_eq!(fixture.inside_at(THIRD + 1).await, (1, 1, 2));
}

pub(crate) async fn capacities_hold_for_the_people_of_the_day(fixture: Fixture) {
    for at_gate in [true, false] {
        let fixture = fixture.another().await;
        fixture
            .change_event(|event| {
                daily(event);
                event.capacity = (!at_gate).then_some(1);
            })
            .await;
        fixture
            .change_gate(fixture.main_gate, |gate| gate.capacity = at_gate.then_some(1))
            .await;
        let full = if at_gate {
            Reason::GateFull
        } else {
            Reason::EventFull
        };
        let mut codes = Vec::new();
        for _ in 0..6 {
            codes.push(fixture.ticket("{}").await);
        }
        assert_eq!(fixture.enter(codes[0], 0).await, Reason::Admitted);
        assert_eq!(fixture.enter(codes[1], SECOND - 1).await, full);
        assert_eq!(fixture.enter(codes[1], SECOND).await, Reason::Admitted);
        assert_eq!(fixture.enter(codes[2], SECOND + 1).await, full);
        assert_eq!(
            fixture.enter(codes[0], SECOND + 2).await,
            full,
            "a readmission adds a person"
        );
        // One batch on both sides of the start of a day.
        let batch = [
            entry(&fixture.main_session, codes[3], THIRD - 1),
            entry(&fixture.main_session, codes[4], THIRD),
            entry(&fixture.main_session, codes[5], THIRD + 1),
        ];
        let mut found = reasons(&fixture.record(&batch).await);
        found.sort_unstable_by_key(|reason| *reason == full);
        assert_eq!(found, [Reason::Admitted, full, full]);
        assert_eq!(fixture.counted_at(THIRD + 1).await, (1, 0));
    }
}

pub(crate) async fn an_upload_of_an_earlier_day_does_not_change_the_present_one(fixture: Fixture) {
    fixture.make_daily().await;
    let (code, other) = (fixture.ticket("{}").await, fixture.ticket("{}").await);
    assert_eq!(fixture.enter(other, SECOND).await, Reason::Admitted);
    assert_eq!(fixture.counted_at(SECOND).await, (1, 0));
    let mut left = scan(&fixture.side_session, code, 20);
    left.direction = Direction::Exit;
    let day_one = [
        scan(&fixture.main_session, code, 10),
        left,
        scan(&fixture.main_session, code, 30),
    ];
    let outcomes = fixture
        .upload_at(&fixture.main_session, code, &day_one, SECOND + 60)
        .await;
    assert_eq!(
        outcomes,
        [
            (Some(Reason::Admitted), Some(ConflictKind::DoubleEntry)),
            (Some(Reason::Exited), None),
            (Some(Reason::AlreadyScanned), Some(ConflictKind::DoubleEntry)),
        ]
    );
    assert_eq!(fixture.counted_at(SECOND + 60).await, (1, 0));
    // The phone's scan of the present day is one of it.
    let day_two = [scan(&fixture.side_session, code, SECOND + 5)];
    let outcomes = fixture
        .upload_at(&fixture.side_session, code, &day_two, SECOND + 61)
        .await;
    assert_eq!(outcomes, [(Some(Reason::Readmitted), None)]);
    assert_eq!(fixture.counted_at(SECOND + 61).await, (2, 0));
    assert_eq!(fixture.enter(code, SECOND + 62).await, Reason::AlreadyScanned);
    assert_eq!(fixture.enter(code, THIRD).await, Reason::Readmitted);
}

pub(crate) async fn an_undo_of_an_earlier_day_does_not_change_the_present_one(fixture: Fixture) {
    fixture.make_daily().await;
    let code = fixture.ticket("{}").await;
    let entries = [0, SECOND, SECOND + 86_400].map(|seconds| entry(&fixture.main_session, code, seconds));
    let ids = entries.each_ref().map(|attempt| attempt.scan_id);
    for attempt in entries {
        assert_eq!(fixture.reason(attempt).await.result(), ScanResult::Valid);
    }
    let undo = async |index: usize| fixture.undo(ids[index], UndoPermission::Member, THIRD + 60).await;
    assert!(matches!(
        undo(0).await,
        Some(UndoOutcome::Undone { again: false, .. })
    ));
    assert_eq!(fixture.counted_at(THIRD + 60).await, (1, 0));
    assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 2);
    assert_eq!(fixture.enter(code, THIRD + 61).await, Reason::AlreadyScanned);
    assert!(matches!(
        undo(2).await,
        Some(UndoOutcome::Undone { again: false, .. })
    ));
    assert_eq!(fixture.counted_at(THIRD + 62).await, (0, 0));
    assert!(matches!(
        undo(1).await,
        Some(UndoOutcome::Undone { again: false, .. })
    ));
    assert_eq!(
        fixture.ticket_facts(code).await.ticket.status,
        TicketStatus::Active
    );
    assert_eq!(fixture.enter(code, THIRD + 63).await, Reason::Admitted);
}

pub(crate) async fn an_admission_that_an_exit_ended_cannot_be_undone_on_a_later_day(fixture: Fixture) {
    fixture.make_daily().await;
    let code = fixture.ticket("{}").await;
    let entered = entry(&fixture.main_session, code, 0);
    let scan = entered.scan_id;
    fixture.reason(entered).await;
    assert_eq!(fixture.leave(code, 1).await, Reason::Exited);
    assert_eq!(fixture.enter(code, SECOND).await, Reason::Readmitted);
    let undo = fixture.undo(scan, UndoPermission::Member, SECOND + 1).await;
    assert!(matches!(undo, Some(UndoOutcome::NotOpen)), "{undo:?}");
}

pub(crate) async fn a_change_of_the_days_holds_for_the_scans_from_then_on(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(code, -86_400).await, Reason::Admitted);
    // From now on the ticket admits daily. Who was counted inside stays so until the next day begins.
    fixture.change_event_at(0, daily).await;
    assert_eq!(fixture.inside_at(1).await, (1, 0, 1));
    assert_eq!(fixture.enter(code, 2).await, Reason::Readmitted);
    assert_eq!(
        fixture.counted_at(2).await,
        (2, 1),
        "the holder came back without an exit scan"
    );
    assert_eq!(fixture.inside_at(SECOND).await, (0, 0, 0));
    assert_eq!(fixture.enter(code, SECOND).await, Reason::Readmitted);
    // Days begin an hour later. It is again the day before, on which the ticket was admitted.
    let later = |event: &mut EventPut| {
        daily(event);
        event.day_starts_at = "21:00".parse().expect("a time of day");
    };
    fixture.change_event_at(SECOND + 60, later).await;
    assert_eq!(fixture.enter(code, SECOND + 61).await, Reason::AlreadyScanned);
    assert_eq!(fixture.counted_at(SECOND + 61).await, (1, 0));
    let (second, day) = (SECOND + 3600, 86_400);
    assert_eq!(fixture.enter(code, second).await, Reason::Readmitted);
    // In another zone the same local time comes earlier: at 16:00 of the next day for Berlin.
    let elsewhere = |event: &mut EventPut| {
        later(event);
        event.time_zone = "Asia/Dubai".parse().expect("a zone");
    };
    fixture.change_event_at(second + 60, elsewhere).await;
    assert_eq!(fixture.enter(code, second + 61).await, Reason::AlreadyScanned);
    assert_eq!(
        fixture.enter(code, second + day - 3 * 3600 - 1).await,
        Reason::AlreadyScanned
    );
    assert_eq!(
        fixture.enter(code, second + day - 3 * 3600).await,
        Reason::Readmitted
    );
    // Under another policy nobody comes back who left because a day began.
    fixture
        .change_event_at(second + day, |event| event.reentry = Reentry::Never)
        .await;
    assert_eq!(fixture.counted_at(second + 9 * day).await, (1, 0));
    assert_eq!(fixture.leave(code, second + 9 * day).await, Reason::Exited);
    assert_eq!(fixture.leave(code, second + 9 * day + 1).await, Reason::NotInside);
    assert_eq!(fixture.counted_at(second + 10 * day).await, (1, 1));
    // A phone's scans of all these days arrive at last. Each is judged by the days of its own time.
    let tardy = fixture.ticket("{}").await;
    let times = [
        -100,
        10,
        SECOND + 10,
        SECOND + 70,
        second + 10,
        second + day - 10,
        second + 2 * day,
    ];
    let scans = times.map(|seconds| scan(&fixture.main_session, tardy, seconds));
    let outcomes = fixture
        .upload_at(&fixture.main_session, tardy, &scans, second + 11 * day)
        .await;
    let reasons: Vec<_> = outcomes.into_iter().filter_map(|(reason, _)| reason).collect();
    assert_eq!(
        reasons,
        [
            Reason::Admitted,
            // On the day of the first scan, which began at 20:00 of the day before.
            Reason::AlreadyScanned,
            Reason::Readmitted,
            Reason::AlreadyScanned,
            Reason::Readmitted,
            Reason::Readmitted,
            Reason::AlreadyScanned,
        ]
    );
}

pub(crate) async fn counts_are_those_of_the_day_whatever_arrives_in_whatever_order(fixture: Fixture) {
    let mut random = Random(4711);
    for _ in 0..8 {
        let fixture = fixture.another().await;
        fixture.make_daily().await;
        let codes = [
            fixture.ticket("{}").await,
            fixture.ticket(r#"{"entry_limit":2}"#).await,
        ];
        // No scan is older than the start of the second day, from which on the event is daily without exception.
        let mut seconds = THIRD + 86_400;
        for step in 0..25 {
            seconds += [1, 300, 1800, 20_000, 60_000][random.below(5)];
            let code = codes[random.below(2)];
            let session = [fixture.main_session, fixture.side_session][random.below(2)];
            match random.below(10) {
                0..=4 => {
                    let attempt = match random.below(8) {
                        0..=4 => entry(&session, code, seconds),
                        5 => overriding_entry(&session, code, seconds),
                        _ => exit(&session, code, seconds),
                    };
                    assert!(matches!(fixture.record_one(attempt).await, Recorded::Decided(_)));
                }
                5..=8 => {
                    // Up to two days old.
                    let age = i64::try_from(random.below(172_800)).expect("small");
                    let mut one = scan(&session, code, seconds - age);
                    match random.below(5) {
                        0 => one.direction = Direction::Exit,
                        1 => one.local_result = None,
                        _ => {}
                    }
                    fixture.upload_at(&session, code, &[one], seconds).await;
                }
                _ => {
                    let trail = fixture.audit_trail().await;
                    if let Some(scan) = trail.get(random.below(6)) {
                        fixture.undo(scan.scan_id, UndoPermission::Member, seconds).await;
                    }
                }
            }
            check_counts(&fixture, &codes, seconds, step).await;
        }
    }
}

/// Checks the counters of the day against the ledgers and against the records of the day.
async fn check_counts(fixture: &Fixture, codes: &[TicketCode], seconds: i64, step: usize) {
    let begin = after(SECOND + (seconds - SECOND).div_euclid(86_400) * 86_400);
    let mut inside = 0;
    for code in codes {
        let facts = fixture.ticket_facts(*code).await;
        inside += i64::try_from(facts.ledger.inside(begin)).expect("few people");
    }
    let occupancy = fixture.occupancy_at(seconds).await;
    assert_eq!(occupancy.event.inside, inside, "step {step}");
    let trail = fixture.audit_trail().await;
    let let_in = trail.iter().filter(|record| {
        let by_device = record.local_result == Some(ScanResult::Valid);
        record.direction == Direction::Entry
            && record.undone.is_none()
            && record.scanned_at >= begin
            && (record.result == ScanResult::Valid || by_device)
    });
    let entries = i64::try_from(let_in.count()).expect("few scans");
    assert_eq!(occupancy.event.entries, entries, "step {step}");
    let at_gates: i64 = occupancy.gates.iter().map(|gate| gate.count.entries).sum();
    assert_eq!(at_gates, entries, "step {step}");
    assert!(
        occupancy.gates.iter().all(|gate| gate.count.inside >= 0),
        "step {step}"
    );
}

//! The report of an event.

use voelgoed_scan_core::model::{
    Attempt, AuditActorKind, EventStatus, Reason, Reentry, ScanResult, SettableStatus, TicketCode,
};
use voelgoed_scan_core::report::{ClassAttendance, EventReport, Interval, ReasonCount, TicketCounts};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::store::UndoPermission;

use crate::attempts::{entry, exit, overriding_entry};
use crate::fixture::{Fixture, after, live, put_event};
use crate::sync::scan as offline_entry;

/// How many scans the store reads at once, and some more.
const MORE_THAN_ONE_READ: usize = 5_200;

impl Fixture {
    async fn report_at(&self, seconds: i64) -> EventReport {
        self.store
            .report(self.organization, self.event, after(seconds))
            .await
            .expect("the report is read")
            .expect("the event exists")
    }

    async fn tickets(&self, class: &str, count: usize) -> Vec<TicketCode> {
        let line = format!(r#"{{"ticket_class":"{class}"}}"#);
        let mut codes = Vec::new();
        for _ in 0..count {
            codes.push(self.ticket(&line).await);
        }
        codes
    }
}

fn attendance(class: Option<&str>, sold: i64, came: i64) -> ClassAttendance {
    ClassAttendance {
        class: class.map(|class| class.parse().expect("a class")),
        sold,
        came,
        no_shows: sold - came,
    }
}

fn denials(report: &EventReport) -> Vec<(Reason, i64)> {
    let pair = |row: &ReasonCount| (row.reason, row.count);
    report.denials.iter().map(pair).collect()
}

pub(crate) async fn a_report_counts_sold_tickets_by_class_without_voided_and_refunded_ones(fixture: Fixture) {
    let vip = fixture.tickets("VIP", 3).await;
    let standing = fixture.tickets("Standing", 4).await;
    let plain = fixture.ticket("{}").await;
    for code in [vip[0], vip[2], standing[0], plain] {
        assert_eq!(fixture.enter(code, 60).await, Reason::Admitted);
    }
    // Came, and was voided afterwards; never came, and was refunded.
    fixture.set_status(vip[2], SettableStatus::Voided).await;
    fixture.set_status(standing[3], SettableStatus::Refunded).await;
    // Was let in by mistake, so it did not come.
    let mistake = fixture
        .decided(entry(&fixture.main_session, standing[1], 70))
        .await;
    fixture
        .undo(mistake.record.scan_id, UndoPermission::Member, 80)
        .await;
    let report = fixture.report_at(100).await;
    assert_eq!(
        report.classes,
        [
            attendance(Some("VIP"), 2, 1),
            attendance(Some("Standing"), 3, 1),
            attendance(None, 1, 1),
        ]
    );
    let expected = TicketCounts {
        sold: 6,
        came: 3,
        no_shows: 3,
        voided: 1,
        refunded: 1,
    };
    assert_eq!(report.tickets, expected);
}

pub(crate) async fn arrivals_are_the_entries_of_the_occupancy_by_quarter_of_an_hour(fixture: Fixture) {
    fixture
        .change_event(|event| event.reentry = Reentry::AfterExit)
        .await;
    let codes = fixture.tickets("VIP", 5).await;
    for (code, seconds) in [(codes[0], 0), (codes[1], 899), (codes[2], 900), (codes[3], 1800)] {
        assert_eq!(fixture.enter(code, seconds).await, Reason::Admitted);
    }
    assert_eq!(fixture.leave(codes[0], 1000).await, Reason::Exited);
    assert_eq!(fixture.enter(codes[0], 1010).await, Reason::Readmitted);
    assert_eq!(fixture.enter(codes[0], 1020).await, Reason::AlreadyInside);
    let side = fixture.reason(entry(&fixture.side_session, codes[4], 1799)).await;
    assert_eq!(side, Reason::Admitted);
    // Undone: nobody came in.
    let mistake = fixture.ticket("{}").await;
    let mistake = fixture.decided(entry(&fixture.main_session, mistake, 30)).await;
    fixture
        .undo(mistake.record.scan_id, UndoPermission::Member, 40)
        .await;
    let report = fixture.report_at(2000).await;
    let quarter = |index: i64, entries: i64| Interval {
        from: after(index * 900),
        entries,
    };
    let (main, side) = (&report.arrivals.gates[0], &report.arrivals.gates[1]);
    assert_eq!(
        (main.gate_id, side.gate_id),
        (fixture.main_gate, fixture.side_gate)
    );
    assert_eq!(main.intervals, [quarter(0, 2), quarter(1, 2), quarter(2, 1)]);
    assert_eq!(main.peak, Some(quarter(0, 2)), "the first of two");
    assert_eq!(side.intervals, [quarter(1, 1)]);
    assert_eq!(report.arrivals.peak, Some(quarter(1, 3)));
    let occupancy = fixture.occupancy_at(2000).await;
    assert_eq!(report.occupancy, occupancy.event);
    for (gate, count) in report.arrivals.gates.iter().zip(&occupancy.gates) {
        assert_eq!(gate.entries, count.count.entries, "{}", gate.gate_name);
    }
    assert_eq!((report.arrivals.entries, occupancy.event.entries), (6, 6));
    assert_eq!((report.scans.recorded, report.scans.exits), (9, 1));
    assert_eq!(denials(&report), [(Reason::AlreadyInside, 1)]);
}

pub(crate) async fn people_whom_offline_devices_let_in_came_in_whoever_won(fixture: Fixture) {
    let code = fixture.tickets("VIP", 1).await[0];
    let first = offline_entry(&fixture.main_session, code, 10);
    let second = offline_entry(&fixture.side_session, code, 20);
    let mut denied = offline_entry(&fixture.side_session, code, 30);
    denied.local_result = Some(ScanResult::Duplicate);
    denied.local_reason = Some(Reason::AlreadyScanned);
    fixture.sync(&fixture.main_session, code, &[first]).await;
    fixture
        .sync(&fixture.side_session, code, &[second.clone(), denied])
        .await;
    let report = fixture.report_at(4000).await;
    assert_eq!(report.occupancy, fixture.occupancy_at(4000).await.event);
    assert_eq!((report.arrivals.entries, report.occupancy.entries), (2, 2));
    assert_eq!(report.classes, [attendance(Some("VIP"), 1, 1)]);
    assert_eq!((report.scans.conflicts, report.scans.uploaded), (1, 3));
    let conflict = &report.conflicts[0];
    assert_eq!(
        (conflict.kind, conflict.other_scan_id),
        (ConflictKind::DoubleEntry, second.scan_id)
    );
    // The loser is recorded as a duplicate, as the list of scans has it.
    assert_eq!(denials(&report), [(Reason::AlreadyScanned, 2)]);
}

pub(crate) async fn a_report_says_who_forced_and_undid_what_and_why(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(code, 10).await, Reason::Admitted);
    let forced = fixture
        .decided(overriding_entry(&fixture.side_session, code, 20))
        .await;
    assert_eq!(forced.answer.reason, Reason::Overridden);
    fixture
        .undo(forced.record.scan_id, UndoPermission::Member, 30)
        .await;
    let other = fixture.ticket("{}").await;
    let own = fixture.decided(entry(&fixture.main_session, other, 40)).await;
    let device = UndoPermission::Device(fixture.main_session.device, std::time::Duration::from_mins(15));
    fixture.undo(own.record.scan_id, device, 50).await;
    let report = fixture.report_at(60).await;
    let [row] = report.overrides.as_slice() else {
        panic!("one override: {:?}", report.overrides);
    };
    assert_eq!((row.scan_id, row.at), (forced.record.scan_id, after(20)));
    assert_eq!(row.would_have_been, Some(Reason::AlreadyScanned));
    assert_eq!(row.reason.as_deref(), Some("the promoter says so"));
    assert_eq!(row.gate_name.as_deref(), Some("Side"));
    assert_eq!(row.by.name.as_deref(), Some("scanner-2"));
    assert_eq!(row.by.id, Some(*fixture.side_session.device.as_uuid()));
    assert!(row.undone);
    let [by_member, by_device] = report.undos.as_slice() else {
        panic!("two undos: {:?}", report.undos);
    };
    assert_eq!(by_member.scan_id, forced.record.scan_id);
    assert_eq!((by_member.at, by_member.scanned_at), (after(30), after(20)));
    assert_eq!(by_member.reason.as_deref(), Some("a mistake"));
    // The undo is not in the audit log yet; the context of the tests is the command line.
    assert_eq!(by_member.by.kind, AuditActorKind::Cli);
    assert_eq!(by_device.by.kind, AuditActorKind::Device);
    assert_eq!(by_device.by.name.as_deref(), Some("scanner-1"));
    assert_eq!((report.scans.overrides, report.scans.undos), (1, 2));
    assert_eq!(report.left_out, voelgoed_scan_core::report::LeftOut::default());
    let names: Vec<_> = report.devices.iter().map(|row| row.name.as_deref()).collect();
    assert_eq!(names, [Some("scanner-1"), Some("scanner-2")]);
    let second = &report.devices[1];
    assert_eq!((second.scans, second.entries, second.overrides), (1, 0, 1));
    assert_eq!((second.first_at, second.last_at), (after(20), after(20)));
}

pub(crate) async fn a_report_of_more_scans_than_one_read_counts_each_once(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(code, 0).await, Reason::Admitted);
    let attempts: Vec<Attempt> = (0..MORE_THAN_ONE_READ)
        .map(|number| {
            let seconds = i64::try_from(number / 4).expect("a small number");
            let session = if number % 2 == 0 {
                &fixture.main_session
            } else {
                &fixture.side_session
            };
            entry(session, code, seconds)
        })
        .collect();
    for batch in attempts.chunks(1_000) {
        fixture.record(batch).await;
    }
    let report = fixture.report_at(4000).await;
    let many = i64::try_from(MORE_THAN_ONE_READ).expect("a small number");
    assert_eq!(denials(&report), [(Reason::AlreadyScanned, many)]);
    assert_eq!(report.scans.recorded, many + 1);
    let scans: Vec<_> = report.devices.iter().map(|row| row.scans).collect();
    assert_eq!(scans, [many / 2 + 1, many / 2]);
    assert_eq!(report.scans.last_at, Some(after(many / 4 - 1)));
}

pub(crate) async fn a_report_is_about_one_event_of_one_organization(fixture: Fixture) {
    let other = fixture.another().await;
    let code = other.tickets("VIP", 1).await[0];
    other.enter(code, 10).await;
    let empty = fixture.report_at(100).await;
    assert_eq!((empty.scans.recorded, empty.tickets.sold), (0, 0));
    assert_eq!((empty.arrivals.peak, empty.scans.first_at), (None, None));
    assert!(empty.devices.is_empty() && empty.classes.is_empty());
    let foreign = fixture
        .store
        .report(fixture.organization, other.event, after(100))
        .await;
    assert_eq!(foreign.expect("read"), None);
    // A ticket that is presented at another event of its organization is one of its own event alone.
    let mut second = live();
    second.status = EventStatus::Draft;
    let second = put_event(&*other.store, other.organization, &second).await;
    let report = other.store.report(other.organization, second, after(100)).await;
    let report = report.expect("read").expect("it exists");
    assert_eq!((report.scans.recorded, report.tickets.sold), (0, 0));
    assert_eq!(other.report_at(100).await.scans.recorded, 1);
    let left = other.reason(exit(&other.main_session, code, 20)).await;
    assert_eq!(left, Reason::Exited);
}

//! A device that uploads very many scans of one ticket.

use std::sync::atomic::Ordering;

use super::*;

/// An admission of the first ticket that a device reports.
fn admission(number: u128, device: u128) -> Step {
    Step {
        number,
        device,
        gate: 3,
        ticket: 0,
        seconds: i64::try_from(number % 100_000).expect("small"),
        direction: Direction::Entry,
        report: Report::Admitted,
        online: false,
        overrides: false,
        undone: false,
    }
}

fn admissions(numbers: std::ops::Range<u128>, device: u128) -> Vec<Step> {
    numbers.map(|number| admission(number, device)).collect()
}

#[test]
fn the_conflict_of_a_scan_is_found_without_a_search() {
    let mut database = TestDatabase::new(Reentry::Never, 1);
    database.sync(70, &admissions(1000..1200, 70), 900);
    let mut histories = TicketHistories::default();
    for state in database.history() {
        histories.add_stored(state);
    }
    let (winner, loser) = (id(1000), id(1199));
    histories.change(loser, |_| ());
    histories.refold(&database.tickets, |facts, _| Some(database.rules_of(facts)), NOW);
    let before = histories.lookups.load(Ordering::Relaxed);
    let won = histories.conflict(winner).expect("a conflict");
    assert_eq!((won.winner_scan_id, won.other_scan_id), (Some(winner), id(1001)));
    let lost = histories.conflict(loser).expect("a conflict");
    assert_eq!((lost.winner_scan_id, lost.other_scan_id), (Some(winner), loser));
    assert!(histories.lookups.load(Ordering::Relaxed) - before <= 5);
}

fn statuses(results: &[SyncResult]) -> BTreeMap<SyncStatus, usize> {
    let mut statuses = BTreeMap::new();
    for result in results {
        *statuses.entry(result.status).or_default() += 1;
    }
    statuses
}

#[test]
fn scans_of_a_device_past_the_limit_of_a_ticket_go_into_quarantine() {
    let mut database = TestDatabase::new(Reentry::Never, 1);
    let first = statuses(&database.sync(70, &admissions(1000..1600, 70), 3600));
    assert_eq!(first, BTreeMap::from([(SyncStatus::Recorded, 600)]));
    let second = statuses(&database.sync(70, &admissions(1500..2500, 70), 3600));
    assert_eq!(
        second,
        BTreeMap::from([
            (SyncStatus::Replayed, 100),
            (SyncStatus::Recorded, 400),
            (SyncStatus::Quarantined, 500)
        ])
    );
    let people = database.people();
    assert_eq!(people, (1000, 1000));
    let status =
        |database: &mut TestDatabase, step: Step| database.sync(step.device, &[step], 3600)[0].status;
    let exit = Step {
        direction: Direction::Exit,
        ..admission(5000, 70)
    };
    let denied = Step {
        report: Report::Denied,
        ..admission(5001, 70)
    };
    let other_ticket = Step {
        ticket: 1,
        ..admission(5002, 70)
    };
    assert_eq!(status(&mut database, exit), SyncStatus::Quarantined);
    assert_eq!(
        status(&mut database, denied),
        SyncStatus::Recorded,
        "a denial is no part of the history"
    );
    assert_eq!(status(&mut database, other_ticket), SyncStatus::Recorded);
    assert_eq!(
        status(&mut database, admission(5003, 71)),
        SyncStatus::Recorded,
        "other devices are not affected"
    );
}

#[test]
fn many_devices_do_not_make_a_history_grow_without_end() {
    let mut database = TestDatabase::new(Reentry::AfterExit, 1);
    for device in 70..77 {
        let first = 1000 + (device - 70) * 900;
        database.sync(device, &admissions(first..first + 900, device), 3600);
    }
    assert_eq!(database.history().len(), 5000);
    assert_eq!(database.people(), (5000, 5000));
}

#[test]
fn up_to_the_limit_the_order_and_grouping_of_uploads_make_no_difference() {
    let mut scans: Vec<_> = admissions(1000..2000, 70);
    scans.extend(admissions(2000..3000, 71));
    for step in scans.iter_mut().step_by(3) {
        step.direction = Direction::Exit;
        step.seconds += 40;
    }
    let upload = |order: &[&[Step]]| {
        let mut database = TestDatabase::new(Reentry::AfterExit, 2);
        for batch in order {
            let statuses = statuses(&database.sync(batch[0].device, batch, 3600));
            assert_eq!(statuses, BTreeMap::from([(SyncStatus::Recorded, batch.len())]));
        }
        database.state()
    };
    let (one, other) = scans.split_at(1000);
    let once = upload(&[one, other]);
    let parts = [
        &other[700..],
        &one[900..],
        &other[..700],
        &one[..400],
        &one[400..900],
    ];
    assert!(upload(&parts) == once);
}

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

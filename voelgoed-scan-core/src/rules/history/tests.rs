mod linear;
mod plain;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{GateId, Reentry, Timestamp};
use crate::rules::decision::tests::{WINDOW, gate, passage};

fn scan() -> impl Strategy<Value = PastScan> {
    let reasons = prop::sample::select(vec![
        Reason::Admitted,
        Reason::Readmitted,
        Reason::Overridden,
        Reason::Exited,
    ]);
    (any::<u128>(), 0..100_i64, 3..6_u128, reasons, 1..4_u8).prop_map(
        |(id, seconds, at, reason, entry_limit)| {
            let mut passage = passage(id, seconds);
            passage.gate_id = gate(at).id;
            let direction = if reason == Reason::Exited {
                Direction::Exit
            } else {
                Direction::Entry
            };
            PastScan::answered(passage, direction, reason, entry_limit)
        },
    )
}

fn rules(reentry: Reentry, entry_limit: u8) -> TicketRules {
    TicketRules::constant(reentry, entry_limit, WINDOW)
}

/// The policies under which nobody leaves because a day begins.
const ENDLESS: &[Reentry] = &[Reentry::Never, Reentry::AfterWindow, Reentry::AfterExit];

fn totals(movements: &[Movement]) -> BTreeMap<GateId, (i64, i64)> {
    let mut totals = BTreeMap::new();
    for movement in movements {
        let (entries, exits): &mut (i64, i64) = totals.entry(movement.gate_id).or_default();
        *entries += movement.entries;
        *exits += movement.exits;
    }
    totals.retain(|_, counts| *counts != (0, 0));
    totals
}

proptest! {
    #[test]
    fn the_order_in_which_scans_become_known_does_not_matter(
        scans in prop::collection::vec(scan(), 0..20),
        shuffled in any::<prop::sample::Index>(),
        entry_limit in 1..4_u8,
        reentry in prop::sample::select(Reentry::ALL),
    ) {
        let rules = rules(reentry, entry_limit);
        let once = fold(&scans, &rules);
        let mut turned = scans.clone();
        if !turned.is_empty() {
            let middle = shuffled.index(turned.len());
            turned.rotate_left(middle);
            turned[middle..].reverse();
        }
        prop_assert_eq!(fold(&turned, &rules), once);
    }

    #[test]
    fn people_inside_are_entries_minus_exits(
        scans in prop::collection::vec(scan(), 0..20),
        entry_limit in 1..4_u8,
    ) {
        let FoldedHistory { ledger, movements, .. } = fold(&scans, &rules(Reentry::AfterWindow, entry_limit));
        let totals = totals(&movements);
        let inside: i64 = totals.values().map(|(entries, exits)| entries - exits).sum();
        prop_assert_eq!(i64::try_from(ledger.inside(Timestamp::MIN)).ok(), Some(inside));
        prop_assert!(totals.values().all(|(entries, exits)| entries >= exits), "at every gate");
        let entries = scans.iter().filter(|scan| scan.direction == Direction::Entry).count();
        prop_assert_eq!(ledger.admissions() as usize, entries);
    }

    #[test]
    fn the_present_policy_does_not_change_past_occupancy(
        scans in prop::collection::vec(scan(), 0..20),
        limits in (1..4_u8, 1..4_u8),
        policies in (prop::sample::select(ENDLESS), prop::sample::select(ENDLESS)),
    ) {
        let one = fold(&scans, &rules(policies.0, limits.0));
        let other = fold(&scans, &rules(policies.1, limits.1));
        prop_assert_eq!(totals(&one.movements), totals(&other.movements));
        let (one, other) = (one.ledger, other.ledger);
        prop_assert_eq!((one.admissions(), one.inside(Timestamp::MIN)), (other.admissions(), other.inside(Timestamp::MIN)));
    }

    #[test]
    fn the_movement_difference_turns_one_count_into_the_other(
        before in prop::collection::vec(scan(), 0..12),
        after in prop::collection::vec(scan(), 0..12),
    ) {
        let rules = rules(Reentry::AfterExit, 2);
        let before = fold(&before, &rules).movements;
        let after = fold(&after, &rules).movements;
        let sum: Vec<_> = before.iter().copied().chain(movement_difference(&before, &after)).collect();
        prop_assert_eq!(totals(&sum), totals(&after));
        prop_assert_eq!(movement_difference(&after, &after), []);
    }
}

#[test]
fn without_its_replacement_an_older_admission_is_open_again() {
    let scan =
        |id: u128, seconds, reason| PastScan::answered(passage(id, seconds), Direction::Entry, reason, 1);
    let rules = rules(Reentry::AfterWindow, 1);
    let (first, again) = (scan(1, 0, Reason::Admitted), scan(2, 301, Reason::Readmitted));
    let both = fold([&first, &again], &rules).ledger;
    assert!(both.open_admission(first.passage.scan_id).is_none());
    let alone = fold([&first], &rules).ledger;
    assert!(alone.open_admission(first.passage.scan_id).is_some());
}

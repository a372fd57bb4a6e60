//! The fold equals the plain one and does not read all admissions for every scan.

use std::collections::HashMap;

use super::plain::plain_fold;
use super::*;
use crate::model::{EventRules, LocalTime, RuleSettings};
use crate::rules::FormerRules;
use crate::rules::decision::tests::{event, ticket};

const HOUR: i64 = 3600;

fn outcome() -> impl Strategy<Value = HistoryOutcome> {
    let reason = prop::sample::select(vec![
        Reason::Admitted,
        Reason::Readmitted,
        Reason::Overridden,
        Reason::AlreadyScanned,
    ]);
    let denial = prop::option::of(prop::sample::select(vec![
        Reason::AlreadyScanned,
        Reason::GateClosed,
    ]));
    let conflict = prop::option::weighted(
        0.2,
        prop::sample::select(vec![
            ConflictKind::LetInDespiteStatus,
            ConflictKind::Unverified,
            ConflictKind::DoubleEntry,
        ]),
    );
    (reason, denial, conflict).prop_map(|(reason, would_have_been, conflict)| HistoryOutcome {
        reason,
        would_have_been,
        conflict,
        winner: None,
    })
}

/// A scan of any kind. Times are coarse, so that scans share them, and span several days.
fn any_scan() -> impl Strategy<Value = PastScan> {
    (
        (any::<u128>(), 0..120_i64, 3..6_u128),
        prop::sample::select(vec![Direction::Entry, Direction::Entry, Direction::Exit]),
        prop::sample::select(HistoryKind::ALL),
        prop::option::of(1..4_u8),
        outcome(),
    )
        .prop_map(|((id, half_hours, at), direction, kind, entry_limit, outcome)| {
            let mut passage = passage(id, half_hours * HOUR / 2);
            passage.gate_id = gate(at).id;
            PastScan {
                passage,
                direction,
                kind,
                entry_limit,
                outcome,
            }
        })
}

fn event_rules() -> impl Strategy<Value = EventRules> {
    let zone = prop::sample::select(vec!["UTC", "Europe/Berlin", "Pacific/Auckland"]);
    let begin = prop::sample::select(vec!["00:00", "04:00", "19:30"]);
    (prop::sample::select(Reentry::ALL), zone, begin).prop_map(|(reentry, zone, begin)| EventRules {
        reentry,
        time_zone: zone.parse().expect("a zone"),
        day_starts_at: begin.parse::<LocalTime>().expect("a time of day"),
    })
}

/// Rules that change up to three times during the scans.
fn changing_rules() -> impl Strategy<Value = TicketRules> {
    let times = || prop::collection::btree_set(0..60 * HOUR, 0..4);
    let policies = (times(), prop::collection::vec(event_rules(), 4));
    let limits = (times(), prop::collection::vec(1..4_u8, 4));
    let window = prop::sample::select(vec![WINDOW, WINDOW * 24]);
    (policies, limits, window).prop_map(|(policies, limits, dedup_window)| {
        let (mut event, mut ticket) = (event(), ticket().ticket);
        let at = |seconds: &i64| passage(0, *seconds).at;
        let mut rules = policies.1;
        let present = rules.remove(0);
        event.reentry = present.reentry;
        event.time_zone = present.time_zone;
        event.day_starts_at = present.day_starts_at;
        let mut entry_limits = limits.1;
        ticket.entry_limit = entry_limits.remove(0);
        let former = FormerRules {
            events: HashMap::from([(event.id, policies.0.iter().map(at).zip(rules).collect())]),
            entry_limits: HashMap::from([(ticket.id, limits.0.iter().map(at).zip(entry_limits).collect())]),
            ..FormerRules::default()
        };
        former.of_ticket(&ticket, &event, &RuleSettings { dedup_window })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_fold_equals_the_plain_one(
        scans in prop::collection::vec(any_scan(), 0..60),
        rules in changing_rules(),
    ) {
        prop_assert_eq!(fold(&scans, &rules), plain_fold(&scans, &rules));
    }

    #[test]
    fn the_period_in_which_people_are_counted_never_falls(
        times in prop::collection::btree_set(0..60 * HOUR, 2..40),
        rules in changing_rules(),
    ) {
        let periods: Vec<_> =
            times.iter().map(|seconds| rules.counted_since(passage(0, *seconds).at)).collect();
        prop_assert!(periods.is_sorted(), "{periods:?}");
    }
}

#[test]
fn the_fold_equals_the_plain_one_beyond_what_a_rule_can_count() {
    for reentry in Reentry::ALL {
        for kind in [HistoryKind::Admitted, HistoryKind::Forced] {
            let scans: Vec<_> = history(600, kind, 3).collect();
            let rules = rules(*reentry, 255);
            assert_eq!(
                fold(&scans, &rules),
                plain_fold(&scans, &rules),
                "{reentry:?} {kind:?}"
            );
        }
    }
}

/// Scans of one kind at three gates, 20 seconds apart. Every `exits`th one is an exit.
fn history(count: u32, kind: HistoryKind, exits: u32) -> impl Iterator<Item = PastScan> {
    (1..=count).map(move |number| {
        let mut passage = passage(number.into(), i64::from(number) * 20);
        passage.gate_id = gate(3 + u128::from(number % 5 % 3)).id;
        PastScan {
            passage,
            direction: if number % exits == 0 {
                Direction::Exit
            } else {
                Direction::Entry
            },
            kind,
            entry_limit: None,
            outcome: HistoryOutcome::with_reason(Reason::Admitted),
        }
    })
}

#[test]
fn a_fold_reads_few_admissions_for_each_scan() {
    const SCANS: u32 = 4_000;
    for reentry in Reentry::ALL {
        for kind in HistoryKind::ALL {
            for (exits, entry_limit) in [(u32::MAX, 1), (3, 2)] {
                let scans: Vec<_> = history(SCANS, *kind, exits).collect();
                let reads = |count: usize| {
                    let rules = rules(*reentry, entry_limit);
                    let fold = HistoryFold::of(&scans[..count], &rules);
                    fold.ledger.reads.get()
                };
                let (half, whole) = (reads(SCANS as usize / 2), reads(SCANS as usize));
                let growth = format!("{reentry:?} {kind:?}: {half} and {whole} reads");
                assert!(whole <= half * 5 / 2 + 100, "{growth}");
            }
        }
    }
}

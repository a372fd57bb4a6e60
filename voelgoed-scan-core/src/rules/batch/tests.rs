use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::model::{
    Claims, DeviceId, Direction, Fingerprint, Format, KeyId, Movement, Passage, Reentry, ScanId, ScanResult,
    ScannedBy, Timestamp,
};
use crate::rules::decision::tests::{NOW, WINDOW, event, gate, ticket};
use crate::rules::{PastScan, TicketRules, fold, movement_difference};

pub(crate) const RULES: RuleSettings = RuleSettings { dedup_window: WINDOW };

/// A scan of the ticket: its direction, one of two gates, the seconds after the start, and whether it is overridden.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) direction: Direction,
    pub(crate) gate: u128,
    pub(crate) seconds: i64,
    pub(crate) forced: bool,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    (any::<bool>(), 3..5_u128, 0..1_000_i64, 0..10_u8).prop_map(|(entry, gate, seconds, forced)| Step {
        direction: if entry { Direction::Entry } else { Direction::Exit },
        gate,
        seconds,
        forced: forced == 0,
    })
}

pub(crate) fn policy() -> impl Strategy<Value = Reentry> {
    prop::sample::select(Reentry::ALL)
}

fn attempt(number: u128, step: &Step) -> Attempt {
    let ticket = ticket().ticket;
    Attempt {
        // The ids are not in the order of the scans, as clients generate them.
        scan_id: ScanId::from_uuid(Uuid::from_u128(
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000_003,
        )),
        organization_id: ticket.organization_id,
        scanned_by: ScannedBy::Device {
            id: DeviceId::from_uuid(Uuid::from_u128(step.gate)),
            session_id: SessionId::from_uuid(Uuid::from_u128(step.gate)),
        },
        event_id: ticket.event_id,
        gate_id: gate(step.gate).id,
        gate_name: "Main".to_owned(),
        authenticated: None,
        fingerprint: Fingerprint {
            sha256: [0; 32],
            other_sha256: None,
            format: Some(Format::Vg1),
            kid: Some(KeyId::FIRST),
        },
        verification: Verification::Verified(Claims::of_code(ticket.code)),
        direction: step.direction,
        now: NOW.plus_millis(step.seconds * 1000),
        device_scanned_at: None,
        override_: step.forced.then(|| crate::model::Override {
            reason: "why not".parse().expect("a reason"),
        }),
        metadata: None,
        warnings: Vec::new(),
        origin: None,
        claimed: true,
    }
}

/// The facts of the database with this ticket.
fn facts(ticket: TicketFacts, reentry: Reentry) -> BatchFacts {
    let mut facts = BatchFacts::default();
    for number in [3, 4] {
        let session = SessionFacts {
            session_active: true,
            device_status: DeviceStatus::Active,
            device_scope: crate::model::DeviceScope::default(),
            device_name: format!("Scanner {number}"),
            event: crate::model::Event { reentry, ..event() },
            gate: gate(number),
            rules_since: Timestamp::from_millis(0),
            counted_since: Timestamp::MIN,
        };
        let session_id = SessionId::from_uuid(Uuid::from_u128(number));
        facts
            .sessions
            .insert((event().organization_id, session_id), session);
    }
    facts.add_ticket(ticket);
    facts
}

fn new_ticket(entry_limit: u8) -> TicketFacts {
    let mut facts = ticket();
    facts.ticket.entry_limit = entry_limit;
    facts
}

fn attempts(steps: &[Step]) -> Vec<Attempt> {
    (1..)
        .zip(steps)
        .map(|(number, step)| attempt(number, step))
        .collect()
}

fn past(writes: &BatchWrites) -> Vec<PastScan> {
    let valid = writes
        .scans
        .iter()
        .filter(|scan| scan.record.result == ScanResult::Valid);
    valid
        .map(|scan| {
            let passage = Passage {
                scan_id: scan.record.scan_id,
                at: scan.record.scanned_at,
                gate_id: scan.record.gate_id,
                gate_name: scan.snapshot.gate_name.clone(),
                device_id: scan.record.scanned_by(),
                device_name: format!("Scanner {}", scan.record.scanned_by().as_uuid().as_u128()),
            };
            let entry_limit = scan
                .snapshot
                .ticket
                .as_ref()
                .map_or(0, |ticket| ticket.entry_limit);
            PastScan::answered(passage, scan.record.direction, scan.record.reason, entry_limit)
        })
        .collect()
}

fn counted(writes: &BatchWrites) -> Vec<Movement> {
    let counts = writes.counts.iter().map(|((_, _, gate), count)| Movement {
        gate_id: *gate,
        since: count.since,
        entries: count.entries,
        exits: count.exits,
    });
    counts.collect()
}

proptest! {
    #[test]
    fn under_never_no_order_of_scans_admits_more_than_the_entry_limit(
        steps in prop::collection::vec(step(), 0..30),
        entry_limit in 1..5_u8,
    ) {
        let steps: Vec<_> = steps.into_iter().map(|step| Step { forced: false, ..step }).collect();
        let (_, writes) = decide_batch(&attempts(&steps), facts(new_ticket(entry_limit), Reentry::Never), &RULES);
        let admitted = writes.scans.iter().filter(|scan| {
            scan.record.direction == Direction::Entry && scan.record.result == ScanResult::Valid
        });
        let admitted = admitted.count();
        prop_assert!(admitted <= usize::from(entry_limit));
        let asked = steps.iter().filter(|step| step.direction == Direction::Entry).count();
        prop_assert_eq!(admitted, asked.min(usize::from(entry_limit)), "and not fewer");
    }

    #[test]
    fn within_the_window_no_order_of_scans_admits_twice(
        steps in prop::collection::vec(step(), 0..30),
        entry_limit in 1..4_u8,
    ) {
        let steps: Vec<_> = steps
            .into_iter()
            .map(|step| Step { forced: false, seconds: step.seconds % 300, ..step })
            .collect();
        let (_, writes) = decide_batch(&attempts(&steps), facts(new_ticket(entry_limit), Reentry::AfterWindow), &RULES);
        let entries: i64 = writes.counts.values().map(|count| count.entries).sum();
        prop_assert!(entries <= i64::from(entry_limit));
    }

    #[test]
    fn folding_the_records_gives_the_counted_occupancy(
        steps in prop::collection::vec(step(), 0..30),
        entry_limit in 1..4_u8,
        reentry in policy(),
        shuffle in any::<u64>(),
    ) {
        let (_, writes) = decide_batch(&attempts(&steps), facts(new_ticket(entry_limit), reentry), &RULES);
        let mut past = past(&writes);
        let length = past.len().max(1) as u128;
        past.sort_by_key(|scan| (scan.passage.scan_id.as_uuid().as_u128() ^ u128::from(shuffle)) % length);
        let folded = fold(&past, &TicketRules::constant(reentry, entry_limit, WINDOW));
        let stored = writes.tickets.first().map(|facts| facts.ledger.clone()).unwrap_or_default();
        prop_assert_eq!(folded.ledger, stored);
        prop_assert_eq!(movement_difference(&counted(&writes), &folded.movements), []);
    }

    #[test]
    fn a_batch_is_decided_like_its_scans_one_by_one(
        steps in prop::collection::vec(step(), 0..20),
        entry_limit in 1..4_u8,
        reentry in policy(),
    ) {
        let batch = attempts(&steps);
        let (together, writes) = decide_batch(&batch, facts(new_ticket(entry_limit), reentry), &RULES);
        let mut stored = new_ticket(entry_limit);
        for (attempt, expected) in batch.iter().zip(&together) {
            let facts = facts(stored.clone(), reentry);
            let (alone, writes) = decide_batch(std::slice::from_ref(attempt), facts, &RULES);
            let reason = |recorded: &Recorded| match recorded {
                Recorded::Decided(decided) => Some(decided.answer.reason),
                _ => None,
            };
            prop_assert_eq!(reason(&alone[0]), reason(expected));
            stored = writes.tickets.into_iter().next().unwrap_or(stored);
        }
        prop_assert!(writes.tickets.len() <= 1, "one row however many scans");
        if let Some(facts) = writes.tickets.first() {
            prop_assert_eq!(facts, &stored);
        }
    }
}

#[test]
fn the_times_of_a_history_ascend_even_if_the_clocks_of_nodes_differ() {
    let steps = [(Direction::Entry, 9), (Direction::Exit, 4), (Direction::Entry, 4)];
    let steps = steps.map(|(direction, seconds)| Step {
        direction,
        gate: 3,
        seconds,
        forced: false,
    });
    let (recorded, writes) = decide_batch(&attempts(&steps), facts(new_ticket(2), Reentry::Never), &RULES);
    let times: Vec<_> = writes
        .scans
        .iter()
        .map(|scan| scan.record.scanned_at.millis_since(NOW))
        .collect();
    assert_eq!(times, [9000, 9001, 9002]);
    assert!(
        matches!(&recorded[1], Recorded::Decided(decided) if decided.answer.scanned_at.millis_since(NOW) == 9001)
    );
    assert!(
        writes
            .scans
            .iter()
            .all(|scan| scan.record.received_at <= NOW.plus_millis(9000)),
        "the arrival keeps its own time"
    );
}

#[test]
fn only_decided_attempts_are_written() {
    let entry = Step {
        direction: Direction::Entry,
        gate: 3,
        seconds: 0,
        forced: false,
    };
    let scan = attempt(1, &entry);
    let (recorded, writes) = decide_batch(
        &[scan.clone(), scan.clone()],
        facts(new_ticket(5), Reentry::Never),
        &RULES,
    );
    assert!(
        matches!(recorded[..], [Recorded::Decided(_), Recorded::Replayed(_)]),
        "{recorded:?}"
    );
    assert_eq!((writes.scans.len(), writes.tickets.len()), (1, 1));
    let mut ended = facts(new_ticket(1), Reentry::Never);
    for session in ended.sessions.values_mut() {
        session.session_active = false;
    }
    let (recorded, writes) = decide_batch(&[scan], ended, &RULES);
    assert_eq!(recorded, [Recorded::NoActiveSession]);
    assert!(writes.scans.is_empty() && writes.sessions.is_empty() && writes.counts.is_empty());
}

//! Occupancy, ledgers and the audit trail agree after every step of long random walks: entries, exits, overrides, undos
//! and changes of policy. The seeds are fixed, so that every run takes the same walks.

use std::collections::HashMap;

use voelgoed_scan_core::model::{Attempt, Direction, Reentry, ScanResult, TicketCode, Timestamp};
use voelgoed_scan_core::store::{UndoOutcome, UndoPermission};

use crate::attempts::{entry, exit, overriding_entry};
use crate::fixture::Fixture;

/// A linear congruential generator (Knuth's MMIX constants): a fixed seed gives a fixed sequence.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number from 0 to `limit` - 1.
    pub(crate) fn below(&mut self, limit: u64) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit).expect("a small number")
    }
}

pub(crate) async fn occupancy_is_entries_minus_exits_after_any_sequence(fixture: Fixture) {
    for seed in 1..=8 {
        walk(&fixture.another().await, Random(seed)).await;
    }
}

async fn walk(fixture: &Fixture, mut random: Random) {
    let mut codes = Vec::new();
    for limit in [1, 1, 2, 3] {
        codes.push(fixture.ticket(&format!(r#"{{"entry_limit":{limit}}}"#)).await);
    }
    fixture.change_event(|event| event.capacity = Some(6)).await;
    let mut seconds = 0;
    for step in 0..60 {
        let code = codes[random.below(4)];
        match random.below(12) {
            0 => {
                let policy = Reentry::ALL[random.below(4)];
                fixture
                    .change_event(|event| {
                        event.reentry = policy;
                        event.capacity = Some(6);
                    })
                    .await;
            }
            1 => {
                let limit = random.below(4) + 1;
                fixture
                    .import(&[&format!(r#"{{"code":"{code}","entry_limit":{limit}}}"#)])
                    .await;
            }
            2 | 3 => {
                let trail = fixture.audit_trail().await;
                let Some(scan) = trail.get(random.below(8)).map(|scan| scan.scan_id) else {
                    continue;
                };
                let outcome = fixture.undo(scan, UndoPermission::Member, seconds).await;
                assert!(
                    matches!(outcome, Some(UndoOutcome::Undone { .. } | UndoOutcome::NotOpen)),
                    "{outcome:?}"
                );
            }
            _ => {
                let batch: Vec<Attempt> = (0..=random.below(3))
                    .map(|_| {
                        seconds += [1, 20, 200][random.below(3)];
                        let session = if random.below(2) == 0 {
                            &fixture.main_session
                        } else {
                            &fixture.side_session
                        };
                        match random.below(8) {
                            0..=3 => entry(session, code, seconds),
                            4 => overriding_entry(session, code, seconds),
                            _ => exit(session, code, seconds),
                        }
                    })
                    .collect();
                fixture.record(&batch).await;
            }
        }
        check_totals(fixture, &codes, step).await;
    }
}

/// Checks the counters of the event and its gates against the ledgers of the tickets and against the audit trail.
async fn check_totals(fixture: &Fixture, codes: &[TicketCode], step: usize) {
    let mut inside = 0;
    let mut admissions = HashMap::new();
    for code in codes {
        let facts = fixture.ticket_facts(*code).await;
        inside += facts.ledger.inside(Timestamp::MIN);
        admissions.insert(Some(facts.ticket.id), facts.ticket.scan_count);
        assert_eq!(facts.ledger.admissions(), facts.ticket.scan_count);
    }
    let occupancy = fixture.occupancy().await;
    let total = occupancy.event;
    assert_eq!(
        total.inside,
        i64::try_from(inside).expect("few people"),
        "step {step}: the sum of the ledgers"
    );
    let trail = fixture.audit_trail().await;
    let mut entries = HashMap::new();
    for scan in trail.iter().filter(|scan| {
        scan.result == ScanResult::Valid && scan.direction == Direction::Entry && scan.undone.is_none()
    }) {
        *entries.entry(scan.gate_id).or_insert(0) += 1;
        *admissions.get_mut(&scan.ticket_id).expect("a ticket") -= 1;
    }
    assert!(
        admissions.values().all(|left| *left == 0),
        "step {step}: {admissions:?}"
    );
    for gate in &occupancy.gates {
        let count = gate.count;
        assert_eq!(
            count.entries,
            entries.get(&gate.id).copied().unwrap_or(0),
            "step {step}: {}",
            gate.name
        );
        assert!(
            count.inside >= 0 && count.inside == count.entries - count.exits,
            "step {step}: {count:?}"
        );
    }
    let results = occupancy.results;
    let recorded = results.valid + results.duplicate + results.invalid_token + results.refused;
    assert_eq!(
        recorded,
        i64::try_from(trail.len()).expect("few scans"),
        "step {step}"
    );
}

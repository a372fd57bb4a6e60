//! Does it all add up, whatever happens? Long walks of entries, exits, overrides, undos and changes, by chance but the
//! same every time.

use std::collections::HashMap;

use voelgoed_scan_core::model::{Attempt, Direction, Reentry, ScanResult};
use voelgoed_scan_core::store::{UndoOutcome, UndoPermission};

use crate::attempts::{entry, exit, forced};
use crate::world::World;

/// Numbers that look like chance (Knuth's generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % sides).expect("a small number")
    }
}

pub(crate) async fn occupancy_is_entries_minus_exits_after_everything(world: World) {
    for seed in 1..=8 {
        walk(&world.another().await, Dice(seed)).await;
    }
}

async fn walk(world: &World, mut dice: Dice) {
    let mut codes = Vec::new();
    for limit in [1, 1, 2, 3] {
        codes.push(world.ticket(&format!(r#"{{"entry_limit":{limit}}}"#)).await);
    }
    world.change_event(|event| event.capacity = Some(6)).await;
    let mut seconds = 0;
    for step in 0..60 {
        let code = codes[dice.roll(4)];
        match dice.roll(12) {
            0 => {
                let policy = Reentry::ALL[dice.roll(3)];
                world
                    .change_event(|event| {
                        event.reentry = policy;
                        event.capacity = Some(6);
                    })
                    .await;
            }
            1 => {
                let limit = dice.roll(4) + 1;
                world
                    .import(&[&format!(r#"{{"code":"{code}","entry_limit":{limit}}}"#)])
                    .await;
            }
            2 | 3 => {
                let trail = world.trail().await;
                let Some(scan) = trail.get(dice.roll(8)).map(|scan| scan.scan_id) else {
                    continue;
                };
                let outcome = world.undo(scan, UndoPermission::Member, seconds).await;
                assert!(
                    matches!(outcome, Some(UndoOutcome::Undone { .. } | UndoOutcome::NotOpen)),
                    "{outcome:?}"
                );
            }
            _ => {
                let batch: Vec<Attempt> = (0..=dice.roll(3))
                    .map(|_| {
                        seconds += [1, 20, 200][dice.roll(3)];
                        let post = if dice.roll(2) == 0 {
                            &world.post
                        } else {
                            &world.other_post
                        };
                        match dice.roll(8) {
                            0..=3 => entry(post, code, seconds),
                            4 => forced(post, code, seconds),
                            _ => exit(post, code, seconds),
                        }
                    })
                    .collect();
                world.record(&batch).await;
            }
        }
        adds_up(world, &codes, step).await;
    }
}

async fn adds_up(world: &World, codes: &[voelgoed_scan_core::model::TicketCode], step: usize) {
    let mut inside = 0;
    let mut admissions = HashMap::new();
    for code in codes {
        let facts = world.facts(*code).await;
        inside += facts.ledger.inside();
        admissions.insert(Some(facts.ticket.id), facts.ticket.scan_count);
        assert_eq!(facts.ledger.admissions(), facts.ticket.scan_count);
    }
    let occupancy = world.occupancy().await;
    let total = occupancy.event;
    assert_eq!(
        total.inside,
        i64::try_from(inside).expect("few people"),
        "step {step}: as the tickets have it"
    );
    let trail = world.trail().await;
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

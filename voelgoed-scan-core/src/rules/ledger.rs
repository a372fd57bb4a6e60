//! The rules on a ticket's ledger: when it admits, and how entries and exits change it.
//!
//! Invariants: admissions are in the order of their times; the ledger keeps every open admission, and of the others only as
//! many of the latest as a rule can count; the changes of occupancy ([`Movement`]) add up to entries minus exits at every
//! gate. People and rights are separate: a person whom a device admitted against the rules is inside, but does not use up
//! the ticket.

use std::time::Duration;

use crate::model::{Admission, Ledger, Movement, Passage, Reason, Reentry, Timestamp};

/// How often a ticket may admit, and under which policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The event's re-entry policy.
    pub reentry: Reentry,
    /// The ticket's entry limit.
    pub entry_limit: u8,
    /// The deduplication window of [`Reentry::AfterWindow`].
    pub dedup_window: Duration,
}

impl Allowance {
    /// The reason of the denial of an entry past the allowance.
    #[must_use]
    pub const fn denial(&self) -> Reason {
        match (self.entry_limit, self.reentry) {
            (1, Reentry::AfterExit) => Reason::AlreadyInside,
            (1, Reentry::Never | Reentry::AfterWindow) => Reason::AlreadyScanned,
            _ => Reason::EntryLimitReached,
        }
    }
}

impl Ledger {
    /// Whether the allowance permits another entry at `now`.
    #[must_use]
    pub fn allows_entry(&self, allowance: &Allowance, now: Timestamp) -> bool {
        let limit = usize::from(allowance.entry_limit);
        match allowance.reentry {
            Reentry::Never => (self.admissions as usize) < limit,
            Reentry::AfterExit => self.inside() < limit,
            Reentry::AfterWindow => {
                let since = now.minus(allowance.dedup_window);
                self.recent
                    .iter()
                    .filter(|admission| !admission.without_right && admission.entry.at >= since)
                    .count()
                    < limit
            }
        }
    }

    /// The admission that an entry past the allowance conflicts with: the latest one that the policy counts.
    #[must_use]
    pub fn blocking_admission(&self, allowance: &Allowance) -> Option<&Passage> {
        let latest = |counts: fn(&Admission) -> bool| self.recent.iter().rev().find(|one| counts(one));
        let by_right = |one: &Admission| !one.without_right;
        let found = match allowance.reentry {
            Reentry::Never | Reentry::AfterWindow => latest(by_right),
            Reentry::AfterExit => latest(|one| !one.without_right && one.ended.is_none())
                .or_else(|| latest(|one| one.ended.is_none())),
        };
        found.map(|admission| &admission.entry)
    }

    /// Adds a person whom a device admitted although the rules did not allow it.
    pub fn admit_without_right(&mut self, entry: Passage, allowance: &Allowance) -> Movement {
        let movement = Movement {
            gate_id: entry.gate_id,
            entries: 1,
            exits: 0,
        };
        self.recent.push(Admission {
            entry,
            ended: None,
            without_right: true,
        });
        self.prune(allowance);
        movement
    }

    /// Adds an admission. `person_added` is false if the holder came back without an exit scan. Then the oldest open admission
    /// ends, at its own gate.
    pub fn enter(&mut self, entry: Passage, person_added: bool, allowance: &Allowance) -> Vec<Movement> {
        let mut movements = vec![Movement {
            gate_id: entry.gate_id,
            entries: 1,
            exits: 0,
        }];
        if !person_added && let Some(old) = self.recent.iter_mut().find(|admission| admission.ended.is_none())
        {
            movements.push(Movement {
                gate_id: old.entry.gate_id,
                entries: 0,
                exits: 1,
            });
            old.ended = Some(entry.clone());
        }
        self.admissions = self.admissions.saturating_add(1);
        self.recent.push(Admission {
            entry,
            ended: None,
            without_right: false,
        });
        self.prune(allowance);
        movements
    }

    /// Whether a readmission adds a person. It does not if as many people are inside as the entry limit allows: then the holder
    /// came back without an exit scan. Under `after_exit` a readmission always adds a person.
    #[must_use]
    pub fn readmission_adds_person(&self, entry_limit: u8) -> bool {
        self.inside() < usize::from(entry_limit)
    }

    /// Ends the latest open admission, preferably one at the exit's gate. `None` if no person is inside.
    pub fn leave(&mut self, exit: Passage) -> Option<Movement> {
        let open = |admission: &&mut Admission| admission.ended.is_none();
        let own_gate = self
            .recent
            .iter_mut()
            .rev()
            .filter(open)
            .find(|one| one.entry.gate_id == exit.gate_id);
        let admission = match own_gate {
            Some(admission) => admission,
            None => self.recent.iter_mut().rev().find(open)?,
        };
        admission.ended = Some(exit);
        Some(Movement {
            gate_id: admission.entry.gate_id,
            entries: 0,
            exits: 1,
        })
    }

    /// Removes the admissions that no rule can count: ended ones that are older than the entry limit, except the last.
    fn prune(&mut self, allowance: &Allowance) {
        let length = self.recent.len();
        let by_right = self.recent.iter().filter(|one| !one.without_right).count();
        let prunable = by_right.saturating_sub(usize::from(allowance.entry_limit));
        let (mut number, mut number_by_right) = (0, 0);
        self.recent.retain(|admission| {
            number += 1;
            number_by_right += usize::from(!admission.without_right);
            let counts = !admission.without_right && number_by_right > prunable;
            counts || admission.ended.is_none() || number == length
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceId, GateId, ScanId};

    fn passage(at: i64, gate: u128) -> Passage {
        Passage {
            scan_id: ScanId::from_uuid(uuid::Uuid::from_u128(u128::from(at.unsigned_abs()))),
            at: Timestamp::from_millis(at),
            gate_id: GateId::from_uuid(uuid::Uuid::from_u128(gate)),
            gate_name: "Main".to_owned(),
            device_id: DeviceId::from_uuid(uuid::Uuid::from_u128(7)),
            device_name: "Scanner".to_owned(),
        }
    }

    fn allowance(reentry: Reentry, entry_limit: u8) -> Allowance {
        Allowance {
            reentry,
            entry_limit,
            dedup_window: Duration::from_millis(100),
        }
    }

    #[test]
    fn never_counts_all_admissions() {
        let never = allowance(Reentry::Never, 2);
        let mut ledger = Ledger::default();
        for at in [1, 2] {
            assert!(ledger.allows_entry(&never, Timestamp::from_millis(at)));
            ledger.enter(passage(at, 1), true, &never);
        }
        ledger.leave(passage(3, 1));
        assert!(!ledger.allows_entry(&never, Timestamp::from_millis(1_000_000)));
    }

    #[test]
    fn after_exit_counts_the_people_inside() {
        let after_exit = allowance(Reentry::AfterExit, 1);
        let mut ledger = Ledger::default();
        ledger.enter(passage(1, 1), true, &after_exit);
        assert!(!ledger.allows_entry(&after_exit, Timestamp::from_millis(2)));
        ledger.leave(passage(2, 1));
        assert!(ledger.allows_entry(&after_exit, Timestamp::from_millis(3)));
        assert!(ledger.leave(passage(3, 1)).is_none(), "nobody is inside");
    }

    #[test]
    fn after_window_includes_both_ends_of_the_window() {
        let after_window = allowance(Reentry::AfterWindow, 1);
        let mut ledger = Ledger::default();
        ledger.enter(passage(1000, 1), true, &after_window);
        assert!(!ledger.allows_entry(&after_window, Timestamp::from_millis(1100)));
        assert!(ledger.allows_entry(&after_window, Timestamp::from_millis(1101)));
    }

    #[test]
    fn a_readmission_without_an_exit_scan_ends_the_old_admission_at_its_gate() {
        let after_window = allowance(Reentry::AfterWindow, 1);
        let mut ledger = Ledger::default();
        ledger.enter(passage(1000, 1), true, &after_window);
        assert!(!ledger.readmission_adds_person(1));
        let old_gate = passage(0, 1).gate_id;
        let movements = ledger.enter(passage(2000, 2), false, &after_window);
        assert_eq!(
            movements[1],
            Movement {
                gate_id: old_gate,
                entries: 0,
                exits: 1
            }
        );
        assert_eq!((ledger.admissions(), ledger.inside()), (2, 1));
    }

    #[test]
    fn an_exit_ends_the_latest_admission_at_its_own_gate_first() {
        let three = allowance(Reentry::Never, 3);
        let mut ledger = Ledger::default();
        for (at, gate) in [(1, 1), (2, 2), (3, 1)] {
            ledger.enter(passage(at, gate), true, &three);
        }
        let gates: Vec<_> = [(4, 2), (5, 2), (6, 9)]
            .into_iter()
            .filter_map(|(at, gate)| ledger.leave(passage(at, gate)))
            .map(|movement| movement.gate_id.as_uuid().as_u128())
            .collect();
        assert_eq!(gates, [2, 1, 1]);
        assert_eq!(ledger.inside(), 0);
        assert_eq!(ledger.last_passage().map(|seen| seen.at.as_millis()), Some(6));
    }

    #[test]
    fn the_ledger_stays_small_after_many_entries_and_exits() {
        let after_exit = allowance(Reentry::AfterExit, 1);
        let mut ledger = Ledger::default();
        for at in 0..1000 {
            ledger.enter(passage(at * 2, 1), true, &after_exit);
            ledger.leave(passage(at * 2 + 1, 1));
        }
        assert_eq!((ledger.admissions(), ledger.recent.len()), (1000, 1));
    }
}

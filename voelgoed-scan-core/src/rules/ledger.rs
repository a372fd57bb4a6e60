//! The rules on a ticket's ledger: when it admits, and how entries and exits change it.
//!
//! Invariants: admissions are in the order of their times; what the ledger keeps does not depend on the rules in force, so
//! that it is enough for any later rules: every admission whose person is inside, and of the others the times of as many of
//! the latest as a rule can count; the changes of occupancy ([`Movement`]) add up to entries minus exits at every gate.
//! People and rights are separate: a person whom a device admitted against the rules is inside, but does not use up the
//! ticket.

use std::time::Duration;

use crate::model::{Admission, GateId, Ledger, Movement, Passage, Reason, Reentry, Timestamp};
use crate::rules::ScanDay;
use crate::rules::policy::CountedAdmissions;

/// The number of admissions that a rule can count: the greatest entry limit.
pub(super) const MAX_COUNTED: usize = u8::MAX as usize;

/// How often a ticket may admit, and under which policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// The event's re-entry policy.
    pub reentry: Reentry,
    /// The ticket's entry limit.
    pub entry_limit: u8,
    /// The deduplication window of [`Reentry::AfterWindow`].
    pub dedup_window: Duration,
    /// The day of the scan.
    pub day: ScanDay,
}

impl Allowance {
    /// The reason of the denial of an entry past the allowance.
    #[must_use]
    pub const fn denial(&self) -> Reason {
        match (self.entry_limit, self.reentry) {
            (1, Reentry::AfterExit) => Reason::AlreadyInside,
            (1, Reentry::Never | Reentry::AfterWindow | Reentry::Daily) => Reason::AlreadyScanned,
            _ => Reason::EntryLimitReached,
        }
    }
}

impl Ledger {
    /// Whether the allowance permits another entry at `now`.
    #[must_use]
    pub fn allows_entry(&self, allowance: &Allowance, now: Timestamp) -> bool {
        allowance.allows_entry(self, now)
    }

    /// The number of admissions by right at or after `since`. It is exact up to the greatest entry limit.
    #[must_use]
    pub fn admissions_since(&self, since: Timestamp) -> usize {
        let recent = self
            .recent
            .iter()
            .filter(|admission| !admission.without_right && admission.entry.at >= since);
        let earlier = self.earlier.iter().rev().take_while(|at| **at >= since);
        recent.count() + earlier.count()
    }

    /// The admission that an entry past the allowance conflicts with: the latest one that the policy counts.
    #[must_use]
    pub fn blocking_admission(&self, allowance: &Allowance) -> Option<&Passage> {
        allowance.blocking_admission(self)
    }

    /// Adds a person whom a device admitted although the rules did not allow it. `since` is the start of the period in which
    /// people are counted ([`ScanDay::counted_since`]).
    pub fn admit_without_right(&mut self, entry: Passage, since: Timestamp) -> Movement {
        let movement = Movement::of_entry(entry.gate_id, since);
        self.recent.push(Admission {
            entry,
            ended: None,
            without_right: true,
        });
        self.prune(since);
        movement
    }

    /// Adds an admission. `person_added` is false if the holder came back without an exit scan. Then the oldest open admission
    /// ends, at its own gate.
    pub fn enter(&mut self, entry: Passage, person_added: bool, since: Timestamp) -> Vec<Movement> {
        let mut movements = vec![Movement::of_entry(entry.gate_id, since)];
        if !person_added && let Some(old) = self.recent.iter_mut().find(|admission| admission.is_open(since))
        {
            movements.push(Movement::of_exit(old.entry.gate_id, since));
            old.ended = Some(entry.clone());
        }
        self.admissions = self.admissions.saturating_add(1);
        self.recent.push(Admission {
            entry,
            ended: None,
            without_right: false,
        });
        self.prune(since);
        movements
    }

    /// Whether a readmission adds a person. It does not if as many people are inside as the entry limit allows: then the holder
    /// came back without an exit scan. Under `after_exit` a readmission always adds a person. Under `daily` it does, unless
    /// somebody is counted who entered on an earlier day, because `daily` began after the day did.
    #[must_use]
    pub fn readmission_adds_person(&self, allowance: &Allowance) -> bool {
        allowance.readmission_adds_person(self)
    }

    /// Ends the latest open admission, preferably one at the exit's gate. `None` if no person is inside.
    pub fn leave(&mut self, exit: Passage, since: Timestamp) -> Option<Movement> {
        let open = |admission: &&mut Admission| admission.is_open(since);
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
        Some(Movement::of_exit(admission.entry.gate_id, since))
    }

    /// The latest admission of some.
    fn last_of(&self, is_one: impl Fn(&Admission) -> bool) -> Option<&Passage> {
        let found = self.recent.iter().rev().find(|admission| is_one(admission));
        found.map(|admission| &admission.entry)
    }

    /// Removes the admissions that no rule reads as a whole: those whose person has left, except the last one and the last one
    /// by right. Of those by right the times stay, as many as a rule can count.
    fn prune(&mut self, since: Timestamp) {
        let last = self.recent.len().saturating_sub(1);
        let last_by_right = self.recent.iter().rposition(|one| !one.without_right);
        let Self { recent, earlier, .. } = self;
        let mut index = 0;
        recent.retain(|admission| {
            let keep = admission.is_open(since) || index == last || Some(index) == last_by_right;
            index += 1;
            if !keep && !admission.without_right {
                let at = admission.entry.at;
                earlier.insert(earlier.partition_point(|time| *time <= at), at);
            }
            keep
        });
        earlier.drain(..earlier.len().saturating_sub(MAX_COUNTED));
    }
}

impl CountedAdmissions for Ledger {
    fn by_right(&self) -> u32 {
        self.admissions
    }

    fn by_right_since(&self, time: Timestamp) -> usize {
        self.admissions_since(time)
    }

    fn last_by_right(&self) -> Option<&Passage> {
        self.last_of(|one| !one.without_right)
    }

    fn people_inside(&self, since: Timestamp) -> usize {
        self.inside(since)
    }

    fn last_open(&self, since: Timestamp) -> Option<&Passage> {
        self.last_of(|one| one.is_open(since))
    }

    fn last_open_by_right(&self, since: Timestamp) -> Option<&Passage> {
        self.last_of(|one| !one.without_right && one.is_open(since))
    }

    fn first_open(&self, since: Timestamp) -> Option<&Passage> {
        let first = self.recent.iter().find(|one| one.is_open(since));
        first.map(|admission| &admission.entry)
    }
}

impl Movement {
    /// A person who entered at a gate.
    pub(super) const fn of_entry(gate_id: GateId, since: Timestamp) -> Self {
        Self {
            gate_id,
            since,
            entries: 1,
            exits: 0,
        }
    }

    /// A person who left, of those who entered at a gate.
    pub(super) const fn of_exit(gate_id: GateId, since: Timestamp) -> Self {
        Self {
            gate_id,
            since,
            entries: 0,
            exits: 1,
        }
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
            day: ScanDay::ENDLESS,
        }
    }

    #[test]
    fn never_counts_all_admissions() {
        let never = allowance(Reentry::Never, 2);
        let mut ledger = Ledger::default();
        for at in [1, 2] {
            assert!(ledger.allows_entry(&never, Timestamp::from_millis(at)));
            ledger.enter(passage(at, 1), true, Timestamp::MIN);
        }
        ledger.leave(passage(3, 1), Timestamp::MIN);
        assert!(!ledger.allows_entry(&never, Timestamp::from_millis(1_000_000)));
    }

    #[test]
    fn after_exit_counts_the_people_inside() {
        let after_exit = allowance(Reentry::AfterExit, 1);
        let mut ledger = Ledger::default();
        ledger.enter(passage(1, 1), true, Timestamp::MIN);
        assert!(!ledger.allows_entry(&after_exit, Timestamp::from_millis(2)));
        ledger.leave(passage(2, 1), Timestamp::MIN);
        assert!(ledger.allows_entry(&after_exit, Timestamp::from_millis(3)));
        assert!(
            ledger.leave(passage(3, 1), Timestamp::MIN).is_none(),
            "nobody is inside"
        );
    }

    #[test]
    fn after_window_includes_both_ends_of_the_window() {
        let after_window = allowance(Reentry::AfterWindow, 1);
        let mut ledger = Ledger::default();
        ledger.enter(passage(1000, 1), true, Timestamp::MIN);
        assert!(!ledger.allows_entry(&after_window, Timestamp::from_millis(1100)));
        assert!(ledger.allows_entry(&after_window, Timestamp::from_millis(1101)));
    }

    #[test]
    fn a_readmission_without_an_exit_scan_ends_the_old_admission_at_its_gate() {
        let mut ledger = Ledger::default();
        ledger.enter(passage(1000, 1), true, Timestamp::MIN);
        assert!(!ledger.readmission_adds_person(&allowance(Reentry::AfterWindow, 1)));
        let old_gate = passage(0, 1).gate_id;
        let movements = ledger.enter(passage(2000, 2), false, Timestamp::MIN);
        assert_eq!(
            movements[1],
            Movement {
                gate_id: old_gate,
                since: Timestamp::MIN,
                entries: 0,
                exits: 1
            }
        );
        assert_eq!((ledger.admissions(), ledger.inside(Timestamp::MIN)), (2, 1));
    }

    #[test]
    fn an_exit_ends_the_latest_admission_at_its_own_gate_first() {
        let mut ledger = Ledger::default();
        for (at, gate) in [(1, 1), (2, 2), (3, 1)] {
            ledger.enter(passage(at, gate), true, Timestamp::MIN);
        }
        let gates: Vec<_> = [(4, 2), (5, 2), (6, 9)]
            .into_iter()
            .filter_map(|(at, gate)| ledger.leave(passage(at, gate), Timestamp::MIN))
            .map(|movement| movement.gate_id.as_uuid().as_u128())
            .collect();
        assert_eq!(gates, [2, 1, 1]);
        assert_eq!(ledger.inside(Timestamp::MIN), 0);
        assert_eq!(ledger.last_passage().map(|seen| seen.at.as_millis()), Some(6));
    }

    #[test]
    fn the_ledger_stays_small_after_many_entries_and_exits() {
        let mut ledger = Ledger::default();
        for at in 0..1000 {
            ledger.enter(passage(at * 2, 1), true, Timestamp::MIN);
            ledger.leave(passage(at * 2 + 1, 1), Timestamp::MIN);
        }
        assert_eq!((ledger.admissions(), ledger.recent.len()), (1000, 1));
        let greatest = allowance(Reentry::AfterWindow, 255);
        assert!(
            !ledger.allows_entry(&greatest, Timestamp::from_millis(0)),
            "more than a rule can count"
        );
        assert_eq!(ledger.earlier.len(), MAX_COUNTED);
        let text = serde_json::to_string(&ledger).expect("JSON");
        assert!(text.len() < 4000, "{}", text.len());
    }

    #[test]
    fn a_ledger_of_counts_denies_rather_too_much() {
        let last = passage(1000, 1);
        // Three admissions of which one person is inside, and a limit that was raised to 3.
        let ledger = Ledger::from_counts(3, 1, &last, 3);
        assert_eq!((ledger.admissions(), ledger.inside(Timestamp::MIN)), (3, 1));
        let after_window = |limit| allowance(Reentry::AfterWindow, limit);
        assert!(!ledger.allows_entry(&after_window(3), Timestamp::from_millis(1100)));
        assert!(ledger.allows_entry(&after_window(3), Timestamp::from_millis(1101)));
        assert_eq!(ledger.last_admission(), Some(&last));
        let left = Ledger::from_counts(1, 0, &last, 1);
        assert_eq!(
            (left.inside(Timestamp::MIN), left.last_admission()),
            (0, Some(&last))
        );
        assert!(!left.allows_entry(&after_window(1), Timestamp::from_millis(1100)));
        assert_eq!(Ledger::from_counts(0, 2, &last, 1).inside(Timestamp::MIN), 2);
        assert_eq!(Ledger::from_counts(0, 0, &last, 1), Ledger::default());
    }

    #[test]
    fn the_ledger_knows_enough_for_a_higher_limit_and_another_policy() {
        let mut ledger = Ledger::default();
        for at in [1000, 1010, 1020, 1030] {
            ledger.enter(passage(at, 1), true, Timestamp::MIN);
            ledger.leave(passage(at + 5, 1), Timestamp::MIN);
        }
        for (limit, now, allowed) in [
            (3, 1040, false),
            (4, 1100, false),
            (4, 1101, true),
            (3, 1110, false),
            (3, 1111, true),
            (5, 1040, true),
        ] {
            let after_window = allowance(Reentry::AfterWindow, limit);
            assert_eq!(
                ledger.allows_entry(&after_window, Timestamp::from_millis(now)),
                allowed,
                "{limit} at {now}"
            );
        }
        assert!(!ledger.allows_entry(&allowance(Reentry::Never, 4), Timestamp::from_millis(9000)));
    }
}

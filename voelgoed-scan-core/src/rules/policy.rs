//! The re-entry policies on the admissions of a ticket.
//!
//! Invariant: there is one implementation of the policies. A stored ledger and the ledger of a fold answer the same questions,
//! so a scan at a gate and an upload are judged alike.

use crate::model::{Passage, Reentry, Timestamp};
use crate::rules::{Allowance, ScanDay};

/// What a policy asks about the admissions of a ticket. `since` is the start of the period in which people are counted.
pub(super) trait CountedAdmissions {
    /// The number of admissions by right.
    fn by_right(&self) -> u32;

    /// The number of admissions by right at or after a time. It is exact up to the greatest entry limit.
    fn by_right_since(&self, time: Timestamp) -> usize;

    /// The latest admission by right.
    fn last_by_right(&self) -> Option<&Passage>;

    /// The number of people inside. It is exact up to the greatest entry limit.
    fn people_inside(&self, since: Timestamp) -> usize;

    /// The latest admission whose person is inside.
    fn last_open(&self, since: Timestamp) -> Option<&Passage>;

    /// The latest admission by right whose person is inside.
    fn last_open_by_right(&self, since: Timestamp) -> Option<&Passage>;

    /// The oldest admission whose person is inside.
    fn first_open(&self, since: Timestamp) -> Option<&Passage>;
}

impl Allowance {
    /// Whether another entry is permitted at `now`.
    pub(super) fn allows_entry(&self, admissions: &impl CountedAdmissions, now: Timestamp) -> bool {
        let limit = usize::from(self.entry_limit);
        match self.reentry {
            Reentry::Never => (admissions.by_right() as usize) < limit,
            Reentry::AfterExit => admissions.people_inside(self.day.counted_since) < limit,
            Reentry::AfterWindow => admissions.by_right_since(now.minus(self.dedup_window)) < limit,
            Reentry::Daily => admissions.by_right_since(self.day.from) < limit,
        }
    }

    /// The admission that an entry past the allowance conflicts with: the latest one that the policy counts.
    pub(super) fn blocking_admission<'a>(
        &self,
        admissions: &'a impl CountedAdmissions,
    ) -> Option<&'a Passage> {
        let since = self.day.counted_since;
        match self.reentry {
            Reentry::Never | Reentry::AfterWindow => admissions.last_by_right(),
            Reentry::AfterExit => {
                let by_right = admissions.last_open_by_right(since);
                by_right.or_else(|| admissions.last_open(since))
            }
            Reentry::Daily => admissions.last_by_right().filter(|last| last.at >= self.day.from),
        }
    }

    /// Whether a readmission adds a person, see [`Ledger::readmission_adds_person`](crate::model::Ledger).
    pub(super) fn readmission_adds_person(&self, admissions: &impl CountedAdmissions) -> bool {
        let ScanDay { from, counted_since } = self.day;
        match self.reentry {
            // The oldest one: if it is not of an earlier day, no other is.
            Reentry::Daily => admissions
                .first_open(counted_since)
                .is_none_or(|first| first.at >= from),
            Reentry::Never | Reentry::AfterWindow | Reentry::AfterExit => {
                admissions.people_inside(counted_since) < usize::from(self.entry_limit)
            }
        }
    }
}

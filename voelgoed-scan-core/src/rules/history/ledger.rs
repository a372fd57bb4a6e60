//! The ledger of a ticket while its history is folded.
//!
//! Invariants: it answers and changes as the [`Ledger`] does, which a property test compares; no step reads all admissions,
//! so a fold takes n log n for n scans; admissions are added in the order of their times, and the start of the period in
//! which people are counted (`since`) never falls.

use std::collections::{BTreeSet, HashMap};

use crate::model::{Admission, GateId, Ledger, Movement, Passage, Timestamp};
use crate::rules::ledger::MAX_COUNTED;
use crate::rules::policy::CountedAdmissions;

/// An admission of a folded history. Its index is its position in the order of times.
struct FoldedAdmission<'a> {
    entry: &'a Passage,
    ended: Option<&'a Passage>,
    without_right: bool,
}

/// The indices of the admissions that no exit ended.
#[derive(Default)]
struct OpenAdmissions {
    all: BTreeSet<usize>,
    by_right: BTreeSet<usize>,
    by_gate: HashMap<GateId, BTreeSet<usize>>,
}

/// The admissions and exits of the scans that were folded.
pub(super) struct FoldedLedger<'a> {
    admissions: Vec<FoldedAdmission<'a>>,
    /// The indices of the admissions by right, ascending.
    by_right: Vec<usize>,
    open: OpenAdmissions,
    /// The admissions that ended since the last entry. A ledger keeps them until the next one.
    ended_since_entry: Vec<usize>,
    /// The start of the period of the last entry.
    since: Timestamp,
    /// The number of admissions that were read.
    #[cfg(test)]
    pub(super) reads: std::cell::Cell<usize>,
}

impl<'a> FoldedLedger<'a> {
    pub(super) fn new() -> Self {
        Self {
            admissions: Vec::new(),
            by_right: Vec::new(),
            open: OpenAdmissions::default(),
            ended_since_entry: Vec::new(),
            since: Timestamp::MIN,
            #[cfg(test)]
            reads: std::cell::Cell::default(),
        }
    }

    /// See [`Ledger::admit_without_right`].
    pub(super) fn admit_without_right(&mut self, entry: &'a Passage, since: Timestamp) -> Movement {
        self.add(entry, true, since);
        Movement::of_entry(entry.gate_id, since)
    }

    /// See [`Ledger::enter`].
    pub(super) fn enter(
        &mut self,
        entry: &'a Passage,
        person_added: bool,
        since: Timestamp,
    ) -> impl Iterator<Item = Movement> + use<> {
        let replaced = if person_added {
            None
        } else {
            self.first_open_index(since)
        };
        let exit = replaced.map(|index| Movement::of_exit(self.end(index, entry), since));
        self.add(entry, false, since);
        std::iter::once(Movement::of_entry(entry.gate_id, since)).chain(exit)
    }

    /// See [`Ledger::leave`].
    pub(super) fn leave(&mut self, exit: &'a Passage, since: Timestamp) -> Option<Movement> {
        let at_gate = self.open.by_gate.get(&exit.gate_id);
        let index = at_gate
            .and_then(|open| self.last_since(open, since))
            .or_else(|| self.last_since(&self.open.all, since))?;
        Some(Movement::of_exit(self.end(index, exit), since))
    }

    /// The ledger as it is stored. It keeps what the last entry and the exits after it left.
    pub(super) fn into_ledger(self) -> Ledger {
        let last = self.admissions.len().checked_sub(1);
        let open = self.open.all.range(self.first_index_since(self.since)..);
        let kept: BTreeSet<usize> = open
            .chain(&self.ended_since_entry)
            .copied()
            .chain(last)
            .chain(self.by_right.last().copied())
            .collect();
        let others = self.by_right.iter().rev().filter(|index| !kept.contains(index));
        let mut earlier: Vec<_> = others.take(MAX_COUNTED).map(|index| self.at(*index)).collect();
        earlier.reverse();
        let admission = |index: &usize| {
            let one = &self.admissions[*index];
            Admission {
                entry: one.entry.clone(),
                ended: one.ended.cloned(),
                without_right: one.without_right,
            }
        };
        Ledger {
            admissions: self.by_right(),
            recent: kept.iter().map(admission).collect(),
            earlier,
        }
    }

    fn add(&mut self, entry: &'a Passage, without_right: bool, since: Timestamp) {
        let index = self.admissions.len();
        self.admissions.push(FoldedAdmission {
            entry,
            ended: None,
            without_right,
        });
        self.open.all.insert(index);
        self.open.by_gate.entry(entry.gate_id).or_default().insert(index);
        if !without_right {
            self.open.by_right.insert(index);
            self.by_right.push(index);
        }
        self.ended_since_entry.clear();
        self.since = since;
    }

    /// Ends an open admission. Returns the gate of its entry.
    fn end(&mut self, index: usize, exit: &'a Passage) -> GateId {
        let gate = self.admissions[index].entry.gate_id;
        self.admissions[index].ended = Some(exit);
        self.open.all.remove(&index);
        self.open.by_right.remove(&index);
        if let Some(open) = self.open.by_gate.get_mut(&gate) {
            open.remove(&index);
        }
        self.ended_since_entry.push(index);
        gate
    }

    /// The time of an admission.
    fn at(&self, index: usize) -> Timestamp {
        self.count_reads(1);
        self.admissions[index].entry.at
    }

    /// The index of the first admission at or after a time.
    fn first_index_since(&self, time: Timestamp) -> usize {
        self.admissions.partition_point(|one| {
            self.count_reads(1);
            one.entry.at < time
        })
    }

    fn first_open_index(&self, since: Timestamp) -> Option<usize> {
        let open = self.open.all.range(self.first_index_since(since)..);
        open.copied().next()
    }

    /// The last one of some open admissions, unless its person left because a day began.
    fn last_since(&self, open: &BTreeSet<usize>, since: Timestamp) -> Option<usize> {
        open.last().copied().filter(|index| self.at(*index) >= since)
    }

    fn entry(&self, index: usize) -> &Passage {
        self.count_reads(1);
        self.admissions[index].entry
    }

    #[cfg(test)]
    fn count_reads(&self, reads: usize) {
        self.reads.set(self.reads.get() + reads);
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests count the reads")]
    const fn count_reads(&self, _: usize) {}
}

impl CountedAdmissions for FoldedLedger<'_> {
    fn by_right(&self) -> u32 {
        u32::try_from(self.by_right.len()).unwrap_or(u32::MAX)
    }

    fn by_right_since(&self, time: Timestamp) -> usize {
        let before = self.by_right.partition_point(|index| self.at(*index) < time);
        self.by_right.len() - before
    }

    fn last_by_right(&self) -> Option<&Passage> {
        self.by_right.last().map(|index| self.entry(*index))
    }

    fn people_inside(&self, since: Timestamp) -> usize {
        let open = self.open.all.range(self.first_index_since(since)..);
        let inside = open.take(MAX_COUNTED).count();
        self.count_reads(inside);
        inside
    }

    fn last_open(&self, since: Timestamp) -> Option<&Passage> {
        let last = self.last_since(&self.open.all, since);
        last.map(|index| self.entry(index))
    }

    fn last_open_by_right(&self, since: Timestamp) -> Option<&Passage> {
        let last = self.last_since(&self.open.by_right, since);
        last.map(|index| self.entry(index))
    }

    fn first_open(&self, since: Timestamp) -> Option<&Passage> {
        self.first_open_index(since).map(|index| self.entry(index))
    }
}

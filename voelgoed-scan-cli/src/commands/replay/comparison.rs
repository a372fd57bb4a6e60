//! Compares the results of past scans with their results now.

use std::collections::BTreeMap;

use comfy_table::{Cell, CellAlignment};
use serde::Serialize;
use voelgoed_scan_core::model::{Direction, ScanResult};
use voelgoed_scan_core::sync::{SyncResult, SyncStatus};

use crate::output::{new_table, render_table, status_cell};

/// What a past scan is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Now {
    /// It has a result.
    Decided(ScanResult),
    /// It is in quarantine and admits nobody.
    Quarantined,
    /// The server did not take it.
    Rejected,
}

impl Now {
    /// What the server answered.
    pub(super) fn of(result: &SyncResult) -> Self {
        match (result.status, result.result) {
            (SyncStatus::Quarantined, _) => Self::Quarantined,
            (SyncStatus::Recorded | SyncStatus::Replayed, Some(result)) => Self::Decided(result),
            (SyncStatus::Recorded | SyncStatus::Replayed | SyncStatus::Rejected, _) => Self::Rejected,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Decided(result) => result.as_str(),
            Self::Quarantined => "quarantined",
            Self::Rejected => "rejected",
        }
    }
}

/// Scans by their result on record and their result now.
#[derive(Debug, Clone, Default)]
pub(super) struct Comparison {
    counts: BTreeMap<(ScanResult, Now), u64>,
    lost_admissions: u64,
}

/// The number of scans with one result on record and one result now.
#[derive(Debug, Serialize)]
pub(super) struct Change {
    recorded: ScanResult,
    now: &'static str,
    count: u64,
}

impl Comparison {
    /// Adds a scan.
    pub(super) fn add(&mut self, recorded: ScanResult, now: Now, direction: Direction) {
        *self.counts.entry((recorded, now)).or_default() += 1;
        let was_admission = recorded == ScanResult::Valid && direction == Direction::Entry;
        self.lost_admissions += u64::from(was_admission && now != Now::Decided(ScanResult::Valid));
    }

    /// The number of scans.
    pub(super) fn scans(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The number of scans with another result.
    pub(super) fn differences(&self) -> u64 {
        let differs = |(recorded, now): &(ScanResult, Now)| *now != Now::Decided(*recorded);
        self.counts
            .iter()
            .filter(|(key, _)| differs(key))
            .map(|(_, count)| count)
            .sum()
    }

    /// The number of entries that were admissions and are none now.
    pub(super) const fn lost_admissions(&self) -> u64 {
        self.lost_admissions
    }

    /// The numbers of scans, for programs.
    pub(super) fn changes(&self) -> Vec<Change> {
        self.counts
            .iter()
            .map(|(&(recorded, now), &count)| Change {
                recorded,
                now: now.as_str(),
                count,
            })
            .collect()
    }

    /// A table: a row for each result on record, a column for each result now.
    pub(super) fn table(&self) -> String {
        let mut columns: Vec<Now> = self.counts.keys().map(|(_, now)| *now).collect();
        columns.sort_unstable();
        columns.dedup();
        let mut rows: Vec<ScanResult> = self.counts.keys().map(|(recorded, _)| *recorded).collect();
        rows.dedup();
        let mut names = vec!["RECORDED \\ NOW"];
        names.extend(columns.iter().map(|now| now.as_str()));
        names.push("all");
        let mut table = new_table(&names);
        for recorded in rows {
            let counts: Vec<u64> = columns
                .iter()
                .map(|now| self.counts.get(&(recorded, *now)).copied().unwrap_or(0))
                .collect();
            let mut row = vec![status_cell(recorded)];
            row.extend(counts.iter().zip(&columns).map(|(&count, now)| {
                let cell = Cell::new(if count == 0 {
                    "-".to_owned()
                } else {
                    count.to_string()
                });
                if count > 0 && *now != Now::Decided(recorded) {
                    cell.fg(comfy_table::Color::Yellow)
                } else {
                    cell
                }
            }));
            row.push(Cell::new(counts.iter().sum::<u64>()));
            table.add_row(row);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        render_table(&table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_entries_that_were_admitted_and_are_not_count_as_lost() {
        let mut comparison = Comparison::default();
        for (recorded, now, direction) in [
            (
                ScanResult::Valid,
                Now::Decided(ScanResult::Valid),
                Direction::Entry,
            ),
            (
                ScanResult::Valid,
                Now::Decided(ScanResult::Duplicate),
                Direction::Entry,
            ),
            (ScanResult::Valid, Now::Quarantined, Direction::Entry),
            (ScanResult::Valid, Now::Rejected, Direction::Exit),
            (
                ScanResult::Refused,
                Now::Decided(ScanResult::Valid),
                Direction::Entry,
            ),
        ] {
            comparison.add(recorded, now, direction);
        }
        assert_eq!(
            (
                comparison.scans(),
                comparison.differences(),
                comparison.lost_admissions()
            ),
            (5, 4, 2)
        );
        let table = anstream::adapter::strip_str(&comparison.table()).to_string();
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines,
            [
                vec![
                    "RECORDED",
                    "\\",
                    "NOW",
                    "valid",
                    "duplicate",
                    "quarantined",
                    "rejected",
                    "all"
                ],
                vec!["valid", "1", "1", "1", "1", "4"],
                vec!["refused", "1", "-", "-", "-", "1"],
            ]
        );
    }
}

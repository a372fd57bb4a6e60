//! The journal of a replay: a file with the numbers of the lines that the server has acknowledged. It survives a crash.
//!
//! Invariants: a line is added only after the server has acknowledged it. An addition is on disk before `add` returns.
//! A line that was acknowledged but not added is sent again with the same scan id, and the server recognizes it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The header of a journal. The length of the replayed file, in bytes, follows it.
const HEADER: &str = "voelgoed-scan replay 1 ";

/// An open journal.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    done: LineSet,
}

/// A set of line numbers, stored as ranges: first number to last number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LineSet(BTreeMap<u64, u64>);

impl LineSet {
    /// Adds an inclusive range.
    fn insert(&mut self, mut first: u64, mut last: u64) {
        let adjacent: Vec<u64> = self
            .0
            .range(..=last.saturating_add(1))
            .rev()
            .take_while(|(_, end)| end.saturating_add(1) >= first)
            .map(|(start, _)| *start)
            .collect();
        for start in adjacent {
            if let Some(end) = self.0.remove(&start) {
                first = first.min(start);
                last = last.max(end);
            }
        }
        self.0.insert(first, last);
    }

    /// Whether the set has this line.
    pub(super) fn contains(&self, line: u64) -> bool {
        self.0
            .range(..=line)
            .next_back()
            .is_some_and(|(_, end)| *end >= line)
    }

    /// The number of lines in the set.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Line numbers in the format of the journal: `1-500,502`.
    fn text(numbers: &[u64]) -> String {
        let mut ranges = Self::default();
        for number in numbers {
            ranges.insert(*number, *number);
        }
        ranges
            .0
            .iter()
            .map(|(first, last)| {
                if first == last {
                    first.to_string()
                } else {
                    format!("{first}-{last}")
                }
            })
            .collect::<Vec<_>>()
            .join(",")
    }

    /// Adds the ranges of a line of the journal. `None` where it is damaged.
    fn parse_line(&mut self, text: &str) -> Option<()> {
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            if first > last {
                return None;
            }
            self.insert(first, last);
        }
        Some(())
    }
}

impl Journal {
    /// Opens the journal of the replayed file `input`, or creates it. An existing journal is an error without `resume`.
    pub(super) fn open(path: &Path, input: &Path, resume: bool) -> Result<Self, Failure> {
        let length = std::fs::metadata(input)
            .map_err(|error| Failure::file(input, error))?
            .len();
        let unusable = |error| Failure::file(path, error);
        let mut options = OpenOptions::new();
        options.read(true).append(true);
        let existing = match options.open(path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(unusable(error)),
        };
        let Some(mut file) = existing else {
            let mut file = options.create_new(true).open(path).map_err(unusable)?;
            writeln!(file, "{HEADER}{length}").map_err(unusable)?;
            file.sync_all().map_err(unusable)?;
            return Ok(Self {
                path: path.to_owned(),
                file,
                done: LineSet::default(),
            });
        };
        if !resume {
            return Err(Failure::Usage {
                reason: format!("an earlier run did not reach the end: {} exists", path.display()),
                hint: "add --resume to continue it, or remove the file to start again",
            });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unusable)?;
        let invalid = |reason: &str| Failure::invalid(path.display().to_string(), reason);
        // A crash can leave an incomplete last line: ignore it.
        let complete = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text.get(..complete).unwrap_or_default().lines();
        match lines.next().map(|line| line.strip_prefix(HEADER)) {
            None => {}
            Some(Some(was)) if was == length.to_string() => {}
            Some(Some(_)) => return Err(invalid("is the journal of another file, or the file has changed")),
            Some(None) => return Err(invalid("is not a journal")),
        }
        let mut done = LineSet::default();
        for line in lines {
            done.parse_line(line).ok_or_else(|| invalid("is damaged"))?;
        }
        file.set_len(u64::try_from(complete).unwrap_or(u64::MAX))
            .map_err(unusable)?;
        file.seek(SeekFrom::End(0)).map_err(unusable)?;
        if complete == 0 {
            writeln!(file, "{HEADER}{length}").map_err(unusable)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            done,
        })
    }

    /// The lines that earlier runs added.
    pub(super) fn done(&self) -> LineSet {
        self.done.clone()
    }

    /// Adds lines. They are on disk when this returns.
    pub(super) fn add(&mut self, numbers: &[u64]) -> Result<(), Failure> {
        if numbers.is_empty() {
            return Ok(());
        }
        let line = LineSet::text(numbers) + "\n";
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|error| Failure::file(&self.path, error))
    }

    /// Removes the journal after a complete replay.
    pub(super) fn remove(self) -> Result<(), Failure> {
        std::fs::remove_file(&self.path).map_err(|error| Failure::file(&self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjacent_ranges_are_merged() {
        let mut lines = LineSet::default();
        for (first, last) in [(5, 9), (1, 1), (3, 3), (2, 2), (20, 30), (8, 22)] {
            lines.insert(first, last);
        }
        assert_eq!(lines, LineSet(BTreeMap::from([(1, 3), (5, 30)])));
        assert_eq!(lines.count(), 29);
        for (line, expected) in [
            (0, false),
            (1, true),
            (4, false),
            (5, true),
            (30, true),
            (31, false),
        ] {
            assert_eq!(lines.contains(line), expected, "{line}");
        }
    }

    #[test]
    fn a_journal_keeps_complete_lines_and_drops_an_incomplete_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (input, path) = (folder.path().join("scans"), folder.path().join("scans.journal"));
        std::fs::write(&input, "1\n2\n").expect("a file");
        let mut journal = Journal::open(&path, &input, false).expect("a new journal");
        journal.add(&[1, 2, 3, 7]).expect("added");
        journal.add(&[5]).expect("added");
        drop(journal);
        assert!(matches!(
            Journal::open(&path, &input, false),
            Err(Failure::Usage { .. })
        ));
        let text = std::fs::read_to_string(&path).expect("text");
        for cut in 1..=2 {
            std::fs::write(&path, text.get(..text.len() - cut).expect("ASCII")).expect("written");
            let journal = Journal::open(&path, &input, true).expect("a journal");
            assert_eq!(journal.done().count(), 4);
        }
        std::fs::write(&input, "another file").expect("a file");
        assert!(Journal::open(&path, &input, true).is_err());
    }
}

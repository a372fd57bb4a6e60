//! Which lines has the server taken? A journal beside the file, which survives whatever ends the program.
//!
//! Invariants: a line is in the journal only after the server acknowledged it, and the journal is on disk before the
//! next batch of its sender goes out. What was acknowledged and not yet noted is sent again, under the same scan ids,
//! and the server answers that it has it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The first line of a journal, before the length of the file it is about.
const HEAD: &str = "voelgoed-scan replay 1 ";

/// An open journal.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    done: Lines,
}

/// Numbers of lines, as ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines(BTreeMap<u64, u64>);

impl Lines {
    /// Adds a range, both ends of which belong to it.
    fn add(&mut self, mut first: u64, mut last: u64) {
        let touching: Vec<u64> = self
            .0
            .range(..=last.saturating_add(1))
            .rev()
            .take_while(|(_, end)| end.saturating_add(1) >= first)
            .map(|(start, _)| *start)
            .collect();
        for start in touching {
            if let Some(end) = self.0.remove(&start) {
                first = first.min(start);
                last = last.max(end);
            }
        }
        self.0.insert(first, last);
    }

    /// Whether a line is among them.
    pub(super) fn contains(&self, line: u64) -> bool {
        self.0
            .range(..=line)
            .next_back()
            .is_some_and(|(_, end)| *end >= line)
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Numbers in rising order as a journal writes them: `1-500,502`.
    fn text(numbers: &[u64]) -> String {
        let mut ranges = Self::default();
        for number in numbers {
            ranges.add(*number, *number);
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

    fn read(&mut self, text: &str) -> Option<()> {
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            if first > last {
                return None;
            }
            self.add(first, last);
        }
        Some(())
    }
}

impl Journal {
    /// Opens the journal of a file, or begins one. One that is there must be meant to be resumed.
    pub(super) fn open(path: &Path, about: &Path, resume: bool) -> Result<Self, Failure> {
        let length = std::fs::metadata(about)
            .map_err(|error| Failure::File {
                path: about.to_owned(),
                error,
            })?
            .len();
        let unusable = |error| Failure::File {
            path: path.to_owned(),
            error,
        };
        let mut options = OpenOptions::new();
        options.read(true).append(true);
        let there = match options.open(path) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(unusable(error)),
        };
        let Some(mut file) = there else {
            let mut file = options.create_new(true).open(path).map_err(unusable)?;
            writeln!(file, "{HEAD}{length}").map_err(unusable)?;
            file.sync_all().map_err(unusable)?;
            return Ok(Self {
                path: path.to_owned(),
                file,
                done: Lines::default(),
            });
        };
        if !resume {
            return Err(Failure::Usage {
                reason: format!("an earlier run did not end: {} is there", path.display()),
                hint: "add --resume to go on from it, or remove it to begin again",
            });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(unusable)?;
        let strange = |reason: &str| Failure::unfit(path.display().to_string(), reason);
        // A line that a crash cut short says nothing.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text.get(..whole).unwrap_or_default().lines();
        match lines.next().map(|line| line.strip_prefix(HEAD)) {
            None => {}
            Some(Some(was)) if was == length.to_string() => {}
            Some(Some(_)) => return Err(strange("is the journal of another file, or its file was changed")),
            Some(None) => return Err(strange("is no journal")),
        }
        let mut done = Lines::default();
        for line in lines {
            done.read(line).ok_or_else(|| strange("is damaged"))?;
        }
        file.set_len(u64::try_from(whole).unwrap_or(u64::MAX))
            .map_err(unusable)?;
        file.seek(SeekFrom::End(0)).map_err(unusable)?;
        if whole == 0 {
            writeln!(file, "{HEAD}{length}").map_err(unusable)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            done,
        })
    }

    /// The lines that earlier runs noted.
    pub(super) fn done(&self) -> Lines {
        self.done.clone()
    }

    /// Notes lines, on disk before this returns.
    pub(super) fn note(&mut self, numbers: &[u64]) -> Result<(), Failure> {
        if numbers.is_empty() {
            return Ok(());
        }
        let line = Lines::text(numbers) + "\n";
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|error| Failure::File {
                path: self.path.clone(),
                error,
            })
    }

    /// Removes the journal: there is nothing to go on with.
    pub(super) fn remove(self) -> Result<(), Failure> {
        std::fs::remove_file(&self.path).map_err(|error| Failure::File {
            path: self.path,
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_touch_become_one_range() {
        let mut lines = Lines::default();
        for (first, last) in [(5, 9), (1, 1), (3, 3), (2, 2), (20, 30), (8, 22)] {
            lines.add(first, last);
        }
        assert_eq!(lines, Lines(BTreeMap::from([(1, 3), (5, 30)])));
        assert_eq!(lines.count(), 29);
        for (line, there) in [
            (0, false),
            (1, true),
            (4, false),
            (5, true),
            (30, true),
            (31, false),
        ] {
            assert_eq!(lines.contains(line), there, "{line}");
        }
    }

    #[test]
    fn a_journal_remembers_what_was_noted_and_forgets_a_line_that_was_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        let (about, path) = (folder.path().join("scans"), folder.path().join("scans.journal"));
        std::fs::write(&about, "1\n2\n").expect("a file");
        let mut journal = Journal::open(&path, &about, false).expect("a new journal");
        journal.note(&[1, 2, 3, 7]).expect("noted");
        journal.note(&[5]).expect("noted");
        drop(journal);
        assert!(matches!(
            Journal::open(&path, &about, false),
            Err(Failure::Usage { .. })
        ));
        let whole = std::fs::read_to_string(&path).expect("text");
        for cut in 1..=2 {
            std::fs::write(&path, whole.get(..whole.len() - cut).expect("ASCII")).expect("written");
            let journal = Journal::open(&path, &about, true).expect("a journal");
            assert_eq!(journal.done().count(), 4);
        }
        std::fs::write(&about, "another file").expect("a file");
        assert!(Journal::open(&path, &about, true).is_err());
    }
}

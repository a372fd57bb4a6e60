//! The file of rejected lines.
//!
//! Invariants: the file has the number of each line and the reason, never the line itself, because a payload is
//! as good as a ticket. The file is created with the first rejected line.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::failure::Failure;

/// The file of rejected lines.
pub(super) struct RejectedLines {
    path: PathBuf,
    append: bool,
    file: Option<BufWriter<File>>,
}

#[derive(Serialize)]
struct RejectedLine<'a> {
    line: u64,
    reason: &'a str,
}

impl RejectedLines {
    /// With `append`, the lines of an earlier run stay in the file.
    pub(super) fn new(path: PathBuf, append: bool) -> Self {
        Self {
            path,
            append,
            file: None,
        }
    }

    /// Writes the number of a line and the reason.
    pub(super) fn write(&mut self, line: u64, reason: &str) -> Result<(), Failure> {
        let written = self.try_write(&RejectedLine { line, reason });
        self.with_path(written)
    }

    fn try_write(&mut self, line: &RejectedLine<'_>) -> std::io::Result<()> {
        if self.file.is_none() {
            let mut options = File::options();
            let options = options
                .create(true)
                .write(true)
                .append(self.append)
                .truncate(!self.append);
            self.file = Some(BufWriter::new(options.open(&self.path)?));
        }
        if let Some(file) = &mut self.file {
            serde_json::to_writer(&mut *file, line)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Passes the buffered lines to the operating system.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.file.as_mut().map_or(Ok(()), Write::flush);
        self.with_path(flushed)
    }

    /// Flushes the file. Returns its path where it was created.
    pub(super) fn finish(&mut self) -> Result<Option<PathBuf>, Failure> {
        self.flush()?;
        Ok(self.file.is_some().then(|| self.path.clone()))
    }

    fn with_path(&self, outcome: std::io::Result<()>) -> Result<(), Failure> {
        outcome.map_err(|error| Failure::file(&self.path, error))
    }
}

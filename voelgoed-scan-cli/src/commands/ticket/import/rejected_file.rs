//! The file of rejected lines: every one as it was, with its reason.
//!
//! A table keeps its header and gets a column `reason` at its end. In any other file a note `# line 3: ...` stands before each
//! line. Either can be corrected and imported as it is.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use super::records::{Outcome, Records, Settings};
use super::source::Source;
use super::summary::LineError;
use crate::failure::Failure;
use crate::private_file;

/// The rejected lines of an import in progress.
pub(super) struct RejectedFile {
    path: PathBuf,
    file: File,
    /// What the server rejected, a JSON object a line.
    spool: BufWriter<File>,
}

impl RejectedFile {
    /// Creates the file, empty.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::file(path, error);
        Ok(Self {
            path: path.to_owned(),
            file: private_file::create(path).map_err(failed)?,
            spool: BufWriter::new(tempfile::tempfile().map_err(failed)?),
        })
    }

    /// Keeps a line that the server rejected. They arrive in their order.
    pub(super) fn add(&mut self, error: &LineError) -> Result<(), Failure> {
        let line = crate::output::json(error)?;
        writeln!(self.spool, "{line}").map_err(|error| Failure::file(&self.path, error))
    }

    /// Reads the source again and writes every rejected line.
    pub(super) fn write(self, source: &Source, settings: &Settings) -> Result<(), Failure> {
        let path = self.path.clone();
        let mut records = Records::open(source, settings, &ProgressBar::hidden())?;
        self.write_records(&mut records)
            .map_err(|error| Failure::file(&path, error))
    }

    fn write_records(self, records: &mut Records) -> std::io::Result<()> {
        let mut spool = self
            .spool
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        spool.seek(SeekFrom::Start(0))?;
        let mut of_server = BufReader::new(spool).lines();
        let mut next_error = || -> std::io::Result<Option<LineError>> {
            let line = of_server.next().transpose()?;
            Ok(line.map(|line| serde_json::from_str(&line)).transpose()?)
        };
        let mut error = next_error()?;
        let mut out = BufWriter::new(self.file);
        let mut is_empty = true;
        while let Some(record) = records.next_record()? {
            while error.as_ref().is_some_and(|error| error.line < record.number) {
                error = next_error()?;
            }
            let reason = match (record.outcome, &error) {
                (Outcome::Rejected(reason), _) => reason,
                (_, Some(error)) if error.line == record.number => error.message.clone(),
                _ => continue,
            };
            if let Some((header, delimiter)) = records.header() {
                if is_empty {
                    writeln!(out, "{header}{delimiter}reason")?;
                }
                let reason = reason.replace('"', "\"\"");
                writeln!(out, "{}{delimiter}\"{reason}\"", record.text)?;
            } else {
                let text = record.text.replace(['\n', '\r'], " ");
                writeln!(out, "# line {}: {reason}\n{text}", record.number)?;
            }
            is_empty = false;
        }
        out.flush()
    }
}

//! How is a file of any length read? A line at a time, of whichever format, each with its number.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Format;
use super::line::PastScan;
use crate::failure::Failure;

/// The longest line of NDJSON, in bytes.
const LONGEST: u64 = 64 * 1024;

/// A line that was read.
pub(super) struct Said {
    /// Its number in the file, from 1.
    pub(super) number: u64,
    /// How many bytes of the file it took.
    pub(super) bytes: u64,
    /// Its text.
    pub(super) text: Vec<u8>,
    /// What it says, or why it says nothing.
    pub(super) past: Result<PastScan, String>,
}

/// A file of scans.
pub(super) struct Reader {
    path: PathBuf,
    length: Option<u64>,
    source: Source,
    number: u64,
}

type Bytes = Box<dyn BufRead + Send>;

enum Source {
    Ndjson(Bytes),
    Csv {
        rows: Box<csv::Reader<Bytes>>,
        head: Vec<String>,
    },
}

impl Reader {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path, format: Format) -> Result<Self, Failure> {
        let unreadable = |error| Failure::File {
            path: path.to_owned(),
            error,
        };
        let (bytes, length): (Bytes, _) = if path == Path::new("-") {
            (Box::new(BufReader::new(std::io::stdin())), None)
        } else {
            let file = File::open(path).map_err(unreadable)?;
            let about = file.metadata().map_err(unreadable)?;
            if about.is_dir() {
                return Err(unreadable(ErrorKind::IsADirectory.into()));
            }
            (
                Box::new(BufReader::with_capacity(256 * 1024, file)),
                Some(about.len()),
            )
        };
        let source = match format {
            Format::Ndjson => Source::Ndjson(bytes),
            Format::Csv => {
                let mut rows = Box::new(
                    csv::ReaderBuilder::new()
                        .flexible(true)
                        .trim(csv::Trim::All)
                        .from_reader(bytes),
                );
                let head = rows.headers().map_err(|error| unreadable(error.into()))?;
                let head = head.iter().map(str::to_owned).collect();
                Source::Csv { rows, head }
            }
        };
        Ok(Self {
            path: path.to_owned(),
            length,
            source,
            number: 0,
        })
    }

    /// The file's length in bytes, where it has one.
    pub(super) const fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next line that is not empty.
    fn line(&mut self) -> std::io::Result<Option<Said>> {
        match &mut self.source {
            Source::Ndjson(bytes) => loop {
                let mut text = Vec::new();
                let mut length = bytes.by_ref().take(LONGEST).read_until(b'\n', &mut text)? as u64;
                if length == 0 {
                    return Ok(None);
                }
                self.number += 1;
                let too_long = length == LONGEST && !text.ends_with(b"\n");
                if too_long {
                    length += skip_line(bytes)?;
                } else if text.trim_ascii().is_empty() {
                    continue;
                }
                let past = if too_long {
                    Err(format!("is longer than {LONGEST} bytes"))
                } else {
                    std::str::from_utf8(&text)
                        .map_err(|_| "is not UTF-8".to_owned())
                        .and_then(PastScan::of_json)
                };
                return Ok(Some(Said {
                    number: self.number,
                    bytes: length,
                    text,
                    past,
                }));
            },
            Source::Csv { rows, head } => {
                let before = rows.position().byte();
                let mut record = csv::ByteRecord::new();
                if !rows.read_byte_record(&mut record)? {
                    return Ok(None);
                }
                // The reader's own count is off by one behind CR LF. The head was line 1.
                self.number += 1;
                let number = self.number + 1;
                let cells: Result<Vec<_>, _> = record
                    .iter()
                    .map(|cell| std::str::from_utf8(cell).map(str::to_owned))
                    .collect();
                let past = cells
                    .map_err(|_| "is not UTF-8".to_owned())
                    .and_then(|cells| PastScan::of_csv(head, &cells));
                Ok(Some(Said {
                    number,
                    bytes: rows.position().byte() - before,
                    text: record.as_slice().to_owned(),
                    past,
                }))
            }
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Said, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.line().map_err(|error| Failure::File {
            path: self.path.clone(),
            error,
        });
        line.transpose()
    }
}

/// Reads to the end of a line and forgets it; how many bytes that were.
fn skip_line(bytes: &mut Bytes) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let there = bytes.fill_buf()?;
        let end = there.iter().position(|byte| *byte == b'\n');
        let (length, over) = (
            end.map_or(there.len(), |at| at + 1),
            there.is_empty() || end.is_some(),
        );
        bytes.consume(length);
        skipped += length as u64;
        if over {
            return Ok(skipped);
        }
    }
}

/// The file of lines that could not be taken; made with the first of them.
pub(super) struct Refused {
    path: PathBuf,
    keep: bool,
    file: Option<BufWriter<File>>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    line: u64,
    reason: &'a str,
}

impl Refused {
    /// `keep`: whether lines of an earlier run stay.
    pub(super) fn new(path: PathBuf, keep: bool) -> Self {
        Self {
            path,
            keep,
            file: None,
        }
    }

    /// Writes a line's number and the reason; never the line, which may admit whoever reads it.
    pub(super) fn write(&mut self, line: u64, reason: &str) -> Result<(), Failure> {
        let written = self.try_write(&Refusal { line, reason });
        self.named(written)
    }

    fn try_write(&mut self, refusal: &Refusal<'_>) -> std::io::Result<()> {
        if self.file.is_none() {
            let mut options = File::options();
            let options = options
                .create(true)
                .write(true)
                .append(self.keep)
                .truncate(!self.keep);
            self.file = Some(BufWriter::new(options.open(&self.path)?));
        }
        if let Some(file) = &mut self.file {
            serde_json::to_writer(&mut *file, refusal)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Hands what was written to the system.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.file.as_mut().map_or(Ok(()), Write::flush);
        self.named(flushed)
    }

    /// The file, where there is one.
    pub(super) fn finish(&mut self) -> Result<Option<PathBuf>, Failure> {
        self.flush()?;
        Ok(self.file.is_some().then(|| self.path.clone()))
    }

    fn named(&self, outcome: std::io::Result<()>) -> Result<(), Failure> {
        outcome.map_err(|error| Failure::File {
            path: self.path.clone(),
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATE: &str = "0192f0c1-7a4e-7000-8000-000000000002";

    fn read(name: &str, format: Format, text: &str) -> Vec<(u64, bool)> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        let reader = Reader::open(&path, format).expect("opened");
        let lines: Vec<_> = reader.map(|line| line.expect("a line")).collect();
        let bytes: u64 = lines.iter().map(|line| line.bytes).sum();
        assert!(bytes <= text.len() as u64, "{bytes} of {}", text.len());
        lines
            .iter()
            .map(|line| (line.number, line.past.is_ok()))
            .collect()
    }

    #[test]
    fn a_bad_line_of_json_is_one_line_however_long() {
        let good = format!(r#"{{"qr":"x","gate_id":"{GATE}","scanned_at":"2026-11-22T18:04:05.120Z"}}"#);
        let long = "x".repeat(200_000);
        let text = format!("{good}\n\n{long}\n{{\n{good}");
        assert_eq!(
            read("a.ndjson", Format::Ndjson, &text),
            [(1, true), (3, false), (4, false), (5, true)]
        );
    }

    #[test]
    fn rows_of_csv_are_numbered_as_lines_of_the_file() {
        let text = format!("qr,gate_id,scanned_at\r\nx,{GATE},2026-11-22T18:04:05.120Z\r\nx,,\r\n");
        assert_eq!(read("a.csv", Format::Csv, &text), [(2, true), (3, false)]);
    }
}

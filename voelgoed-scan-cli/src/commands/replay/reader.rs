//! Reads a file of past scans line by line, as NDJSON or CSV.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use voelgoed_scan_core::model::EventId;

use super::Format;
use super::past_scan::PastScan;
use crate::failure::Failure;

/// The maximum length of an NDJSON line, in bytes.
const MAX_LINE: u64 = 64 * 1024;

/// A line of the file.
pub(super) struct InputLine {
    /// Its number in the file, counted from 1.
    pub(super) number: u64,
    /// Its length in the file, in bytes.
    pub(super) bytes: u64,
    /// Its text.
    pub(super) text: Vec<u8>,
    /// The scan, or why the line is not one.
    pub(super) scan: Result<PastScan, String>,
}

/// A file of scans.
pub(super) struct Reader {
    path: PathBuf,
    length: Option<u64>,
    source: Source,
    number: u64,
    /// The event of lines that name none.
    event: Option<EventId>,
}

type ByteSource = Box<dyn BufRead + Send>;

enum Source {
    Ndjson(ByteSource),
    Csv {
        rows: Box<csv::Reader<ByteSource>>,
        columns: Vec<String>,
    },
}

fn is_named_csv(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

/// Whether the first line has names of columns in place of a JSON object.
fn begins_as_csv(bytes: &mut ByteSource) -> std::io::Result<bool> {
    let line = bytes.fill_buf()?.split(|byte| *byte == b'\n').next();
    let line = line.unwrap_or_default().trim_ascii();
    let has_column = line
        .split(|byte| *byte == b',')
        .any(|name| matches!(name.trim_ascii(), b"scanned_at" | b"\"scanned_at\""));
    Ok(has_column && !line.starts_with(b"{"))
}

impl Reader {
    /// Opens a file, or standard input for `-`. Without a format its name and its first line say which it has.
    pub(super) fn open(path: &Path, format: Option<Format>) -> Result<Self, Failure> {
        let unreadable = |error| Failure::file(path, error);
        let (mut bytes, length): (ByteSource, _) = if path == Path::new("-") {
            (Box::new(BufReader::new(std::io::stdin())), None)
        } else {
            let file = File::open(path).map_err(unreadable)?;
            let metadata = file.metadata().map_err(unreadable)?;
            if metadata.is_dir() {
                return Err(unreadable(ErrorKind::IsADirectory.into()));
            }
            (
                Box::new(BufReader::with_capacity(256 * 1024, file)),
                Some(metadata.len()),
            )
        };
        skip_byte_order_mark(&mut bytes).map_err(unreadable)?;
        let format = match format {
            Some(format) => format,
            None if is_named_csv(path) || begins_as_csv(&mut bytes).map_err(unreadable)? => Format::Csv,
            None => Format::Ndjson,
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
                let columns = rows.headers().map_err(|error| unreadable(error.into()))?;
                let columns = columns.iter().map(str::to_owned).collect();
                Source::Csv { rows, columns }
            }
        };
        Ok(Self {
            path: path.to_owned(),
            length,
            source,
            number: 0,
            event: None,
        })
    }

    /// Takes this as the event of the lines that name none.
    #[must_use]
    pub(super) fn with_event(self, event: Option<EventId>) -> Self {
        Self { event, ..self }
    }

    /// The length of the file in bytes; `None` for standard input.
    pub(super) const fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next line that is not empty.
    fn line(&mut self) -> std::io::Result<Option<InputLine>> {
        match &mut self.source {
            Source::Ndjson(bytes) => loop {
                let mut text = Vec::new();
                let mut length = bytes.by_ref().take(MAX_LINE).read_until(b'\n', &mut text)? as u64;
                if length == 0 {
                    return Ok(None);
                }
                self.number += 1;
                let too_long = length == MAX_LINE && !text.ends_with(b"\n");
                if too_long {
                    length += skip_line(bytes)?;
                } else if text.trim_ascii().is_empty() {
                    continue;
                }
                let scan = if too_long {
                    Err(format!("is longer than {MAX_LINE} bytes"))
                } else {
                    std::str::from_utf8(&text)
                        .map_err(|_| "is not UTF-8".to_owned())
                        .and_then(PastScan::from_json)
                };
                return Ok(Some(InputLine {
                    number: self.number,
                    bytes: length,
                    text,
                    scan,
                }));
            },
            Source::Csv { rows, columns } => {
                let before = rows.position().byte();
                let mut record = csv::ByteRecord::new();
                if !rows.read_byte_record(&mut record)? {
                    return Ok(None);
                }
                // The CSV reader's own line count is off by one after CR LF. The column names are line 1.
                self.number += 1;
                let number = self.number + 1;
                let cells: Result<Vec<_>, _> = record
                    .iter()
                    .map(|cell| std::str::from_utf8(cell).map(str::to_owned))
                    .collect();
                let scan = cells
                    .map_err(|_| "is not UTF-8".to_owned())
                    .and_then(|cells| PastScan::from_csv(columns, &cells));
                Ok(Some(InputLine {
                    number,
                    bytes: rows.position().byte() - before,
                    text: record.as_slice().to_owned(),
                    scan,
                }))
            }
        }
    }
}

impl Iterator for Reader {
    type Item = Result<InputLine, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = self.line().map_err(|error| Failure::file(&self.path, error));
        if let (Some(event), Ok(Some(InputLine { scan: Ok(scan), .. }))) = (self.event, &mut line) {
            scan.set_event(event);
        }
        line.transpose()
    }
}

/// Skips a byte-order mark, which is not part of the first line.
fn skip_byte_order_mark(bytes: &mut ByteSource) -> std::io::Result<()> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if bytes.fill_buf()?.starts_with(MARK) {
        bytes.consume(MARK.len());
    }
    Ok(())
}

/// Discards the rest of a line. Returns its length in bytes.
fn skip_line(bytes: &mut ByteSource) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = bytes.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(buffer.len(), |index| index + 1);
        let is_last = buffer.is_empty() || end.is_some();
        bytes.consume(length);
        skipped += length as u64;
        if is_last {
            return Ok(skipped);
        }
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
        let reader = Reader::open(&path, Some(format)).expect("opened");
        let lines: Vec<_> = reader.map(|line| line.expect("a line")).collect();
        let bytes: u64 = lines.iter().map(|line| line.bytes).sum();
        assert!(bytes <= text.len() as u64, "{bytes} of {}", text.len());
        lines
            .iter()
            .map(|line| (line.number, line.scan.is_ok()))
            .collect()
    }

    #[test]
    fn an_invalid_json_line_counts_as_one_line_of_any_length() {
        let good = format!(r#"{{"qr":"x","gate_id":"{GATE}","scanned_at":"2026-11-22T18:04:05.120Z"}}"#);
        let long = "x".repeat(200_000);
        let text = format!("{good}\n\n{long}\n{{\n{good}");
        assert_eq!(
            read("a.ndjson", Format::Ndjson, &text),
            [(1, true), (3, false), (4, false), (5, true)]
        );
    }

    #[test]
    fn csv_rows_have_the_line_numbers_of_the_file() {
        let text = format!("qr,gate_id,scanned_at\r\nx,{GATE},2026-11-22T18:04:05.120Z\r\nx,,\r\n");
        assert_eq!(read("a.csv", Format::Csv, &text), [(2, true), (3, false)]);
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_first_line() {
        let line = format!(r#"{{"qr":"x","gate_id":"{GATE}","scanned_at":"2026-11-22T18:04:05.120Z"}}"#);
        let text = format!("\u{feff}{line}\r\n{line}");
        assert_eq!(read("a.ndjson", Format::Ndjson, &text), [(1, true), (2, true)]);
        let text = format!("\u{feff}qr,gate_id,scanned_at\nx,{GATE},2026-11-22T18:04:05.120Z\n");
        assert_eq!(read("a.csv", Format::Csv, &text), [(2, true)]);
        let text = format!("\u{feff}\"qr\",gate_id,scanned_at\nx,{GATE},2026-11-22T18:04:05.120Z\n");
        assert_eq!(read("a.csv", Format::Csv, &text), [(2, true)]);
    }

    #[test]
    fn the_name_or_the_first_line_says_the_format() {
        let json = format!(r#"{{"qr":"x","gate_id":"{GATE}","scanned_at":"2026-11-22T18:04:05.120Z"}}"#);
        let csv = format!("\u{feff}qr,\"scanned_at\",gate_id\nx,2026-11-22T18:04:05.120Z,{GATE}\n");
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text, number) in [
            ("a.txt", &json, 1),
            ("a.txt", &csv, 2),
            ("a.csv", &csv, 2),
            ("a.ndjson", &json, 1),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            let mut reader = Reader::open(&path, None).expect("opened");
            let line = reader.next().expect("a line").expect("it is read");
            assert!(line.scan.is_ok(), "{name}: {:?}", line.scan.err());
            assert_eq!(line.number, number, "{name}");
        }
    }
}

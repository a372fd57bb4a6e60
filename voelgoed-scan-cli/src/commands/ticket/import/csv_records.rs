//! Reads a table record by record (RFC 4180), each with the number of its first line and its text as it was.
//!
//! Invariant: a quote that is never closed spoils its own record and none after it.

use std::collections::VecDeque;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::source::{Line, MAX_LINE, TextLines, Unreadable};

/// The delimiters that a table may have. The one that its header has most is taken.
const DELIMITERS: [char; 3] = [',', ';', '\t'];

/// What a spreadsheet may write before the header: the delimiter.
const SEPARATOR_LINE: &str = "sep=";

/// A record of a table.
#[derive(Debug)]
pub(super) struct CsvRecord {
    /// The number of its first line.
    pub(super) line: u64,
    /// Its text, without the last line end.
    pub(super) text: String,
    /// Its cells, or why it has none.
    pub(super) cells: Result<Vec<String>, &'static str>,
}

/// The records of a table.
pub(super) struct CsvRecords {
    lines: TextLines,
    delimiter: char,
    /// Lines to be read again.
    pending: VecDeque<Line>,
}

impl CsvRecords {
    /// The records after the header, and the header. `None` where there is none.
    pub(super) fn with_header(lines: TextLines) -> std::io::Result<Option<(Self, CsvRecord)>> {
        let mut records = Self {
            lines,
            delimiter: ',',
            pending: VecDeque::new(),
        };
        let Some(line) = records.next_line_with_text()? else {
            return Ok(None);
        };
        let text = line.text.as_deref().unwrap_or_default().to_owned();
        let rest = text.trim_end().strip_prefix(SEPARATOR_LINE);
        let declared = rest
            .and_then(|rest| rest.parse().ok())
            .filter(|one| DELIMITERS.contains(one));
        if let Some(declared) = declared {
            records.delimiter = declared;
        } else {
            records.delimiter = most_frequent(&text);
            records.pending.push_front(line);
        }
        let header = records.next_record()?;
        Ok(header.map(|header| (records, header)))
    }

    /// The delimiter.
    pub(super) fn delimiter(&self) -> char {
        self.delimiter
    }

    /// The next record; `None` after the last. Lines without any text are skipped.
    pub(super) fn next_record(&mut self) -> std::io::Result<Option<CsvRecord>> {
        loop {
            let Some(first) = self.next_line_with_text()? else {
                return Ok(None);
            };
            let record = self.read(first)?;
            let is_empty =
                matches!(&record.cells, Ok(cells) if cells.iter().all(|cell| cell.trim().is_empty()));
            if !is_empty {
                return Ok(Some(record));
            }
        }
    }

    fn next_line(&mut self) -> std::io::Result<Option<Line>> {
        match self.pending.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next_line(),
        }
    }

    fn next_line_with_text(&mut self) -> std::io::Result<Option<Line>> {
        while let Some(line) = self.next_line()? {
            if !matches!(&line.text, Ok(text) if text.trim().is_empty()) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// Reads the record that begins with this line. Quoted cells may hold line breaks, so it may take further lines.
    fn read(&mut self, first: Line) -> std::io::Result<CsvRecord> {
        let number = first.number;
        let mut parser = Parser::new(self.delimiter);
        let mut taken: Vec<(u64, String)> = Vec::new();
        let mut next = Some(first);
        let mut length = 0;
        while let Some(line) = next {
            let text = match line.text {
                Ok(text) => text,
                Err(Unreadable { reason, shown }) if taken.is_empty() => {
                    return Ok(CsvRecord {
                        line: number,
                        text: shown,
                        cells: Err(reason),
                    });
                }
                Err(_) => {
                    self.pending.push_front(line);
                    break;
                }
            };
            length += text.len();
            if let Some((cells, end)) = parser.feed(&text) {
                let (own, rest) = text.split_at_checked(end).unwrap_or((&text, ""));
                if !rest.trim().is_empty() {
                    // A carriage return ends a record, too.
                    self.pending.push_front(Line {
                        number: line.number,
                        text: Ok(rest.to_owned()),
                    });
                }
                let before: String = taken.into_iter().map(|(_, text)| text).collect();
                return Ok(CsvRecord {
                    line: number,
                    text: (before + own).trim_end_matches(['\r', '\n']).to_owned(),
                    cells: Ok(cells),
                });
            }
            taken.push((line.number, text));
            if length > MAX_LINE {
                break;
            }
            next = self.next_line()?;
        }
        // A quote is never closed: the lines after the first are records of their own.
        for (number, text) in taken.drain(1..).rev() {
            self.pending.push_front(Line {
                number,
                text: Ok(text),
            });
        }
        let text = taken.pop().map(|(_, text)| text).unwrap_or_default();
        Ok(CsvRecord {
            line: number,
            text: text.trim_end_matches(['\r', '\n']).to_owned(),
            cells: Err("has a quote that is not closed"),
        })
    }
}

/// The delimiter that a header has most, outside quotes.
fn most_frequent(header: &str) -> char {
    let mut counts = [0; DELIMITERS.len()];
    let mut is_quoted = false;
    for one in header.chars() {
        if one == '"' {
            is_quoted = !is_quoted;
        }
        let at = DELIMITERS.iter().position(|delimiter| *delimiter == one);
        if let Some(count) = at.filter(|_| !is_quoted).and_then(|at| counts.get_mut(at)) {
            *count += 1;
        }
    }
    let best = DELIMITERS
        .into_iter()
        .zip(counts)
        .rev()
        .max_by_key(|(_, count)| *count);
    best.map_or(',', |(delimiter, _)| delimiter)
}

/// Parses one record that arrives in lines.
struct Parser {
    reader: Reader,
    output: Vec<u8>,
    written: usize,
    ends: Vec<usize>,
    cells: usize,
}

impl Parser {
    fn new(delimiter: char) -> Self {
        Self {
            reader: ReaderBuilder::new()
                .delimiter(u8::try_from(delimiter).unwrap_or(b','))
                .build(),
            output: vec![0; 1024],
            written: 0,
            ends: vec![0; 32],
            cells: 0,
        }
    }

    /// Takes a line with its line end. Returns the cells and the length of what was taken, once the record is complete.
    fn feed(&mut self, line: &str) -> Option<(Vec<String>, usize)> {
        let missing_end = if line.ends_with('\n') { "" } else { "\n" };
        let mut taken = 0;
        for mut input in [line.as_bytes(), missing_end.as_bytes()] {
            while !input.is_empty() {
                let (output, ends) = (
                    self.output.get_mut(self.written..)?,
                    self.ends.get_mut(self.cells..)?,
                );
                let (outcome, read, written, cells) = self.reader.read_record(input, output, ends);
                input = input.get(read..)?;
                taken += read;
                self.written += written;
                self.cells += cells;
                match outcome {
                    ReadRecordResult::InputEmpty => break,
                    ReadRecordResult::OutputFull => self.output.resize(self.output.len() * 2, 0),
                    ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                    ReadRecordResult::Record | ReadRecordResult::End => {
                        return Some((self.texts(), taken.min(line.len())));
                    }
                }
            }
        }
        None
    }

    fn texts(&self) -> Vec<String> {
        let mut start = 0;
        let ends = self.ends.iter().take(self.cells);
        let text = |end: &usize| {
            let bytes = self.output.get(start..*end).unwrap_or_default();
            start = *end;
            String::from_utf8_lossy(bytes).into_owned()
        };
        ends.map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use indicatif::ProgressBar;

    use super::super::source::Source;
    use super::*;

    /// The header and the records of a file: the line of each with its cells, or with what is wrong.
    fn records(bytes: &[u8]) -> Vec<(u64, Result<Vec<String>, &'static str>)> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        let source = Source::open(file.path()).expect("a source");
        let lines = TextLines::new(source.text(&ProgressBar::hidden()).expect("a text"));
        let Some((mut records, header)) = CsvRecords::with_header(lines).expect("a table") else {
            return Vec::new();
        };
        let mut all = vec![(header.line, header.cells)];
        while let Some(record) = records.next_record().expect("a record") {
            all.push((record.line, record.cells));
        }
        all
    }

    macro_rules! cells {
        ($texts:expr) => {
            Ok($texts
                .iter()
                .map(|text: &&str| (*text).to_owned())
                .collect())
        };
    }

    #[test]
    fn every_encoding_and_delimiter_gives_the_same_cells() {
        let text = "name;note\r\nZo\u{eb};\"a;b\"\r\n\u{738b};\r\n";
        let utf16 = |mark: &[u8], bytes: fn(u16) -> [u8; 2]| {
            let mut all = mark.to_vec();
            all.extend(text.encode_utf16().flat_map(bytes));
            all
        };
        for bytes in [
            text.as_bytes().to_vec(),
            format!("\u{feff}{text}").into_bytes(),
            utf16(b"\xff\xfe", u16::to_le_bytes),
            utf16(b"\xfe\xff", u16::to_be_bytes),
            text.replace("a;b", "a!b")
                .replace(';', "\t")
                .replace('!', ";")
                .into_bytes(),
            text.replace("a;b", "a!b")
                .replace(';', ",")
                .replace('!', ";")
                .into_bytes(),
            format!("sep=;\r\n{text}").into_bytes(),
        ] {
            let read = records(&bytes);
            let first = if bytes.starts_with(b"sep") { 2 } else { 1 };
            let expected = [
                (first, cells!(["name", "note"])),
                (first + 1, cells!(["Zo\u{eb}", "a;b"])),
                (first + 2, cells!(["\u{738b}", ""])),
            ];
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn quoted_cells_hold_quotes_delimiters_and_line_breaks_and_lines_are_those_of_the_file() {
        let text = "a,b\n\n\"x\ny\",\"he said \"\"hi\"\"\"\n,,\n5\" pipe,2\nlast,3";
        assert_eq!(
            records(text.as_bytes()),
            [
                (1, cells!(["a", "b"])),
                (3, cells!(["x\ny", "he said \"hi\""])),
                (6, cells!(["5\" pipe", "2"])),
                (7, cells!(["last", "3"])),
            ]
        );
        assert_eq!(
            records(b"a,b\r1,2\r3,4"),
            [
                (1, cells!(["a", "b"])),
                (1, cells!(["1", "2"])),
                (1, cells!(["3", "4"]))
            ]
        );
    }

    #[test]
    fn a_line_that_cannot_be_read_spoils_no_other_line() {
        let open = Err("has a quote that is not closed");
        assert_eq!(
            records(b"a,b\n\"x,1\ny,2\nz,3\n"),
            [
                (1, cells!(["a", "b"])),
                (2, open.clone()),
                (3, cells!(["y", "2"])),
                (4, cells!(["z", "3"]))
            ]
        );
        let mut bytes = b"a,b\nx,\xff\n\"y,1\n\xff\n".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', MAX_LINE + 10));
        bytes.extend_from_slice(b"\nz,3\n");
        let not_text = Err("is not UTF-8 text");
        assert_eq!(
            records(&bytes),
            [
                (1, cells!(["a", "b"])),
                (2, not_text.clone()),
                (3, open),
                (4, not_text),
                (5, Err("is longer than 64 KiB")),
                (6, cells!(["z", "3"])),
            ]
        );
    }
}

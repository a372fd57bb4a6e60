//! The file of an import as text: decoded, with its form found out by its content, and read as often as needed.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use encoding_rs_io::{DecodeReaderBytes, DecodeReaderBytesBuilder};
use indicatif::ProgressBar;

use super::json_array::JsonArray;
use crate::failure::Failure;
use crate::progress;

/// The maximum length of a line, in bytes. The server takes lines of 16 KiB; a line of CSV may be longer.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// How much of the file tells its form, in bytes.
const HEAD: usize = 64 * 1024;

/// The decoded text of a file.
pub(super) type Text = BufReader<DecodeReaderBytes<Box<dyn Read + Send>, Vec<u8>>>;

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A JSON object a line. A file that begins with an object may also be one object as a whole.
    Objects,
    /// A JSON array.
    Array,
    /// Anything else: a table.
    Csv,
}

/// A file that can be read several times. Standard input is kept in a temporary file that only its owner can read.
pub(super) struct Source {
    path: PathBuf,
    file: File,
    length: u64,
    pub(super) form: Form,
}

impl Source {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::file(path, error);
        let mut file = if path == Path::new("-") {
            let mut file = tempfile::tempfile().map_err(failed)?;
            std::io::copy(&mut std::io::stdin().lock(), &mut file).map_err(failed)?;
            file
        } else {
            open_file(path).map_err(failed)?
        };
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut source = Self {
            path: path.to_owned(),
            file,
            length,
            form: Form::Csv,
        };
        let mut head = Vec::new();
        let text = source.text(&ProgressBar::hidden())?;
        text.take(HEAD as u64).read_to_end(&mut head).map_err(failed)?;
        if head.contains(&0) {
            return Err(Failure::Invalid {
                what: source.name(),
                reason: "is not text: it holds zero characters".to_owned(),
                hint: Some("a UTF-16 file needs a byte-order mark; save a spreadsheet as CSV in UTF-8"),
            });
        }
        source.form = match head.trim_ascii_start().first() {
            Some(b'{') => Form::Objects,
            Some(b'[') => Form::Array,
            // Notes on rejected lines stand before the objects.
            Some(b'#') if first_line(&head).is_some_and(|line| line.starts_with(b"{")) => Form::Objects,
            _ => Form::Csv,
        };
        Ok(source)
    }

    /// The name of the file, for messages.
    pub(super) fn name(&self) -> String {
        if self.path == Path::new("-") {
            return "standard input".to_owned();
        }
        self.path.display().to_string()
    }

    /// A bar over the bytes of the file.
    pub(super) fn bar(&self, quiet: bool) -> ProgressBar {
        progress::bytes(Some(self.length), quiet)
    }

    /// The text from its beginning, as UTF-8 without a byte-order mark. `bar` follows the bytes of the file.
    pub(super) fn text(&self, bar: &ProgressBar) -> Result<Text, Failure> {
        let failed = |error| Failure::file(&self.path, error);
        let mut file = self.file.try_clone().map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let bytes: Box<dyn Read + Send> = Box::new(bar.wrap_read(file));
        // Without a byte-order mark the bytes are UTF-8; a line of other bytes is rejected as a line.
        let decoder = DecodeReaderBytesBuilder::new()
            .utf8_passthru(true)
            .strip_bom(true)
            .build_with_buffer(bytes, vec![0; HEAD])
            .map_err(failed)?;
        Ok(BufReader::with_capacity(MAX_LINE, decoder))
    }

    /// Reads a JSON array to its end, so that one that is cut off, or is followed by something else, is not imported in part.
    pub(super) fn check_end(&self) -> Result<(), Failure> {
        if self.form == Form::Array {
            let mut entries = JsonArray::new(self.text(&ProgressBar::hidden())?);
            while entries
                .next_entry()
                .map_err(|error| self.unreadable(error))?
                .is_some()
            {}
        }
        Ok(())
    }

    /// A failure to read the file.
    pub(super) fn unreadable(&self, error: std::io::Error) -> Failure {
        Failure::file(&self.path, error)
    }
}

fn open_file(path: &Path) -> std::io::Result<File> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    if metadata.is_file() {
        return Ok(file);
    }
    // A pipe can be read once.
    let mut copy = tempfile::tempfile()?;
    std::io::copy(&mut file, &mut copy)?;
    Ok(copy)
}

/// The first line that is not empty and no note.
fn first_line(head: &[u8]) -> Option<&[u8]> {
    head.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .find(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// A line of text with its number.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// The number, from 1.
    pub(super) number: u64,
    /// The line with its line end, or why it cannot be read.
    pub(super) text: Result<String, Unreadable>,
}

/// Why a line cannot be read, with as much of it as can be shown.
#[derive(Debug, Clone)]
pub(super) struct Unreadable {
    pub(super) reason: &'static str,
    pub(super) shown: String,
}

/// The lines of a text.
pub(super) struct TextLines {
    text: Text,
    number: u64,
}

impl TextLines {
    pub(super) fn new(text: Text) -> Self {
        Self { text, number: 0 }
    }

    /// The next line; `None` after the last.
    pub(super) fn next_line(&mut self) -> std::io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let limit = MAX_LINE as u64 + 1;
        if (&mut self.text).take(limit).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let number = self.number;
        if bytes.len() > MAX_LINE {
            self.text.skip_until(b'\n')?;
            let shown = String::from_utf8_lossy(&bytes).chars().take(200).collect();
            let reason = "is longer than 64 KiB";
            let text = Err(Unreadable { reason, shown });
            return Ok(Some(Line { number, text }));
        }
        let text = String::from_utf8(bytes).map_err(|error| Unreadable {
            reason: "is not UTF-8 text",
            shown: String::from_utf8_lossy(error.as_bytes()).into_owned(),
        });
        Ok(Some(Line { number, text }))
    }
}

//! Reads the entries of a JSON array one by one, so that memory does not grow with the array.
//!
//! The reader finds where an entry ends, and no more: whether an entry is valid JSON is checked by who parses it. Nothing may be
//! lost: what is neither an entry nor part of the array fails.

use std::io::{BufRead, Error, ErrorKind};

use super::source::{MAX_LINE, Text};

/// The entries of an array.
pub(super) struct JsonArray {
    text: Text,
    is_begun: bool,
}

/// An entry as it was, or what is shown of one that is too long.
pub(super) type Entry = Result<String, String>;

impl JsonArray {
    pub(super) fn new(text: Text) -> Self {
        Self {
            text,
            is_begun: false,
        }
    }

    /// The next entry; `None` after the last. Fails where the text ends before the array does, and where it goes on after it.
    pub(super) fn next_entry(&mut self) -> std::io::Result<Option<Entry>> {
        let is_first = !self.is_begun;
        if is_first {
            // What made this a JSON array is its bracket.
            self.next_byte()?.ok_or_else(cut_off)?;
            self.text.consume(1);
            self.is_begun = true;
        }
        match self.next_byte()?.ok_or_else(cut_off)? {
            b']' => {
                self.text.consume(1);
                return match self.next_byte()? {
                    Some(_) => Err(invalid("does not end with its JSON array")),
                    None => Ok(None),
                };
            }
            // The entry before ended here.
            b',' if !is_first => {
                self.text.consume(1);
                if matches!(self.next_byte()?, Some(b',' | b']')) {
                    return Err(invalid("has a comma without an entry in its JSON array"));
                }
            }
            b',' => return Err(invalid("has a comma without an entry in its JSON array")),
            _ => {}
        }
        self.read_entry().map(Some)
    }

    /// Skips white space, and returns the next byte without taking it. `None` at the end of the text.
    fn next_byte(&mut self) -> std::io::Result<Option<u8>> {
        loop {
            let bytes = self.text.fill_buf()?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let next = bytes.get(blank).copied();
            self.text.consume(blank);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    fn read_entry(&mut self) -> std::io::Result<Entry> {
        let mut entry = Vec::new();
        let mut scanner = Scanner::default();
        loop {
            let bytes = self.text.fill_buf()?;
            if bytes.is_empty() {
                return Err(cut_off());
            }
            let end = bytes.iter().position(|byte| scanner.ends_at(*byte));
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            let kept = part.len().min((MAX_LINE + 1).saturating_sub(entry.len()));
            entry.extend_from_slice(part.get(..kept).unwrap_or_default());
            let length = part.len();
            self.text.consume(length);
            if end.is_some() {
                break;
            }
        }
        let text = String::from_utf8_lossy(&entry);
        Ok(if entry.len() > MAX_LINE {
            Err(text.chars().take(200).collect())
        } else {
            Ok(text.trim_end().to_owned())
        })
    }
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

fn cut_off() -> Error {
    Error::new(
        ErrorKind::UnexpectedEof,
        "is cut off: its JSON array does not end",
    )
}

/// Finds the byte after an entry: a comma or a bracket that belongs to the array.
#[derive(Default)]
struct Scanner {
    depth: u32,
    in_text: bool,
    is_escaped: bool,
}

impl Scanner {
    fn ends_at(&mut self, byte: u8) -> bool {
        if self.in_text {
            self.in_text = self.is_escaped || byte != b'"';
            self.is_escaped = !self.is_escaped && byte == b'\\';
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 0 => self.depth -= 1,
            b',' | b']' => return self.depth == 0,
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use indicatif::ProgressBar;

    use super::super::source::{Form, Source};
    use super::*;

    fn entries(text: &str) -> std::io::Result<Vec<Entry>> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        let source = Source::open(file.path()).expect("a source");
        assert_eq!(source.form, Form::Array);
        let mut array = JsonArray::new(source.text(&ProgressBar::hidden()).expect("a text"));
        let mut all = Vec::new();
        while let Some(entry) = array.next_entry()? {
            all.push(entry);
        }
        Ok(all)
    }

    #[test]
    fn entries_are_found_whatever_they_hold() {
        let found = entries(
            r#" [ {"a":"],}\"","b":[1,{"c":[]}]} , 7,"x,y" , [] ,{}
            ] "#,
        );
        let found: Vec<_> = found
            .expect("entries")
            .into_iter()
            .map(|entry| entry.expect("short"))
            .collect();
        assert_eq!(
            found,
            [r#"{"a":"],}\"","b":[1,{"c":[]}]}"#, "7", r#""x,y""#, "[]", "{}"]
        );
        assert_eq!(entries("[]").expect("no entries"), []);
    }

    #[test]
    fn what_is_no_part_of_the_array_fails_instead_of_being_lost() {
        for text in ["[{}] {}", "[]\n{}\n{}", "[{}]\n[{}]", "[{}] x"] {
            let error = entries(text).expect_err(text);
            assert_eq!(error.to_string(), "does not end with its JSON array", "{text}");
        }
        for text in ["[,{}]", "[{},]", "[{},,{}]", "[,]"] {
            let error = entries(text).expect_err(text);
            assert!(
                error.to_string().contains("a comma without an entry"),
                "{text}: {error}"
            );
        }
        assert_eq!(entries("[{}]\n \n").expect("entries").len(), 1);
    }

    #[test]
    fn an_array_that_is_cut_off_fails_and_a_long_entry_spoils_no_other() {
        for text in ["[", "[{}", "[{},", r#"[{"a":"]"#] {
            let error = entries(text).expect_err(text);
            assert!(error.to_string().contains("is cut off"), "{error}");
        }
        let long = format!(r#"[1,{{"a":"{}"}},2]"#, "x".repeat(3 * MAX_LINE));
        let found = entries(&long).expect("entries");
        assert_eq!(found.len(), 3);
        assert!(
            found[1]
                .as_ref()
                .is_err_and(|shown| shown.starts_with(r#"{"a":"xxx"#))
        );
        assert_eq!(found[2], Ok("2".to_owned()));
    }
}

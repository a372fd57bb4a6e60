//! Splits a JSON text into its parts without reading the parts.
//!
//! Invariants: only the structure between the parts must be JSON, so that a part that is not JSON does not invalidate its
//! neighbours; the parts borrow from the text, and nothing is allocated for a part that is skipped.

/// The text is not a JSON object or array of parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not JSON")]
pub(super) struct NotJson;

/// A position in a JSON text.
pub(super) struct Splitter<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Splitter<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Calls `visit` for each member of the object that the text is: with the name as a JSON string, and with the position of
    /// the value, which `visit` reads.
    pub(super) fn members<E: From<NotJson>>(
        mut self,
        mut visit: impl FnMut(&'a [u8], &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.list(b'{', b'}', |splitter| {
            let name = splitter.value()?;
            if name.first() != Some(&b'"') {
                return Err(NotJson.into());
            }
            splitter.expect(b':')?;
            visit(name, splitter)
        })?;
        Ok(self.end()?)
    }

    /// Calls `visit` for each item of the array at this position.
    pub(super) fn items<E: From<NotJson>>(
        &mut self,
        mut visit: impl FnMut(&'a [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.list(b'[', b']', |splitter| visit(splitter.value()?))
    }

    fn list<E: From<NotJson>>(
        &mut self,
        open: u8,
        close: u8,
        mut part: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(open)?;
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            part(self)?;
            match self.next()? {
                b',' => {}
                end if end == close => return Ok(()),
                _ => return Err(NotJson.into()),
            }
        }
    }

    /// The next byte that is not white space, without reading it.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..)?;
        let blanks = rest.iter().take_while(|byte| is_white_space(**byte)).count();
        self.at += blanks;
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, NotJson> {
        let byte = self.peek().ok_or(NotJson)?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.next()? == byte {
            Ok(())
        } else {
            Err(NotJson)
        }
    }

    fn end(mut self) -> Result<(), NotJson> {
        self.peek().map_or(Ok(()), |_| Err(NotJson))
    }

    /// The text of the next value. Its inside is not checked, except that its brackets and strings are closed.
    pub(super) fn value(&mut self) -> Result<&'a [u8], NotJson> {
        let first = self.peek().ok_or(NotJson)?;
        let start = self.at;
        match first {
            b'"' => self.string()?,
            b'{' | b'[' => self.brackets()?,
            _ => {
                let rest = &self.text[start..];
                self.at += rest.iter().take_while(|byte| !ends_scalar(**byte)).count();
            }
        }
        if self.at == start {
            return Err(NotJson);
        }
        Ok(&self.text[start..self.at])
    }

    /// Skips a string.
    fn string(&mut self) -> Result<(), NotJson> {
        self.at += 1;
        loop {
            match self.text.get(self.at).ok_or(NotJson)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Skips an object or an array, however deep it is.
    fn brackets(&mut self) -> Result<(), NotJson> {
        let mut open = Vec::new();
        loop {
            match self.text.get(self.at).ok_or(NotJson)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' => open.push(b'}'),
                b'[' => open.push(b']'),
                close @ (b'}' | b']') if open.pop() != Some(*close) => return Err(NotJson),
                _ => {}
            }
            self.at += 1;
            if open.is_empty() {
                return Ok(());
            }
        }
    }
}

const fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

const fn ends_scalar(byte: u8) -> bool {
    is_white_space(byte) || matches!(byte, b',' | b':' | b'"' | b'{' | b'}' | b'[' | b']')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn items(text: &[u8]) -> Result<Vec<&[u8]>, NotJson> {
        let mut items = Vec::new();
        let mut splitter = Splitter::new(text);
        splitter.items(|item| {
            items.push(item);
            Ok::<(), NotJson>(())
        })?;
        splitter.end()?;
        Ok(items)
    }

    fn member_count(text: &[u8]) -> Result<usize, NotJson> {
        let mut count = 0;
        Splitter::new(text).members(|_, splitter| {
            count += 1;
            splitter.value().map(drop)
        })?;
        Ok(count)
    }

    #[test]
    fn a_part_that_is_not_json_does_not_hide_its_neighbours() {
        let text = b" [ 1 ,\"\\ud83d\", {\"a\":1e400}, nope, [[\"]\\\"\"]], \"\xff\", {\"b\" 1} ] ";
        let expected: [&[u8]; 7] = [
            b"1",
            b"\"\\ud83d\"",
            b"{\"a\":1e400}",
            b"nope",
            b"[[\"]\\\"\"]]",
            b"\"\xff\"",
            b"{\"b\" 1}",
        ];
        assert_eq!(items(text).expect("items"), expected);
        assert_eq!(items(b"[]").expect("no items"), [b""; 0]);
        assert_eq!(member_count(br#"{"a":{"b":[]},"c":1}"#), Ok(2));
    }

    #[test]
    fn a_text_whose_structure_is_broken_is_not_split() {
        for text in [
            "",
            "[",
            "]",
            "{}",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1]]",
            "[1]x",
            "[\"a]",
            "[\"\\",
            "[{]}]",
            "[{\"a\":[}]]",
            "[1:2]",
        ] {
            assert_eq!(items(text.as_bytes()), Err(NotJson), "{text}");
        }
        for text in [
            "",
            "{",
            "[]",
            "{1:2}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}}",
        ] {
            assert_eq!(member_count(text.as_bytes()), Err(NotJson), "{text}");
        }
    }

    #[test]
    fn nesting_of_any_depth_is_split() {
        let deep = format!("[{}{}]", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(items(deep.as_bytes()).expect("one item").len(), 1);
    }

    proptest! {
        #[test]
        fn every_text_is_split_or_refused(text in proptest::collection::vec(
            prop_oneof![proptest::sample::select(&b"[]{}\",:\\ 1e"[..]), any::<u8>()], 0..60)
        ) {
            let _ = member_count(&text);
            if let Ok(Value::Array(values)) = serde_json::from_slice::<Value>(&text) {
                let items = items(&text).expect("JSON is split");
                let parsed: Vec<Value> =
                    items.iter().map(|item| serde_json::from_slice(item).expect("JSON")).collect();
                prop_assert_eq!(parsed, values);
            } else {
                let _ = items(&text);
            }
        }
    }
}

//! The lines of an import: their fields, and how they are read into chunks.

use std::borrow::Cow;
use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use voelgoed_scan_core::model::{
    ClassName, GateId, HolderName, ImportStatus, Media, Note, OrderRef, Seat, TicketCode, TicketId,
    TicketLine, Timestamp,
};
use voelgoed_scan_core::store::NumberedLine;

use super::answer::{MAX_IGNORED_FIELDS, RejectedLine};
use crate::body::{Line, Lines};
use crate::json::SchemaValidator;
use crate::route::RequestError;

/// The maximum number of lines that are committed at once.
const MAX_CHUNK_LINES: usize = 3000;

/// The number of bytes after which a chunk is committed, if it has fewer lines.
const MAX_CHUNK_BYTES: usize = 1024 * 1024;

/// The maximum number of characters of an unknown field's name in the response.
const MAX_FIELD_NAME: usize = 64;

/// The maximum number of unknown fields that the reason of a rejected line names.
const MAX_NAMED_FIELDS: usize = 10;

/// The fields of a line, and those that an exported ticket has besides.
const KNOWN_FIELDS: [&str; 18] = [
    "code",
    "id",
    "status",
    "ticket_class",
    "gate_ids",
    "seat",
    "valid_from",
    "valid_until",
    "entry_limit",
    "note",
    "holder_name",
    "order_ref",
    "organization_id",
    "event_id",
    "scan_count",
    "inserted_at",
    "updated_at",
    "media",
];

/// The number of bytes of lines that are parsed before other tasks get their turn.
const BYTES_PER_TURN: usize = 64 * 1024;

/// What a text file may start with; it is not part of the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A ticket, one line of an import. An absent field keeps the current value, null clears it.
#[derive(Debug, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "describes the fields of TicketLine in JSON Schema")]
#[schemars(rename = "TicketLine")]
pub(super) struct LineSchema {
    /// The code; generated if absent.
    #[serde(default)]
    code: Option<TicketCode>,
    /// The id of the ticket; generated if absent.
    #[serde(default)]
    id: Option<TicketId>,
    /// The status; a new ticket is `active`. `scanned`, as exported lists have it, keeps the status of the ticket.
    #[serde(default)]
    status: Option<ImportStatus>,
    /// The ticket class; an unknown one is added to the event's list.
    #[serde(default)]
    ticket_class: Option<ClassName>,
    /// The gates at which the ticket is valid; null for all.
    #[serde(default)]
    gate_ids: Option<Vec<GateId>>,
    /// The seat of the holder.
    #[serde(default)]
    seat: Option<Seat>,
    /// The ticket admits from this time on.
    #[serde(default)]
    valid_from: Option<Timestamp>,
    /// The ticket admits until this time.
    #[serde(default)]
    valid_until: Option<Timestamp>,
    /// How many people the ticket admits; a new ticket admits one.
    #[serde(default)]
    #[schemars(range(min = 1, max = 255))]
    entry_limit: Option<u8>,
    /// A note for the steward.
    #[serde(default)]
    note: Option<Note>,
    /// The name of the holder. Personal data: only the ticket search shows it.
    #[serde(default)]
    holder_name: Option<HolderName>,
    /// The order of the ticket.
    #[serde(default)]
    order_ref: Option<OrderRef>,
    /// What the person may hold besides a code of ours, each unique in its event: `barcode:<text>` or `nfc:<hex>`. A line
    /// without a code whose medium is known in the event is that ticket.
    #[serde(default)]
    media: Option<Media>,
}

/// Lines that are committed together, and the rejected lines between them.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) lines: Vec<NumberedLine>,
    pub(super) rejected: Vec<RejectedLine>,
    /// The unknown fields of the lines, each once.
    pub(super) unknown_fields: Vec<String>,
}

impl Chunk {
    /// Adds a line. `known_classes` are those of the event where unknown fields and classes reject a line.
    fn add(
        &mut self,
        number: u64,
        line: TicketLine,
        text: &[u8],
        known_classes: Option<&HashSet<ClassName>>,
    ) {
        let unknown = serde_json::from_slice(text).map_or_else(|_| Vec::new(), |FieldNames(names)| names);
        let Some(classes) = known_classes else {
            self.note_unknown_fields(unknown);
            return self.lines.push(NumberedLine { number, line });
        };
        let mut errors: Vec<_> = unknown
            .iter()
            .take(MAX_NAMED_FIELDS)
            .map(|name| format!("{}: is not a field of a ticket", shortened(name)))
            .collect();
        if let Some(class) = line.ticket_class.value()
            && !classes.contains(class)
        {
            errors.push(format!("ticket_class: {class} is not a class of this event"));
        }
        if errors.is_empty() {
            self.lines.push(NumberedLine { number, line });
        } else {
            self.reject(number, errors.join("; "));
        }
    }

    fn note_unknown_fields(&mut self, names: Vec<String>) {
        for name in names {
            let name = shortened(&name);
            if self.unknown_fields.len() < MAX_IGNORED_FIELDS && !self.unknown_fields.contains(&name) {
                self.unknown_fields.push(name);
            }
        }
    }

    fn reject(&mut self, line: u64, message: impl Into<Cow<'static, str>>) {
        let message = message.into();
        self.rejected.push(RejectedLine { line, message });
    }
}

/// The start of a field's name.
fn shortened(name: &str) -> String {
    name.chars().take(MAX_FIELD_NAME).collect()
}

/// Reads the lines of an import.
pub(super) struct LineReader {
    body: Lines<LineSchema>,
    validator: SchemaValidator,
    /// The ticket classes of the event, where unknown fields and classes reject a line.
    known_classes: Option<HashSet<ClassName>>,
    /// The number of the last line read.
    line: u64,
    ended: bool,
}

impl LineReader {
    pub(super) fn new(body: Lines<LineSchema>, known_classes: Option<HashSet<ClassName>>) -> Self {
        Self {
            body,
            validator: SchemaValidator::default(),
            known_classes,
            line: 0,
            ended: false,
        }
    }

    /// Whether the last line has been read.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    pub(super) async fn read_chunk(&mut self) -> Result<Chunk, RequestError> {
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        let mut turn = 0;
        while chunk.lines.len() + chunk.rejected.len() < MAX_CHUNK_LINES
            && bytes < MAX_CHUNK_BYTES
            && !self.ended
        {
            let Some(line) = self.body.next().await? else {
                self.ended = true;
                break;
            };
            self.line += 1;
            if let Line::Text(text) = &line {
                turn += text.len();
            }
            if turn > BYTES_PER_TURN {
                turn = 0;
                tokio::task::yield_now().await;
            }
            let is_first = self.line == 1;
            match line {
                Line::TooLong => chunk.reject(self.line, "is longer than 16 KiB"),
                Line::Text(text) if line_text(&text, is_first).is_empty() => {}
                Line::Text(text) => match parse_line(&self.validator, line_text(&text, is_first)) {
                    Ok(line) => {
                        bytes += text.len();
                        let text = line_text(&text, is_first);
                        chunk.add(self.line, line, text, self.known_classes.as_ref());
                    }
                    Err(message) => chunk.reject(self.line, message),
                },
            }
        }
        Ok(chunk)
    }
}

/// The names of the fields of an object that the import does not know.
struct FieldNames(Vec<String>);

impl<'de> Deserialize<'de> for FieldNames {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> serde::de::Visitor<'de> for Names {
            type Value = FieldNames;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<FieldNames, A::Error> {
                let mut names = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    map.next_value::<serde::de::IgnoredAny>()?;
                    if !KNOWN_FIELDS.contains(&name.as_ref()) {
                        names.push(name.into_owned());
                    }
                }
                Ok(FieldNames(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// A name that is borrowed from the line unless it contains an escape.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A line without white space around it; the first line also without a byte-order mark.
fn line_text(line: &[u8], is_first: bool) -> &[u8] {
    let line = line.trim_ascii();
    if is_first {
        line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii()
    } else {
        line
    }
}

/// Replaces the line breaks of texts by spaces: spreadsheets and shops have texts of several lines.
fn replace_line_breaks(line: &mut Value) {
    let texts = ["ticket_class", "note", "holder_name", "order_ref", "seat"];
    for name in texts {
        match line.get_mut(name) {
            Some(Value::String(text)) => in_one_line(text),
            Some(Value::Object(parts)) => parts.values_mut().for_each(|part| {
                if let Value::String(text) = part {
                    in_one_line(text);
                }
            }),
            _ => {}
        }
    }
}

fn in_one_line(text: &mut String) {
    if text.contains(['\n', '\r']) {
        *text = text
            .trim_end_matches(['\n', '\r'])
            .replace("\r\n", " ")
            .replace(['\n', '\r'], " ");
    }
}

/// Parses a line. The error message repeats nothing of the line.
fn parse_line(validator: &SchemaValidator, text: &[u8]) -> Result<TicketLine, String> {
    if text.trim_ascii_start().first() == Some(&b'{')
        && let Ok(line) = serde_json::from_slice(text)
    {
        return Ok(line);
    }
    let mut value = serde_json::from_slice(text).map_err(|_| "is not JSON".to_owned())?;
    replace_line_breaks(&mut value);
    validator
        .check::<TicketLine, LineSchema>(value)
        .map_err(|errors| {
            let messages: Vec<_> = errors
                .iter()
                .map(|error| {
                    format!("{} {}", error.pointer, error.message)
                        .trim_start()
                        .to_owned()
                })
                .collect();
            messages.join("; ")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_medium_that_is_none_is_explained_in_words() {
        let line = r#"{"media":["barcode:1","barcode:ü"]}"#;
        let message = parse_line(&SchemaValidator::default(), line.as_bytes()).expect_err("no medium");
        assert!(
            message.starts_with("/media/1 is not a medium: barcode:"),
            "{message}"
        );
    }
}

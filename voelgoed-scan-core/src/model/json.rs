//! The JSON text of the values that every scan writes: its answer, its record, its snapshot and its ticket.
//!
//! The text equals serde's byte for byte. It is written by hand because a denial from the in-process cache consists
//! mostly of writing it: a key and its punctuation are appended in one piece, which takes a third of the instructions
//! of serde. Rare values (seats, overrides, undos, metadata) are left to serde.

mod scan_objects;

use itoa::Buffer;
use serde::Serialize;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
use crate::model::AnswerSnapshot;
use crate::model::{
    ApiKeyId, ClassName, DecidedBy, DeviceId, Direction, EventId, Format, GateId, KeyId, Metadata, Note,
    OrganizationId, Reason, RecordedOverride, ScanAnswer, ScanId, ScanRecord, ScanResult, Seat, SessionId,
    Source, TicketCode, TicketId, TicketStatus, Timestamp, Undone, Warning,
};

/// The initial capacity of a text in bytes. Most texts fit, so that few reallocate.
const INITIAL_CAPACITY: usize = 1024;

/// A value with a JSON text.
pub(crate) trait Json {
    /// Appends the text.
    fn write(&self, out: &mut String);
}

/// The JSON text of a value.
pub(crate) fn to_json(value: &impl Json) -> String {
    let mut out = String::with_capacity(INITIAL_CAPACITY);
    value.write(&mut out);
    out
}

impl ScanAnswer {
    /// Its JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(self)
    }
}

impl ScanRecord {
    /// Its JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(self)
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl AnswerSnapshot {
    /// Its JSON text.
    pub(crate) fn to_json(&self) -> String {
        to_json(self)
    }
}

/// Implements [`Json`] for objects. The keys are the field names, or the strings given after `=`. The implementation
/// destructures the value, so that a new field does not compile until it is listed.
macro_rules! objects {
    ($($object:ty { $first:ident, $($field:ident $(= $key:literal)?,)* })+) => {$(
        impl $crate::model::json::Json for $object {
            fn write(&self, out: &mut String) {
                let Self { $first, $($field),* } = self;
                out.push_str(concat!("{\"", stringify!($first), "\":"));
                $first.write(out);
                $(
                    out.push_str(concat!(",\"", $crate::model::json::key!($field $($key)?), "\":"));
                    $field.write(out);
                )*
                out.push('}');
            }
        }
    )+};
}

macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $key:literal) => {
        $key
    };
}

pub(crate) use key;
pub(crate) use objects;

impl<T: Json + ?Sized> Json for &T {
    fn write(&self, out: &mut String) {
        (**self).write(out);
    }
}

impl<T: Json> Json for Option<T> {
    fn write(&self, out: &mut String) {
        match self {
            Some(value) => value.write(out),
            None => out.push_str("null"),
        }
    }
}

impl<T: Json> Json for Vec<T> {
    fn write(&self, out: &mut String) {
        self.as_slice().write(out);
    }
}

impl<T: Json> Json for [T] {
    fn write(&self, out: &mut String) {
        out.push('[');
        for (index, value) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            value.write(out);
        }
        out.push(']');
    }
}

/// Writes a text that needs no escapes.
fn write_unescaped(text: &str, out: &mut String) {
    out.push('"');
    out.push_str(text);
    out.push('"');
}

impl Json for str {
    fn write(&self, out: &mut String) {
        // Counting is vectorized. A search for the first match is not.
        let is_escaped = |byte: &u8| matches!(byte, 0..=0x1f | b'"' | b'\\');
        let needs_escapes = self.bytes().filter(is_escaped).count() > 0;
        if needs_escapes {
            write_with_serde(self, out);
        } else {
            write_unescaped(self, out);
        }
    }
}

impl Json for String {
    fn write(&self, out: &mut String) {
        self.as_str().write(out);
    }
}

impl Json for bool {
    fn write(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

impl Json for Timestamp {
    fn write(&self, out: &mut String) {
        write_unescaped(self.text().as_str(), out);
    }
}

impl Json for TicketCode {
    fn write(&self, out: &mut String) {
        write_unescaped(self.text().as_str(), out);
    }
}

macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl Json for $number {
            fn write(&self, out: &mut String) {
                out.push_str(Buffer::new().format(*self));
            }
        }
    )+};
}

numbers!(i64, u32, u8, usize);

macro_rules! ids {
    ($($id:ty),+) => {$(
        impl Json for $id {
            fn write(&self, out: &mut String) {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                write_unescaped(self.as_uuid().hyphenated().encode_lower(&mut text), out);
            }
        }
    )+};
}

ids!(
    ApiKeyId,
    DeviceId,
    EventId,
    GateId,
    OrganizationId,
    ScanId,
    SessionId,
    TicketId
);

macro_rules! string_enums {
    ($($enum:ty),+) => {$(
        impl Json for $enum {
            fn write(&self, out: &mut String) {
                write_unescaped(self.as_str(), out);
            }
        }
    )+};
}

string_enums!(
    DecidedBy,
    Direction,
    Format,
    Reason,
    ScanResult,
    Source,
    TicketStatus,
    Warning
);

macro_rules! bounded_texts {
    ($($text:ty),+) => {$(
        impl Json for $text {
            fn write(&self, out: &mut String) {
                self.as_str().write(out);
            }
        }
    )+};
}

bounded_texts!(ClassName, KeyId, Note);

macro_rules! with_serde {
    ($($value:ty),+) => {$(
        impl Json for $value {
            fn write(&self, out: &mut String) {
                write_with_serde(self, out);
            }
        }
    )+};
}

with_serde!(Metadata, RecordedOverride, Seat, Undone);

#[expect(
    clippy::expect_used,
    reason = "these types have string keys and no failing serializer"
)]
fn write_with_serde<T: Serialize + ?Sized>(value: &T, out: &mut String) {
    out.push_str(&serde_json::to_string(value).expect("it is JSON"));
}

#[cfg(test)]
mod tests;

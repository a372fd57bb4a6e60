//! How are the texts written that every scan leaves: its answer, its record, what was shown with it, and its ticket?
//!
//! Byte for byte as serde writes them, with a key and its punctuation in one piece instead of a call for each quote: a
//! third of the instructions, in what is much of all that a denial from memory costs. What is seldom there (a seat, an
//! override, an undo, metadata) is left to serde.

use itoa::Buffer;
use serde::Serialize;

use crate::model::{
    Admission, AnswerSnapshot, ClassName, DecidedBy, DeviceId, Direction, EventId, Format, GateId, Headcount,
    KeyId, Ledger, Metadata, NamedGate, Note, Occupancy, OrganizationId, Outcome, Override, Passage,
    PreviousScan, Reason, ScanAnswer, ScanId, ScanRecord, ScanResult, ScannedTicket, Seat, SessionId, Source,
    Ticket, TicketCode, TicketFacts, TicketId, TicketStatus, Timestamp, Undone, Warning,
};

/// As many bytes as most of these texts have, so that few grow on their way.
const MOST_TEXTS: usize = 1024;

/// What has a JSON text.
pub(crate) trait Json {
    /// Appends its text.
    fn write(&self, out: &mut String);
}

pub(crate) fn text_of(value: &impl Json) -> String {
    let mut out = String::with_capacity(MOST_TEXTS);
    value.write(&mut out);
    out
}

impl ScanAnswer {
    /// Its JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        text_of(self)
    }
}

impl ScanRecord {
    /// Its JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        text_of(self)
    }
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl AnswerSnapshot {
    /// Its JSON text.
    pub(crate) fn to_json(&self) -> String {
        text_of(self)
    }
}

/// Objects by their fields, whose names are their keys but for those that say another. Each takes the value apart, so that
/// a new field does not compile until it stands here.
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
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
pub(crate) use objects;

objects! {
    ScanAnswer {
        scan_id,
        result,
        reason,
        replayed,
        direction,
        scanned_at,
        session_id,
        event_id,
        gate,
        ticket,
        previous_scan,
        occupancy,
        decided_by,
        warnings,
        message,
    }
    ScanRecord {
        scan_id,
        organization_id,
        ticket_id,
        ticket_code,
        event_id,
        gate_id,
        device_id,
        scan_session_id,
        result,
        reason,
        would_have_been,
        direction,
        scanned_at,
        device_scanned_at,
        received_at,
        source,
        decided_by,
        override_ = "override",
        undone,
        local_result,
        metadata,
    }
    ScannedTicket {
        id,
        code,
        status,
        ticket_class,
        seat,
        entry_limit,
        scan_count,
        note,
    }
    TicketFacts {
        ticket,
        ledger,
        version,
    }
    Ticket {
        id,
        organization_id,
        event_id,
        code,
        status,
        ticket_class,
        gate_ids,
        seat,
        valid_from,
        valid_until,
        entry_limit,
        scan_count,
        note,
        inserted_at,
        updated_at,
    }
    PreviousScan {
        scan_id,
        scanned_at,
        seconds_ago,
        gate,
        device_name,
        same_device,
    }
    NamedGate {
        id,
        name,
    }
    Occupancy {
        gate,
        event,
    }
    Headcount {
        inside,
        capacity,
    }
    Outcome {
        result,
        reason,
    }
}

impl Json for AnswerSnapshot {
    fn write(&self, out: &mut String) {
        let Self {
            gate_name,
            ticket,
            previous_scan,
            warnings,
        } = self;
        out.push_str("{\"g\":");
        gate_name.write(out);
        if let Some(ticket) = ticket {
            out.push_str(",\"t\":");
            ticket.write(out);
        }
        if let Some(previous_scan) = previous_scan {
            out.push_str(",\"p\":");
            previous_scan.write(out);
        }
        if !warnings.is_empty() {
            out.push_str(",\"w\":");
            warnings.write(out);
        }
        out.push('}');
    }
}

impl Json for Ledger {
    fn write(&self, out: &mut String) {
        let (admissions, recent) = self.parts();
        out.push_str("{\"n\":");
        admissions.write(out);
        out.push_str(",\"a\":");
        recent.write(out);
        out.push('}');
    }
}

impl Json for Admission {
    fn write(&self, out: &mut String) {
        let Self {
            entry,
            ended,
            without_right,
        } = self;
        out.push_str("{\"e\":");
        entry.write(out);
        if let Some(ended) = ended {
            out.push_str(",\"x\":");
            ended.write(out);
        }
        if *without_right {
            out.push_str(",\"w\":true");
        }
        out.push('}');
    }
}

impl Json for Passage {
    fn write(&self, out: &mut String) {
        let Self {
            scan_id,
            at,
            gate_id,
            gate_name,
            device_id,
            device_name,
        } = self;
        out.push_str("{\"s\":");
        scan_id.write(out);
        out.push_str(",\"t\":");
        at.as_millis().write(out);
        out.push_str(",\"g\":");
        gate_id.write(out);
        out.push_str(",\"n\":");
        gate_name.write(out);
        out.push_str(",\"d\":");
        device_id.write(out);
        out.push_str(",\"m\":");
        device_name.write(out);
        out.push('}');
    }
}

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
        for (at, value) in self.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            value.write(out);
        }
        out.push(']');
    }
}

/// Writes a text that needs no escapes.
fn plain(text: &str, out: &mut String) {
    out.push('"');
    out.push_str(text);
    out.push('"');
}

impl Json for str {
    fn write(&self, out: &mut String) {
        // Counted, which goes by many bytes at once; to look for the first goes by each.
        let is_escaped = |byte: &u8| matches!(byte, 0..=0x1f | b'"' | b'\\');
        let escaped = self.bytes().filter(is_escaped).count() > 0;
        if escaped {
            by_serde(self, out);
        } else {
            plain(self, out);
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
        plain(self.text().as_str(), out);
    }
}

impl Json for TicketCode {
    fn write(&self, out: &mut String) {
        plain(self.text().as_str(), out);
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
                plain(self.as_uuid().hyphenated().encode_lower(&mut text), out);
            }
        }
    )+};
}

ids!(
    DeviceId,
    EventId,
    GateId,
    OrganizationId,
    ScanId,
    SessionId,
    TicketId
);

macro_rules! string_enum {
    ($($word:ty),+) => {$(
        impl Json for $word {
            fn write(&self, out: &mut String) {
                plain(self.as_str(), out);
            }
        }
    )+};
}

string_enum!(
    DecidedBy,
    Direction,
    Format,
    Reason,
    ScanResult,
    Source,
    TicketStatus,
    Warning
);

macro_rules! names {
    ($($name:ty),+) => {$(
        impl Json for $name {
            fn write(&self, out: &mut String) {
                self.as_str().write(out);
            }
        }
    )+};
}

names!(ClassName, KeyId, Note);

macro_rules! seldom {
    ($($value:ty),+) => {$(
        impl Json for $value {
            fn write(&self, out: &mut String) {
                by_serde(self, out);
            }
        }
    )+};
}

seldom!(Metadata, Override, Seat, Undone);

#[expect(
    clippy::expect_used,
    reason = "these types have string keys and no failing serializer"
)]
fn by_serde<T: Serialize + ?Sized>(value: &T, out: &mut String) {
    out.push_str(&serde_json::to_string(value).expect("it is JSON"));
}

#[cfg(test)]
mod tests;

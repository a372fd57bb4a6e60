//! An uploaded scan: its JSON form, its constraints and its errors.

use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::model::{
    Direction, EventId, GateId, Medium, Metadata, Override, Reading, Reason, ScanId, ScanResult, Timestamp,
};
use crate::sync::LinkHash;
use crate::sync::split::{NotJson, Splitter};

/// A scan that a device decided alone, or read without deciding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawSyncScan", into = "RawSyncScan")]
pub struct SyncScan {
    /// The device's id of the scan. It is the same as in a request to the server.
    pub scan_id: ScanId,
    /// What the device read.
    pub reading: Reading,
    /// The event; if absent, the server finds it by the gate.
    pub event_id: Option<EventId>,
    /// The gate.
    pub gate_id: GateId,
    /// The direction.
    pub direction: Direction,
    /// The time by the device's clock.
    pub scanned_at: Timestamp,
    /// Milliseconds from the scan to `sent_at` by a clock that nobody sets. If present, the server takes the time of the
    /// scan from it, whatever the device's clock says.
    pub age_ms: Option<u64>,
    /// The device's result. If absent, the server decides for that time.
    pub local_result: Option<ScanResult>,
    /// The device's reason.
    pub local_reason: Option<Reason>,
    /// The position of the scan in the device's log: 1 for the first, then ascending by 1.
    pub sequence: Option<u64>,
    /// The override.
    pub override_: Option<Override>,
    /// Stored with the scan.
    pub metadata: Option<Metadata>,
    /// The hash of the previous scan in the device's log; null for the first.
    pub prev_hash: Option<LinkHash>,
}

/// The JSON form of an uploaded scan, with its constraints in JSON Schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        rename = "SyncScan",
        extend(
            // In allOf: programs that generate clients leave out the fields beside a oneOf.
            "allOf" = [{
                "description": "Exactly one of `qr`, `ticket_code` and `medium`.",
                "oneOf": [{ "required": ["qr"], "properties": { "qr": { "type": "string" } } },
                          { "required": ["ticket_code"], "properties": { "ticket_code": { "type": "string" } } },
                          { "required": ["medium"], "properties": { "medium": { "type": "string" } } }]
            }]
        )
    )
)]
pub struct RawSyncScan {
    /// The device's id of the scan. It is the same as in a request to the server.
    pub scan_id: ScanId,
    /// The text of a QR code. Exactly one of `qr`, `ticket_code` and `medium` is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
    /// The code that staff typed. Exactly one of `qr`, `ticket_code` and `medium` is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_code: Option<String>,
    /// A barcode or the id of a wristband. Exactly one of `qr`, `ticket_code` and `medium` is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<Medium>,
    /// The event. If absent, it is the only one that has this gate, or else that of the device's session at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// The gate.
    pub gate_id: GateId,
    /// The direction.
    #[serde(default = "entry")]
    pub direction: Direction,
    /// The time by the device's clock.
    pub scanned_at: Timestamp,
    /// Milliseconds from the scan to `sent_at` by a clock that nobody sets. If present, the time of the scan is the
    /// arrival of the batch minus this, whatever the device's clock says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(max = 9_007_199_254_740_991_u64)))]
    pub age_ms: Option<u64>,
    /// The device's result. If absent, the server decides for that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_result: Option<ScanResult>,
    /// The device's reason, which belongs to `local_result`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_reason: Option<Reason>,
    /// The position of the scan in the device's log: 1 for the first, then ascending by 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 9_007_199_254_740_991_u64)))]
    pub sequence: Option<u64>,
    /// The override.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_: Option<Override>,
    /// A JSON object of at most 4 KiB, stored with the scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// The hash of the previous scan in the device's log; null for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_hash: Option<LinkHash>,
}

const fn entry() -> Direction {
    Direction::Entry
}

/// The largest integer that every JSON parser represents exactly.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The error of a scan whose fields contradict each other or exceed a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSyncScan {
    /// None of `qr`, `ticket_code` and `medium`, or several.
    #[error("exactly one of qr, ticket_code and medium is due")]
    NotOneReading,
    /// `local_reason` does not belong to `local_result`, or `local_result` is absent.
    #[error("is not a reason of local_result")]
    ReasonOfAnotherResult,
    /// `sequence` is out of range.
    #[error("must be from 1 to 9007199254740991")]
    SequenceOutOfRange,
    /// `age_ms` is out of range.
    #[error("must be at most 9007199254740991")]
    AgeOutOfRange,
}

impl InvalidSyncScan {
    /// The field with the error, as a JSON pointer (RFC 6901).
    #[must_use]
    pub const fn pointer(self) -> &'static str {
        match self {
            Self::NotOneReading => "/qr",
            Self::ReasonOfAnotherResult => "/local_reason",
            Self::SequenceOutOfRange => "/sequence",
            Self::AgeOutOfRange => "/age_ms",
        }
    }
}

impl TryFrom<RawSyncScan> for SyncScan {
    type Error = InvalidSyncScan;

    fn try_from(raw: RawSyncScan) -> Result<Self, InvalidSyncScan> {
        let reading =
            Reading::of_fields(raw.qr, raw.ticket_code, raw.medium).ok_or(InvalidSyncScan::NotOneReading)?;
        if raw
            .local_reason
            .is_some_and(|reason| raw.local_result != Some(reason.result()))
        {
            return Err(InvalidSyncScan::ReasonOfAnotherResult);
        }
        if raw.sequence.is_some_and(|sequence| !is_sequence(&sequence)) {
            return Err(InvalidSyncScan::SequenceOutOfRange);
        }
        if raw.age_ms.is_some_and(|age| age > MAX_INTEGER) {
            return Err(InvalidSyncScan::AgeOutOfRange);
        }
        Ok(Self {
            scan_id: raw.scan_id,
            reading,
            event_id: raw.event_id,
            gate_id: raw.gate_id,
            direction: raw.direction,
            scanned_at: raw.scanned_at,
            age_ms: raw.age_ms,
            local_result: raw.local_result,
            local_reason: raw.local_reason,
            sequence: raw.sequence,
            override_: raw.override_,
            metadata: raw.metadata,
            prev_hash: raw.prev_hash,
        })
    }
}

impl From<SyncScan> for RawSyncScan {
    fn from(scan: SyncScan) -> Self {
        let (qr, ticket_code, medium) = scan.reading.into_fields();
        Self {
            scan_id: scan.scan_id,
            qr,
            ticket_code,
            medium,
            event_id: scan.event_id,
            gate_id: scan.gate_id,
            direction: scan.direction,
            scanned_at: scan.scanned_at,
            age_ms: scan.age_ms,
            local_result: scan.local_result,
            local_reason: scan.local_reason,
            sequence: scan.sequence,
            override_: scan.override_,
            metadata: scan.metadata,
            prev_hash: scan.prev_hash,
        }
    }
}

/// An error in a field of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ScanFault"))]
pub struct ScanFault {
    /// The field, as a JSON pointer into the scan (RFC 6901).
    pub pointer: String,
    /// The error as a text.
    pub message: String,
}

impl ScanFault {
    /// An error of one field, or of the whole scan (an empty pointer).
    #[must_use]
    pub fn new(pointer: &str, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            message: message.into(),
        }
    }
}

/// The maximum size of an item of a batch, in bytes. It is that of a scan that is sent to the server at once.
const MAX_SCAN_BYTES: usize = 64 * 1024;

/// An item of a batch as it was received: a scan, or anything else between two commas.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedScan {
    /// The scan's id, even if the scan is invalid.
    pub scan_id: Option<ScanId>,
    /// Its sequence number in the device's log, even if the scan is invalid.
    pub sequence: Option<u64>,
    /// Its hash in the device's chain.
    pub link: LinkHash,
    /// The scan, or the error in it.
    pub scan: Result<Box<SyncScan>, ScanFault>,
}

impl ReceivedScan {
    /// Reads an item.
    #[must_use]
    pub fn read(sent: &Value) -> Self {
        let scan = read(sent).map(Box::new);
        Self {
            scan_id: match &scan {
                Ok(scan) => Some(scan.scan_id),
                Err(_) => sent.get("scan_id").and_then(Value::as_str).and_then(parsed),
            },
            sequence: sent.get("sequence").and_then(Value::as_u64).filter(is_sequence),
            link: LinkHash::of(sent),
            scan,
        }
    }

    /// Reads the text of an item.
    #[must_use]
    pub fn read_text(text: &[u8]) -> Self {
        if text.len() > MAX_SCAN_BYTES {
            let rule = format!("must have at most {MAX_SCAN_BYTES} bytes");
            return Self::invalid(text, ScanFault::new("", rule));
        }
        match serde_json::from_slice(text) {
            Ok(sent) => Self::read(&sent),
            Err(_) => Self::invalid(text, ScanFault::new("", "is not JSON that can be read")),
        }
    }

    /// An item without a canonical form. The error is that of its first invalid member, if there is one, or else `fault`.
    fn invalid(text: &[u8], fault: ScanFault) -> Self {
        let (mut scan_id, mut sequence, mut member_fault) = (None, None, None);
        let is_short = text.len() <= MAX_SCAN_BYTES;
        let split = Splitter::new(text).members(|name, splitter| {
            let value = splitter.value()?;
            let name: String = serde_json::from_slice(name).map_err(|_| NotJson)?;
            match name.as_str() {
                "scan_id" => scan_id = serde_json::from_slice(value).ok(),
                "sequence" => sequence = serde_json::from_slice(value).ok().filter(is_sequence),
                _ => {}
            }
            if is_short && member_fault.is_none() && serde_json::from_slice::<Value>(value).is_err() {
                let pointer = pointer_of(&name);
                member_fault = Some(ScanFault::new(&pointer, "is not JSON that can be read"));
            }
            Ok::<(), NotJson>(())
        });
        Self {
            scan_id,
            sequence,
            link: LinkHash::of_unreadable(text),
            // The members of a broken object are no error by themselves.
            scan: Err(member_fault.filter(|_| split.is_ok()).unwrap_or(fault)),
        }
    }
}

impl<'de> Deserialize<'de> for ReceivedScan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|sent| Self::read(&sent))
    }
}

fn parsed(text: &str) -> Option<ScanId> {
    text.parse().ok()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that Option::filter takes"
)]
fn is_sequence(number: &u64) -> bool {
    (1..=MAX_INTEGER).contains(number)
}

/// The JSON pointer (RFC 6901) to a member.
fn pointer_of(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn read(sent: &Value) -> Result<SyncScan, ScanFault> {
    // A derived `Deserialize` also accepts an array of the fields.
    if !sent.is_object() {
        return Err(ScanFault::new("", "must be an object"));
    }
    if sent.get("override").is_some_and(Value::is_array) {
        return Err(ScanFault::new("/override", "must be an object"));
    }
    let raw: RawSyncScan =
        serde_path_to_error::deserialize(sent.into_deserializer()).map_err(|error| fault(&error))?;
    SyncScan::try_from(raw).map_err(|error| ScanFault::new(error.pointer(), error.to_string()))
}

/// The error of serde, without any part of the input.
fn fault(error: &serde_path_to_error::Error<serde_json::Error>) -> ScanFault {
    let mut pointer = String::new();
    for segment in error.path() {
        match segment {
            serde_path_to_error::Segment::Seq { index } => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
            serde_path_to_error::Segment::Map { key } => {
                pointer.push_str(&pointer_of(key));
            }
            serde_path_to_error::Segment::Enum { .. } | serde_path_to_error::Segment::Unknown => {}
        }
    }
    let text = error.inner().to_string();
    if let Some(field) = text
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next())
    {
        return ScanFault {
            pointer: format!("{pointer}/{field}"),
            message: "is required".to_owned(),
        };
    }
    let repeats_input = text.starts_with("invalid ") || text.starts_with("unknown ");
    ScanFault {
        pointer,
        message: if repeats_input {
            "is not valid".to_owned()
        } else {
            text
        },
    }
}

#[cfg(test)]
mod tests;

//! A past scan as it is exported, and its conversion into a scan of an upload batch.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use voelgoed_scan_core::model::{
    Direction, EventId, GateId, Metadata, Override, Reason, ReasonText, RecordedOverride, ScanId, ScanResult,
    TicketCode, Timestamp,
};
use voelgoed_scan_core::rules::RecordedScan;
use voelgoed_scan_core::sync::RawSyncScan;

/// The metadata field with the original device.
const REPLAYED_DEVICE: &str = "replayed_device";

/// The reason of an override whose own reason was deleted with the personal data of the event.
const DELETED_REASON: &str = "The reason was deleted";

/// The fields of a past scan that are sent again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct PastScan {
    #[serde(default)]
    scan_id: Option<ScanId>,
    #[serde(default)]
    qr: Option<String>,
    #[serde(default)]
    ticket_code: Option<String>,
    /// The event, because a gate may serve several. Without it the server finds the event by the gate.
    #[serde(default)]
    event_id: Option<EventId>,
    pub(super) gate_id: GateId,
    /// The device's id in the file. This server need not know the device.
    #[serde(default)]
    pub(super) device_id: Option<String>,
    #[serde(default)]
    direction: Option<Direction>,
    scanned_at: Timestamp,
    #[serde(default)]
    result: Option<ScanResult>,
    #[serde(default)]
    reason: Option<Reason>,
    /// For an override: the denial that it replaced.
    #[serde(default)]
    would_have_been: Option<Value>,
    #[serde(default)]
    local_result: Option<ScanResult>,
    #[serde(default, rename = "override")]
    override_: Option<RecordedOverride>,
    #[serde(default)]
    undone: Option<Value>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

/// Why a line is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SkipReason {
    /// The line names no ticket.
    NoTicket,
    /// The scan was undone.
    Undone,
}

impl SkipReason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NoTicket => "no_qr_or_ticket_code",
            Self::Undone => "undone",
        }
    }
}

impl PastScan {
    /// Parses a line of NDJSON.
    pub(super) fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| parse_error(&error))
    }

    /// Parses a row of CSV. An empty cell is an absent field; objects are JSON.
    pub(super) fn from_csv(columns: &[String], cells: &[String]) -> Result<Self, String> {
        let mut fields = Map::new();
        for (name, cell) in columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            let value = if matches!(
                name.as_str(),
                "override" | "undone" | "metadata" | "would_have_been"
            ) {
                serde_json::from_str(cell).map_err(|_| format!("{name} is not JSON"))?
            } else {
                Value::String(cell.clone())
            };
            fields.insert(name.clone(), value);
        }
        serde_json::from_value(Value::Object(fields)).map_err(|error| parse_error(&error))
    }

    /// The time of the scan.
    pub(super) const fn at(&self) -> Timestamp {
        self.scanned_at
    }

    /// The event, if the line names it.
    pub(super) const fn event(&self) -> Option<EventId> {
        self.event_id
    }

    /// The result on record.
    pub(super) const fn recorded_result(&self) -> Option<ScanResult> {
        self.result
    }

    /// The reason on record.
    pub(super) const fn recorded_reason(&self) -> Option<Reason> {
        self.reason
    }

    /// The scan as it was recorded, to be decided under other settings. `None` if it has neither a result nor a ticket.
    pub(super) fn to_recorded(&self, number: u64, text: &[u8]) -> Option<RecordedScan> {
        let direction = self.direction.unwrap_or(Direction::Entry);
        let ticket_code = self
            .ticket_code
            .as_deref()
            .and_then(|code| TicketCode::parse_typed(code).ok());
        let reason = match (self.reason, self.result) {
            (Some(reason), _) => reason,
            (None, Some(result)) => usual_reason(result, direction),
            // Not decided yet: every check before re-entry and capacity is taken to have passed.
            (None, None) => ticket_code.map(|_| usual_reason(ScanResult::Valid, direction))?,
        };
        let nested = |value: &Option<Value>, field: &str| {
            let text = value.as_ref()?.get(field)?.as_str()?;
            Some(text.to_owned())
        };
        Some(RecordedScan {
            scan_id: self.scan_id.unwrap_or_else(|| derived_id(number, text)),
            ticket_code,
            gate_id: self.gate_id,
            direction,
            at: self.scanned_at,
            reason,
            would_have_been: nested(&self.would_have_been, "reason").and_then(|text| text.parse().ok()),
            has_override: self.override_.is_some() || reason == Reason::Overridden,
            undone_at: nested(&self.undone, "at").and_then(|text| text.parse().ok()),
        })
    }

    /// The scan for the upload, from line `number` of the file with this `text`.
    ///
    /// With `keep_device`, the metadata names the original device, because another device sends the scan.
    pub(super) fn into_sync_scan(
        self,
        number: u64,
        text: &[u8],
        keep_device: bool,
    ) -> Result<RawSyncScan, NotSent> {
        if self.undone.is_some_and(|undone| !undone.is_null()) {
            return Err(NotSent::Skipped(SkipReason::Undone));
        }
        let (qr, ticket_code) = match (self.qr, self.ticket_code) {
            (Some(qr), _) => (Some(qr), None),
            (None, Some(code)) => (None, Some(code)),
            (None, None) => return Err(NotSent::Skipped(SkipReason::NoTicket)),
        };
        // An offline device uploaded its own result. Else the result is the server's.
        let local_result = self.local_result.or(self.result);
        let local_reason = self.reason.filter(|reason| Some(reason.result()) == local_result);
        let mut metadata = self.metadata.unwrap_or_default();
        if let Some(device) = self.device_id.filter(|_| keep_device) {
            metadata.entry(REPLAYED_DEVICE).or_insert(Value::String(device));
        }
        let metadata = (!metadata.is_empty())
            .then(|| serde_json::from_value::<Metadata>(Value::Object(metadata)))
            .transpose()
            .map_err(|error| NotSent::Rejected(format!("metadata {error}")))?;
        Ok(RawSyncScan {
            scan_id: self.scan_id.unwrap_or_else(|| derived_id(number, text)),
            qr,
            ticket_code,
            medium: None,
            event_id: self.event_id,
            gate_id: self.gate_id,
            direction: self.direction.unwrap_or(Direction::Entry),
            scanned_at: self.scanned_at,
            local_result,
            local_reason,
            sequence: None,
            override_: self.override_.and_then(sent_override),
            metadata,
            age_ms: None,
            prev_hash: None,
        })
    }
}

/// The reason of a result that is recorded without one.
const fn usual_reason(result: ScanResult, direction: Direction) -> Reason {
    match (result, direction) {
        (ScanResult::Valid, Direction::Entry) => Reason::Admitted,
        (ScanResult::Valid, Direction::Exit) => Reason::Exited,
        (ScanResult::Duplicate, _) => Reason::AlreadyScanned,
        (ScanResult::InvalidToken, _) => Reason::Malformed,
        (ScanResult::WrongEvent, _) => Reason::OtherEvent,
        (ScanResult::WrongGate, _) => Reason::GateNotAllowed,
        (ScanResult::Refused, Direction::Entry) => Reason::GateClosed,
        (ScanResult::Refused, Direction::Exit) => Reason::NotInside,
    }
}

/// The override as it is sent again. A deleted reason is replaced, because the server requires one.
fn sent_override(override_: RecordedOverride) -> Option<Override> {
    let reason = override_.reason.or_else(|| ReasonText::new(DELETED_REASON).ok());
    reason.map(|reason| Override { reason })
}

/// Why a line is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotSent {
    /// The line is skipped.
    Skipped(SkipReason),
    /// The line is not a valid scan.
    Rejected(String),
}

/// The id for a line without one. It depends only on the number and text of the line, so that the line is the same scan
/// when it is sent again.
fn derived_id(number: u64, text: &[u8]) -> ScanId {
    let mut hash = Sha256::new();
    hash.update(b"voelgoed-scan/replay/");
    hash.update(number.to_be_bytes());
    hash.update(text.trim_ascii());
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(digest.iter()) {
        *byte = *from;
    }
    // RFC 9562, version 8: a UUID by the implementation's own rule.
    ScanId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// The message of serde without the position and without values of the line.
fn parse_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(reason, _)| reason);
    // These messages repeat the value, which may be a payload that admits.
    let has_value = text.starts_with("invalid type") || text.starts_with("invalid value");
    let text: Cow<'_, str> = if has_value {
        Cow::Borrowed("a field has a value of the wrong kind")
    } else {
        Cow::Borrowed(text)
    };
    text.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"qr":"VG1.1.x.y","ticket_code":"3KQR7F924M1XaB0z","gate_id":"0192f0c1-7a4e-7000-8000-000000000002",
        "device_id":"door-1","scanned_at":"2026-11-22T18:04:05.120Z","result":"duplicate","reason":"already_scanned",
        "local_result":null,"undone":null,"metadata":{"a":1},"organization_id":"elsewhere"}"#;

    fn sync_scan(text: &str, number: u64) -> Result<RawSyncScan, NotSent> {
        PastScan::from_json(text)
            .map_err(NotSent::Rejected)?
            .into_sync_scan(number, text.as_bytes(), true)
    }

    #[test]
    fn an_exported_line_keeps_its_result_and_its_device() {
        let scan = sync_scan(LINE, 1).expect("a scan");
        assert_eq!(
            (scan.qr.as_deref(), scan.ticket_code.as_deref()),
            (Some("VG1.1.x.y"), None)
        );
        assert_eq!(scan.local_result, Some(ScanResult::Duplicate));
        assert_eq!(scan.local_reason, Some(Reason::AlreadyScanned));
        let metadata = serde_json::to_string(&scan.metadata).expect("JSON");
        assert_eq!(metadata, r#"{"a":1,"replayed_device":"door-1"}"#);
    }

    #[test]
    fn a_line_keeps_its_event_and_may_have_none() {
        const EVENT: &str = "0192f0c1-7a4e-7000-8000-000000000003";
        assert_eq!(sync_scan(LINE, 1).expect("a scan").event_id, None);
        let named = LINE.replacen('{', &format!(r#"{{"event_id":"{EVENT}","#), 1);
        let scan = sync_scan(&named, 1).expect("a scan");
        assert_eq!(scan.event_id, EVENT.parse().ok());
        let columns = ["ticket_code", "event_id", "gate_id", "scanned_at"].map(str::to_owned);
        let cell = |event: &str| {
            let gate = "0192f0c1-7a4e-7000-8000-000000000002";
            ["3KQR7F924M1XaB0z", event, gate, "2026-11-22T18:04:05.120Z"].map(str::to_owned)
        };
        let event = |cells: &[String]| PastScan::from_csv(&columns, cells).expect("a scan").event_id;
        assert_eq!(event(&cell(EVENT)), EVENT.parse().ok());
        assert_eq!(event(&cell("")), None);
    }

    #[test]
    fn the_derived_scan_id_is_stable_and_differs_between_lines() {
        let id = |text: &str, number| sync_scan(text, number).expect("a scan").scan_id;
        assert_eq!(id(LINE, 1), id(LINE, 1));
        assert_ne!(id(LINE, 1), id(LINE, 2));
        assert_ne!(id(LINE, 1), id(&LINE.replace("door-1", "door-2"), 1));
        assert_eq!(id(LINE, 1).as_uuid().get_version_num(), 8);
    }

    #[test]
    fn a_line_without_a_ticket_and_an_undone_scan_are_skipped() {
        let none = LINE
            .replace(r#""qr":"VG1.1.x.y""#, r#""qr":null"#)
            .replace(r#""3KQR7F924M1XaB0z""#, "null");
        assert_eq!(sync_scan(&none, 1), Err(NotSent::Skipped(SkipReason::NoTicket)));
        let undone = LINE.replace(
            r#""undone":null"#,
            r#""undone":{"at":"2026-11-22T18:05:05.120Z"}"#,
        );
        assert_eq!(sync_scan(&undone, 1), Err(NotSent::Skipped(SkipReason::Undone)));
    }

    #[test]
    fn csv_cells_are_parsed_as_json_fields_are() {
        let split = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let columns = split("ticket_code,gate_id,scanned_at,direction,result,scan_id");
        let cells =
            split("3KQR7F924M1XaB0z,0192f0c1-7a4e-7000-8000-000000000002,2026-11-22T18:04:05.120Z,exit,,");
        let scan = PastScan::from_csv(&columns, &cells).expect("a scan");
        assert_eq!(
            (scan.direction, scan.result, scan.scan_id),
            (Some(Direction::Exit), None, None)
        );
        assert!(PastScan::from_csv(&columns[..1], &cells[..1]).is_err());
    }

    #[test]
    fn an_error_does_not_repeat_the_line() {
        let error = sync_scan(&LINE.replace("\"VG1.1.x.y\"", "[\"secret\"]"), 1).expect_err("an error");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        let NotSent::Rejected(reason) = sync_scan("{}", 1).expect_err("an error") else {
            panic!("rejected");
        };
        assert_eq!(reason, "missing field `gate_id`");
    }
}

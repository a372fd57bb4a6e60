//! What does one line of the past say? Its fields as they are exported, and the scan that is handed in for it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use voelgoed_scan_core::model::{
    Direction, GateId, Metadata, Override, Reason, ScanId, ScanResult, Timestamp,
};
use voelgoed_scan_core::sync::RawSyncScan;

/// The field of the metadata that keeps the original device.
const REPLAYED_DEVICE: &str = "replayed_device";

/// As much of a past scan as is handed in again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct PastScan {
    #[serde(default)]
    scan_id: Option<ScanId>,
    #[serde(default)]
    qr: Option<String>,
    #[serde(default)]
    ticket_code: Option<String>,
    gate_id: GateId,
    /// As the file names it: the id of a device that this server need not know.
    #[serde(default)]
    pub(super) device_id: Option<String>,
    #[serde(default)]
    direction: Option<Direction>,
    scanned_at: Timestamp,
    #[serde(default)]
    result: Option<ScanResult>,
    #[serde(default)]
    reason: Option<Reason>,
    #[serde(default)]
    local_result: Option<ScanResult>,
    #[serde(default, rename = "override")]
    override_: Option<Override>,
    #[serde(default)]
    undone: Option<Value>,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

/// Why a line is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Skipped {
    /// It names no ticket.
    NoTicket,
    /// It was undone.
    Undone,
}

impl Skipped {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NoTicket => "no_qr_or_ticket_code",
            Self::Undone => "undone",
        }
    }
}

impl PastScan {
    /// Reads a line of NDJSON.
    pub(super) fn of_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| plain(&error))
    }

    /// Reads a line of CSV under its head. An empty cell is an absent field; objects are JSON.
    pub(super) fn of_csv(head: &[String], cells: &[String]) -> Result<Self, String> {
        let mut fields = Map::new();
        for (name, cell) in head.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            let value = if matches!(name.as_str(), "override" | "undone" | "metadata") {
                serde_json::from_str(cell).map_err(|_| format!("{name} is not JSON"))?
            } else {
                Value::String(cell.clone())
            };
            fields.insert(name.clone(), value);
        }
        serde_json::from_value(Value::Object(fields)).map_err(|error| plain(&error))
    }

    /// What is handed in: line `number` of a file, which says `text`.
    ///
    /// `keep_device`: the device that sends is not the one that scanned, whose name is kept in the metadata.
    pub(super) fn handed_in(self, number: u64, text: &[u8], keep_device: bool) -> Result<RawSyncScan, Unfit> {
        if self.undone.is_some_and(|undone| !undone.is_null()) {
            return Err(Unfit::Skipped(Skipped::Undone));
        }
        let (qr, ticket_code) = match (self.qr, self.ticket_code) {
            (Some(qr), _) => (Some(qr), None),
            (None, Some(code)) => (None, Some(code)),
            (None, None) => return Err(Unfit::Skipped(Skipped::NoTicket)),
        };
        // Where a device had decided alone, that is what it handed in; else what the server told it.
        let local_result = self.local_result.or(self.result);
        let local_reason = self.reason.filter(|reason| Some(reason.result()) == local_result);
        let mut metadata = self.metadata.unwrap_or_default();
        if let Some(device) = self.device_id.filter(|_| keep_device) {
            metadata.entry(REPLAYED_DEVICE).or_insert(Value::String(device));
        }
        let metadata = (!metadata.is_empty())
            .then(|| serde_json::from_value::<Metadata>(Value::Object(metadata)))
            .transpose()
            .map_err(|error| Unfit::Rejected(format!("metadata {error}")))?;
        Ok(RawSyncScan {
            scan_id: self.scan_id.unwrap_or_else(|| derived_id(number, text)),
            qr,
            ticket_code,
            gate_id: self.gate_id,
            direction: self.direction.unwrap_or(Direction::Entry),
            scanned_at: self.scanned_at,
            local_result,
            local_reason,
            sequence: None,
            override_: self.override_,
            metadata,
            prev_hash: None,
        })
    }
}

/// Why a line is not handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is left out.
    Skipped(Skipped),
    /// It cannot be a scan.
    Rejected(String),
}

/// The id of a scan that has none: the same for the same line at the same place, so that sending it again is harmless.
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
    // RFC 9562, version 8: made by the maker's own rule.
    ScanId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// What serde found, without the place in a line of its own.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(reason, _)| reason);
    // What a field holds may be a bearer secret; what is wrong with it is enough.
    let hides = text.starts_with("invalid type") || text.starts_with("invalid value");
    let text: Cow<'_, str> = if hides {
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

    fn handed(text: &str, number: u64) -> Result<RawSyncScan, Unfit> {
        PastScan::of_json(text)
            .map_err(Unfit::Rejected)?
            .handed_in(number, text.as_bytes(), true)
    }

    #[test]
    fn an_exported_line_keeps_what_was_decided_and_who_scanned() {
        let scan = handed(LINE, 1).expect("a scan");
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
    fn a_line_without_an_id_always_gets_the_same_one_and_no_other_line_does() {
        let id = |text: &str, number| handed(text, number).expect("a scan").scan_id;
        assert_eq!(id(LINE, 1), id(LINE, 1));
        assert_ne!(id(LINE, 1), id(LINE, 2));
        assert_ne!(id(LINE, 1), id(&LINE.replace("door-1", "door-2"), 1));
        assert_eq!(id(LINE, 1).as_uuid().get_version_num(), 8);
    }

    #[test]
    fn what_names_no_ticket_or_was_undone_is_left_out() {
        let none = LINE
            .replace(r#""qr":"VG1.1.x.y""#, r#""qr":null"#)
            .replace(r#""3KQR7F924M1XaB0z""#, "null");
        assert_eq!(handed(&none, 1), Err(Unfit::Skipped(Skipped::NoTicket)));
        let undone = LINE.replace(
            r#""undone":null"#,
            r#""undone":{"at":"2026-11-22T18:05:05.120Z"}"#,
        );
        assert_eq!(handed(&undone, 1), Err(Unfit::Skipped(Skipped::Undone)));
    }

    #[test]
    fn csv_says_the_same_as_json() {
        let split = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let head = split("ticket_code,gate_id,scanned_at,direction,result,scan_id");
        let cells =
            split("3KQR7F924M1XaB0z,0192f0c1-7a4e-7000-8000-000000000002,2026-11-22T18:04:05.120Z,exit,,");
        let past = PastScan::of_csv(&head, &cells).expect("a scan");
        assert_eq!(
            (past.direction, past.result, past.scan_id),
            (Some(Direction::Exit), None, None)
        );
        assert!(PastScan::of_csv(&head[..1], &cells[..1]).is_err());
    }

    #[test]
    fn a_fault_does_not_repeat_the_line() {
        let fault = handed(&LINE.replace("\"VG1.1.x.y\"", "[\"secret\"]"), 1).expect_err("a fault");
        assert!(!format!("{fault:?}").contains("secret"), "{fault:?}");
        let Unfit::Rejected(reason) = handed("{}", 1).expect_err("a fault") else {
            panic!("rejected");
        };
        assert_eq!(reason, "missing field `gate_id`");
    }
}

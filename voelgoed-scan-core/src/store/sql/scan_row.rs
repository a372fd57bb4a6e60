//! A row of the table `scans`, as a set-based statement inserts it. The organization is a parameter of its own.

use serde::{Serialize, Serializer};
use uuid::fmt::Simple;

use crate::model::{Format, ReasonText, ScanResult, Timestamp};
use crate::rules::NewScan;
use crate::store::StoreError;
use crate::store::sql::bulk::{BulkRow, Column, column};
use crate::store::sql::lookup::json_text;

/// The reason of an override after the personal data of its event were deleted. Null means that there was no override.
pub(crate) const CLEARED_REASON: &str = "";

#[derive(Serialize)]
pub(crate) struct ScanRow<'a> {
    scan_id: Simple,
    ticket_id: Option<Simple>,
    ticket_code: Option<String>,
    event_id: Simple,
    gate_id: Simple,
    device_id: Simple,
    session_id: Option<Simple>,
    result: &'a str,
    reason: &'a str,
    would_have_been: Option<&'a str>,
    direction: &'a str,
    scanned_at: i64,
    device_scanned_at: Option<i64>,
    received_at: i64,
    source: &'a str,
    decided_by: &'a str,
    override_reason: Option<&'a str>,
    local_result: Option<&'a str>,
    metadata: Option<String>,
    #[serde(serialize_with = "serialize_hex")]
    payload_sha256: &'a [u8; 32],
    payload_format: Option<&'a str>,
    payload_kid: Option<String>,
    shown: String,
}

fn serialize_hex<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::model::hex::encode(bytes))
}

impl<'a> ScanRow<'a> {
    pub(crate) fn new(scan: &'a NewScan) -> Result<Self, StoreError> {
        let NewScan {
            record,
            fingerprint,
            snapshot: shown,
        } = scan;
        Ok(Self {
            scan_id: record.scan_id.as_uuid().simple(),
            ticket_id: record.ticket_id.map(|id| id.as_uuid().simple()),
            ticket_code: record.ticket_code.map(|code| code.to_string()),
            event_id: record.event_id.as_uuid().simple(),
            gate_id: record.gate_id.as_uuid().simple(),
            device_id: record.scanned_by().as_uuid().simple(),
            session_id: record.scan_session_id.map(|id| id.as_uuid().simple()),
            result: record.result.as_str(),
            reason: record.reason.as_str(),
            would_have_been: record.would_have_been.map(|outcome| outcome.reason.as_str()),
            direction: record.direction.as_str(),
            scanned_at: record.scanned_at.as_millis(),
            device_scanned_at: record.device_scanned_at.map(Timestamp::as_millis),
            received_at: record.received_at.as_millis(),
            source: record.source.as_str(),
            decided_by: record.decided_by.as_str(),
            override_reason: record.override_.as_ref().map(|override_| {
                override_
                    .reason
                    .as_ref()
                    .map_or(CLEARED_REASON, ReasonText::as_str)
            }),
            local_result: record.local_result.map(ScanResult::as_str),
            metadata: record.metadata.as_ref().map(json_text).transpose()?,
            payload_sha256: &fingerprint.sha256,
            payload_format: fingerprint.format.map(Format::as_str),
            payload_kid: fingerprint.kid.map(|kid| kid.to_string()),
            shown: shown.to_json(),
        })
    }
}

impl BulkRow for ScanRow<'_> {
    fn columns(rows: &[Self]) -> Vec<Column<'_>> {
        vec![
            column!(Id, rows, row => row.scan_id.into_uuid()),
            column!(OptId, rows, row => row.ticket_id.map(Simple::into_uuid)),
            column!(OptText, rows, row => row.ticket_code.as_deref()),
            column!(Id, rows, row => row.event_id.into_uuid()),
            column!(Id, rows, row => row.gate_id.into_uuid()),
            column!(Id, rows, row => row.device_id.into_uuid()),
            column!(OptId, rows, row => row.session_id.map(Simple::into_uuid)),
            column!(Text, rows, row => row.result),
            column!(Text, rows, row => row.reason),
            column!(OptText, rows, row => row.would_have_been),
            column!(Text, rows, row => row.direction),
            column!(Int, rows, row => row.scanned_at),
            column!(OptInt, rows, row => row.device_scanned_at),
            column!(Int, rows, row => row.received_at),
            column!(Text, rows, row => row.source),
            column!(Text, rows, row => row.decided_by),
            column!(OptText, rows, row => row.override_reason),
            column!(OptText, rows, row => row.local_result),
            column!(OptText, rows, row => row.metadata.as_deref()),
            column!(Bytes, rows, row => row.payload_sha256.as_slice()),
            column!(OptText, rows, row => row.payload_format),
            column!(OptText, rows, row => row.payload_kid.as_deref()),
            column!(Text, rows, row => row.shown.as_str()),
        ]
    }
}

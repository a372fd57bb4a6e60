//! The request of a scan and its JSON form.

use serde::{Deserialize, Serialize};

use crate::model::{Direction, GateId, Medium, Metadata, Override, Reading, ReasonText, ScanId, Timestamp};

/// The request of `POST /api/v1/scanning/scan`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "RawScanRequest")]
pub struct ScanRequest {
    /// What the device read.
    pub reading: Reading,
    /// The client's id of this scan. A retry has the same id.
    pub scan_id: Option<ScanId>,
    /// When the device read it, by the device's clock.
    pub scanned_at: Option<Timestamp>,
    /// Which way the person goes.
    pub direction: Direction,
    /// Stored with the scan.
    pub metadata: Option<Metadata>,
    /// Overrides a denial of an entry.
    pub override_: Option<Override>,
    /// Whether to decide the scan without recording it.
    pub dry_run: bool,
}

/// The JSON form of a scan request, with its constraints in JSON Schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        rename = "ScanRequest",
        extend(
            // In allOf: programs that generate clients leave out the fields beside a oneOf.
            "allOf" = [
                {
                    "description": "Exactly one of `qr`, `ticket_code` and `medium`.",
                    "oneOf": [{ "required": ["qr"], "properties": { "qr": { "type": "string" } } },
                              { "required": ["ticket_code"], "properties": { "ticket_code": { "type": "string" } } },
                              { "required": ["medium"], "properties": { "medium": { "type": "string" } } }]
                },
                {
                    "description": "A dry run has no `scan_id`.",
                    "if": { "required": ["dry_run"], "properties": { "dry_run": { "const": true } } },
                    "then": { "properties": { "scan_id": { "type": "null" } } }
                }
            ]
        )
    )
)]
pub struct RawScanRequest {
    /// The text of a QR code. Exactly one of `qr`, `ticket_code` and `medium` is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
    /// The code that staff typed. Exactly one of `qr`, `ticket_code` and `medium` is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_code: Option<String>,
    /// A barcode or the id of a wristband. Exactly one of `qr`, `ticket_code` and `medium` is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<Medium>,
    /// The client's id of this scan. A retry has the same id. Not allowed in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_id: Option<ScanId>,
    /// When the device read it, by the device's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned_at: Option<Timestamp>,
    /// Which way the person goes.
    #[serde(default = "entry")]
    pub direction: Direction,
    /// A JSON object of at most 4 KiB, stored with the scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Overrides a denial of an entry. Only for devices with the setting `can_override`.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_: Option<Override>,
    /// Whether to decide the scan without recording it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// The request of `POST /api/v1/scanning/events/{id}/tickets/{code}/check-in`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckInRequest {
    /// The gate at which the person passes.
    pub gate_id: GateId,
    /// Why nobody scans the ticket.
    pub reason: ReasonText,
    /// The client's id of this check-in. A retry has the same id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_id: Option<ScanId>,
    /// Which way the person goes.
    #[serde(default = "entry")]
    pub direction: Direction,
}

const fn entry() -> Direction {
    Direction::Entry
}

/// The error of a scan request whose fields contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScanRequest {
    /// None of `qr`, `ticket_code` and `medium`, or several.
    #[error("needs exactly one of qr, ticket_code and medium")]
    NotOneReading,
    /// `dry_run` with a `scan_id`.
    #[error("scan_id is not allowed in a dry run")]
    DryRunWithScanId,
}

impl TryFrom<RawScanRequest> for ScanRequest {
    type Error = InvalidScanRequest;

    fn try_from(raw: RawScanRequest) -> Result<Self, InvalidScanRequest> {
        let reading = Reading::of_fields(raw.qr, raw.ticket_code, raw.medium)
            .ok_or(InvalidScanRequest::NotOneReading)?;
        if raw.dry_run && raw.scan_id.is_some() {
            return Err(InvalidScanRequest::DryRunWithScanId);
        }
        Ok(Self {
            reading,
            scan_id: raw.scan_id,
            scanned_at: raw.scanned_at,
            direction: raw.direction,
            metadata: raw.metadata,
            override_: raw.override_,
            dry_run: raw.dry_run,
        })
    }
}

//! What is asked and what is answered? The request of a scan, its answer, and the record that stays.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{
    ClassName, DeviceId, EventId, GateId, Note, Occupancy, OrganizationId, Passage, Reason, ReasonText,
    ScanId, ScanResult, Seat, SessionId, Ticket, TicketCode, TicketId, TicketStatus, Timestamp,
};

string_enum! {
    /// Which way a person goes.
    pub enum Direction {
        /// In.
        Entry = "entry",
        /// Out.
        Exit = "exit",
    }

    /// Who knew the answer.
    pub enum DecidedBy {
        /// Nobody had to: the payload itself.
        Token = "token",
        /// The in-process tier.
        Memory = "memory",
        /// The Redis tier.
        Redis = "redis",
        /// The database.
        Database = "database",
    }

    /// How a scan came in.
    pub enum Source {
        /// Asked and answered at the gate.
        Online = "online",
        /// Handed in later.
        Sync = "sync",
    }

    /// What a steward should know beside the verdict.
    pub enum Warning {
        /// The device's clock is more than 300 s off.
        ClockSkew = "clock_skew",
        /// A phone holds no key for this format: the signature was not checked.
        SignatureUnchecked = "signature_unchecked",
        /// The manifest does not list the ticket: it was sold later.
        NotInManifest = "not_in_manifest",
        /// Capacity cannot be known offline.
        CapacityUnknown = "capacity_unknown",
        /// The manifest is older than the event allows.
        StaleManifest = "stale_manifest",
        /// The manifest lists the ticket with a value that this version of the app does not know: update the app.
        ManifestNewer = "manifest_newer",
    }
}

/// What was read: by a camera, or typed.
#[derive(Clone, PartialEq, Eq)]
pub enum Reading {
    /// What the camera read.
    Qr(String),
    /// What staff typed.
    TicketCode(String),
}

/// Shows how it was read and how long it is: the text admits whoever holds it.
impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Self::Qr(_) => "Qr",
            Self::TicketCode(_) => "TicketCode",
        };
        write!(f, "{kind}({} bytes)", self.text().len())
    }
}

impl Reading {
    /// The text as it was read.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Qr(text) | Self::TicketCode(text) => text,
        }
    }
}

/// An entry that a device forces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Override {
    /// Why.
    pub reason: ReasonText,
}

/// Free fields that a client keeps with its scan: a JSON object of at most 4 KiB.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Metadata(serde_json::Map<String, serde_json::Value>);

impl Metadata {
    /// The most bytes of JSON.
    pub const MAX_BYTES: usize = 4096;

    /// The fields.
    #[must_use]
    pub const fn fields(&self) -> &serde_json::Map<String, serde_json::Value> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = serde_json::Map::deserialize(deserializer)?;
        let bytes = serde_json::to_string(&fields)
            .map_err(serde::de::Error::custom)?
            .len();
        if bytes > Self::MAX_BYTES {
            return Err(serde::de::Error::custom("has more than 4096 bytes of JSON"));
        }
        Ok(Self(fields))
    }
}

/// What `POST /api/v1/scanning/scan` takes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "RawScanRequest")]
pub struct ScanRequest {
    /// What was read.
    pub reading: Reading,
    /// The client's name for this attempt; a retry carries the same.
    pub scan_id: Option<ScanId>,
    /// When the device read it, by its own clock.
    pub scanned_at: Option<Timestamp>,
    /// Which way the person goes.
    pub direction: Direction,
    /// Kept with the scan.
    pub metadata: Option<Metadata>,
    /// Forces an entry.
    pub override_: Option<Override>,
    /// Asks what the answer would be, and leaves no trace.
    pub dry_run: bool,
}

/// The wire form of a scan request, its rules spelt as JSON Schema can spell them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        rename = "ScanRequest",
        extend(
            "oneOf" = [{ "required": ["qr"], "properties": { "qr": { "type": "string" } } },
                       { "required": ["ticket_code"], "properties": { "ticket_code": { "type": "string" } } }],
            "if" = { "required": ["dry_run"], "properties": { "dry_run": { "const": true } } },
            "then" = { "properties": { "scan_id": { "type": "null" } } }
        )
    )
)]
pub struct RawScanRequest {
    /// What the camera read. This or `ticket_code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
    /// What staff typed. This or `qr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_code: Option<String>,
    /// The client's name for this attempt; a retry carries the same. Not in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_id: Option<ScanId>,
    /// When the device read it, by its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned_at: Option<Timestamp>,
    /// Which way the person goes.
    #[serde(default = "entry")]
    pub direction: Direction,
    /// A JSON object of at most 4 KiB, kept with the scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Forces an entry; for devices whose settings carry `can_override`.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_: Option<Override>,
    /// Asks what the answer would be, and leaves no trace.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

const fn entry() -> Direction {
    Direction::Entry
}

/// Fields of a scan request that are each right but do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScanRequest {
    /// Neither `qr` nor `ticket_code`, or both.
    #[error("needs exactly one of qr and ticket_code")]
    NotOneReading,
    /// `dry_run` with a `scan_id`.
    #[error("scan_id is not allowed in a dry run")]
    DryRunWithScanId,
}

impl TryFrom<RawScanRequest> for ScanRequest {
    type Error = InvalidScanRequest;

    fn try_from(raw: RawScanRequest) -> Result<Self, InvalidScanRequest> {
        let reading = match (raw.qr, raw.ticket_code) {
            (Some(qr), None) => Reading::Qr(qr),
            (None, Some(code)) => Reading::TicketCode(code),
            _ => return Err(InvalidScanRequest::NotOneReading),
        };
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

/// A gate by id and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NamedGate {
    /// The gate.
    pub id: GateId,
    /// What it is called.
    pub name: String,
}

/// The ticket as the steward sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScannedTicket {
    /// The ticket.
    pub id: TicketId,
    /// Its code.
    pub code: TicketCode,
    /// What became of it.
    pub status: TicketStatus,
    /// Its class.
    pub ticket_class: Option<ClassName>,
    /// Where its holder sits.
    pub seat: Option<Seat>,
    /// How many people it admits.
    pub entry_limit: u8,
    /// How many admissions it has had.
    pub scan_count: u32,
    /// A note for the steward.
    pub note: Option<Note>,
}

impl From<&Ticket> for ScannedTicket {
    fn from(ticket: &Ticket) -> Self {
        Self {
            id: ticket.id,
            code: ticket.code,
            status: ticket.status,
            ticket_class: ticket.ticket_class.clone(),
            seat: ticket.seat.clone(),
            entry_limit: ticket.entry_limit,
            scan_count: ticket.scan_count,
            note: ticket.note.clone(),
        }
    }
}

/// The scan that was there before, on `duplicate` and `not_inside`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PreviousScan {
    /// The scan.
    pub scan_id: ScanId,
    /// When it was.
    pub scanned_at: Timestamp,
    /// How many whole seconds before this one.
    pub seconds_ago: i64,
    /// At which gate.
    pub gate: NamedGate,
    /// By which device.
    pub device_name: String,
    /// Whether that was the device that asks now: then a camera may have read twice.
    pub same_device: bool,
}

impl PreviousScan {
    /// A sighting as `device` sees it at `now`.
    #[must_use]
    pub fn of(passage: &Passage, device: DeviceId, now: Timestamp) -> Self {
        Self {
            scan_id: passage.scan_id,
            scanned_at: passage.at,
            seconds_ago: (now.millis_since(passage.at) / 1000).max(0),
            gate: NamedGate {
                id: passage.gate_id,
                name: passage.gate_name.clone(),
            },
            device_name: passage.device_name.clone(),
            same_device: passage.device_id == device,
        }
    }
}

/// What a scan is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScanAnswer {
    /// The attempt; null in a dry run.
    pub scan_id: Option<ScanId>,
    /// What the gate does.
    pub result: ScanResult,
    /// Why.
    pub reason: Reason,
    /// Whether this is the answer that the same attempt had before.
    pub replayed: bool,
    /// Which way the person goes.
    pub direction: Direction,
    /// When it was decided, by the server's clock.
    pub scanned_at: Timestamp,
    /// The device's session; null where the scan was handed in later, outside any.
    pub session_id: Option<SessionId>,
    /// The session's event.
    pub event_id: EventId,
    /// The session's gate.
    pub gate: NamedGate,
    /// The ticket; null unless the signature held and the ticket is this organization's and this event's.
    pub ticket: Option<ScannedTicket>,
    /// The scan before, on `duplicate` and `not_inside`.
    pub previous_scan: Option<PreviousScan>,
    /// People inside.
    pub occupancy: Occupancy,
    /// Who knew the answer.
    pub decided_by: DecidedBy,
    /// What the steward should know beside the verdict.
    pub warnings: Vec<Warning>,
    /// The reason in words.
    pub message: String,
}

/// A result and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// What the gate does.
    pub result: ScanResult,
    /// Why.
    pub reason: Reason,
}

impl From<Reason> for Outcome {
    fn from(reason: Reason) -> Self {
        Self {
            result: reason.result(),
            reason,
        }
    }
}

/// How a scan was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Undone {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: ReasonText,
    /// By which device; null where an organization member did it.
    pub device_id: Option<DeviceId>,
}

/// What `POST /api/v1/scanning/scans/{scan_id}/undo` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UndoRequest {
    /// Why.
    pub reason: ReasonText,
}

/// The record of a scan: audit trail, export, event stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScanRecord {
    /// The attempt.
    pub scan_id: ScanId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// The ticket; null until the signature held and the ticket was found.
    pub ticket_id: Option<TicketId>,
    /// The ticket's code; null until the signature held.
    pub ticket_code: Option<TicketCode>,
    /// The session's event.
    pub event_id: EventId,
    /// The session's gate.
    pub gate_id: GateId,
    /// The device.
    pub device_id: DeviceId,
    /// Its session.
    pub scan_session_id: Option<SessionId>,
    /// What the gate did.
    pub result: ScanResult,
    /// Why.
    pub reason: Reason,
    /// For an overridden entry: what it would have been.
    pub would_have_been: Option<Outcome>,
    /// Which way.
    pub direction: Direction,
    /// When it was decided, by the server's clock.
    pub scanned_at: Timestamp,
    /// When the device read it, by its own clock.
    pub device_scanned_at: Option<Timestamp>,
    /// When it reached a server.
    pub received_at: Timestamp,
    /// How it came in.
    pub source: Source,
    /// Who knew the answer.
    pub decided_by: DecidedBy,
    /// The override that came with it.
    #[serde(rename = "override")]
    pub override_: Option<Override>,
    /// How it was undone.
    pub undone: Option<Undone>,
    /// What the device had decided alone.
    pub local_result: Option<ScanResult>,
    /// What the client kept with it.
    pub metadata: Option<Metadata>,
}

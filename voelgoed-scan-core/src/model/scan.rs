//! Scans: request, answer and record.

mod request;

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{
    ApiKeyId, ClassName, DeviceId, EventId, GateId, Note, Occupancy, OrganizationId, Passage, Reason,
    ReasonText, ScanId, ScanResult, Seat, SessionId, Ticket, TicketCode, TicketId, TicketStatus, Timestamp,
};

pub use request::{CheckInRequest, InvalidScanRequest, RawScanRequest, ScanRequest};

string_enum! {
    /// The direction of a scan.
    pub enum Direction {
        /// The person comes in.
        Entry = "entry",
        /// The person goes out.
        Exit = "exit",
    }

    /// What decided a scan.
    pub enum DecidedBy {
        /// The payload itself.
        Token = "token",
        /// The in-process cache.
        Memory = "memory",
        /// The Redis cache.
        Redis = "redis",
        /// The database.
        Database = "database",
    }

    /// How a scan reached the server.
    pub enum Source {
        /// The server decided it while the person was at the gate.
        Online = "online",
        /// The device decided it and uploaded it later.
        Sync = "sync",
        /// Staff checked the ticket in by hand.
        Desk = "desk",
    }

    /// A warning for the steward beside the result.
    pub enum Warning {
        /// The device's clock is wrong by more than 300 s.
        ClockSkew = "clock_skew",
        /// A dry run at an event that is published and not live yet: a scan would be refused.
        EventNotLive = "event_not_live",
        /// A phone has no key for this format, so the signature was not checked.
        SignatureUnchecked = "signature_unchecked",
        /// The manifest does not list the ticket: it was probably sold later.
        NotInManifest = "not_in_manifest",
        /// A capacity applies, which a phone cannot check offline.
        CapacityUnknown = "capacity_unknown",
        /// The manifest is older than the event allows.
        StaleManifest = "stale_manifest",
        /// The manifest lists the ticket with a value that this version of the app does not know: update the app.
        ManifestNewer = "manifest_newer",
        /// The reading has only capital or only small letters: Caps Lock is on, or the scanner is set to another keyboard
        /// layout.
        ScannerSettings = "scanner_settings",
        /// Somebody set the phone's clock since its last exchange with the server. The phone corrects for it.
        ClockMoved = "clock_moved",
        /// The phone was restarted since its last exchange with the server, so nothing confirms its clock.
        ClockUnverified = "clock_unverified",
        /// The phone's database was replaced, and earlier admissions of this phone may be unknown.
        StorageReplaced = "storage_replaced",
        /// The phone could not write to its disk. The server has recorded the scan.
        StorageFull = "storage_full",
    }
}

/// The override of a denial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Override {
    /// The reason.
    pub reason: ReasonText,
}

/// The override of a recorded scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordedOverride {
    /// The reason; null once the personal data of the event were deleted.
    pub reason: Option<ReasonText>,
}

impl From<Override> for RecordedOverride {
    fn from(Override { reason }: Override) -> Self {
        Self { reason: Some(reason) }
    }
}

/// Custom fields of a scan: a JSON object of at most 4 KiB.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Metadata(serde_json::Map<String, serde_json::Value>);

impl Metadata {
    /// The maximum size in bytes of JSON.
    pub const MAX_BYTES: usize = 4096;

    /// The fields of a check-in by hand.
    #[must_use]
    pub fn of_check_in(reason: &ReasonText) -> Self {
        let reason = serde_json::Value::from(reason.as_str());
        Self(std::iter::once(("reason".to_owned(), reason)).collect())
    }

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

/// A gate by id and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NamedGate {
    /// The gate.
    pub id: GateId,
    /// Its display name.
    pub name: String,
}

/// The ticket in a scan answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScannedTicket {
    /// The ticket.
    pub id: TicketId,
    /// Its code.
    pub code: TicketCode,
    /// Its status.
    pub status: TicketStatus,
    /// Its class.
    pub ticket_class: Option<ClassName>,
    /// The seat.
    pub seat: Option<Seat>,
    /// The number of people that it admits.
    pub entry_limit: u8,
    /// The number of its admissions.
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

/// The previous scan of a ticket, in answers with `duplicate` and `not_inside`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PreviousScan {
    /// The scan.
    pub scan_id: ScanId,
    /// When it was decided.
    pub scanned_at: Timestamp,
    /// The whole seconds between it and this scan.
    pub seconds_ago: i64,
    /// The gate.
    pub gate: NamedGate,
    /// The device's name; of a check-in by hand that of its API key.
    pub device_name: String,
    /// Whether the same device made it. Then the camera may have read the code twice.
    pub same_device: bool,
}

impl PreviousScan {
    /// A passage as the previous scan for `device` at `now`.
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

/// The answer to a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScanAnswer {
    /// The scan; null in a dry run.
    pub scan_id: Option<ScanId>,
    /// The result.
    pub result: ScanResult,
    /// The reason.
    pub reason: Reason,
    /// Whether this repeats the answer to the same scan.
    pub replayed: bool,
    /// Which way the person goes.
    pub direction: Direction,
    /// When it was decided, by the server's clock.
    pub scanned_at: Timestamp,
    /// The device's session; null for an uploaded scan outside any session, and for a check-in by hand.
    pub session_id: Option<SessionId>,
    /// The session's event.
    pub event_id: EventId,
    /// The session's gate.
    pub gate: NamedGate,
    /// The ticket. Null unless the signature is valid and the ticket belongs to this organization and event.
    pub ticket: Option<ScannedTicket>,
    /// The previous scan, on `duplicate` and `not_inside`.
    pub previous_scan: Option<PreviousScan>,
    /// The occupancy.
    pub occupancy: Occupancy,
    /// What decided a scan.
    pub decided_by: DecidedBy,
    /// What the steward should know beside the verdict.
    pub warnings: Vec<Warning>,
    /// The reason as a sentence.
    pub message: String,
}

/// A result and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// The result.
    pub result: ScanResult,
    /// The reason.
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

/// The undo of a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Undone {
    /// When.
    pub at: Timestamp,
    /// The reason; null once the personal data of the event were deleted.
    pub reason: Option<ReasonText>,
    /// The device; null if an organization member did it.
    pub device_id: Option<DeviceId>,
}

/// The request of `POST /api/v1/scanning/scans/{scan_id}/undo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UndoRequest {
    /// The reason.
    pub reason: ReasonText,
}

/// The record of a scan, for the audit trail, the export and the event stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScanRecord {
    /// The scan.
    pub scan_id: ScanId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// The ticket. Null unless the signature is valid and the ticket was found.
    pub ticket_id: Option<TicketId>,
    /// The ticket's code. Null unless the signature is valid, and for the role viewer.
    pub ticket_code: Option<TicketCode>,
    /// The session's event.
    pub event_id: EventId,
    /// The session's gate.
    pub gate_id: GateId,
    /// The device; null for a check-in by hand.
    pub device_id: Option<DeviceId>,
    /// For a check-in by hand: the API key that made it.
    pub api_key_id: Option<ApiKeyId>,
    /// Its session.
    pub scan_session_id: Option<SessionId>,
    /// The result.
    pub result: ScanResult,
    /// The reason.
    pub reason: Reason,
    /// For an overridden entry: the denial that it replaced.
    pub would_have_been: Option<Outcome>,
    /// The direction.
    pub direction: Direction,
    /// When it was decided, by the server's clock.
    pub scanned_at: Timestamp,
    /// When the device read it, by the device's clock.
    pub device_scanned_at: Option<Timestamp>,
    /// When it reached the server.
    pub received_at: Timestamp,
    /// How it reached the server.
    pub source: Source,
    /// What decided a scan.
    pub decided_by: DecidedBy,
    /// Its override.
    #[serde(rename = "override")]
    pub override_: Option<RecordedOverride>,
    /// Its undo.
    pub undone: Option<Undone>,
    /// The result that the device decided alone.
    pub local_result: Option<ScanResult>,
    /// The client's custom fields; of a check-in by hand `reason`, which staff gave.
    pub metadata: Option<Metadata>,
}

impl ScanRecord {
    /// Who scanned, as ledgers and the database name it: the device, or the API key of a check-in by hand in its place.
    #[must_use]
    pub fn scanned_by(&self) -> DeviceId {
        let desk = self.api_key_id.map(|key| DeviceId::from_uuid(*key.as_uuid()));
        self.device_id
            .or(desk)
            .unwrap_or(DeviceId::from_uuid(uuid::Uuid::nil()))
    }
}

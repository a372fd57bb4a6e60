//! The types that the scanner and the store exchange for one scan.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    ApiKeyId, AuditContext, AuthenticatedDevice, Claims, DecidedBy, DeviceId, Direction, EventId, Format,
    GateId, KeyId, Metadata, OrganizationId, Override, PreviousScan, Reason, ScanAnswer, ScanId, ScanRecord,
    ScannedTicket, SessionId, Source, TicketFacts, Timestamp, Warning,
};

/// The stored traces of a payload. The payload itself is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// SHA-256 of the payload's text, or of the medium's.
    pub sha256: [u8; 32],
    /// The SHA-256 of the same reading where an event takes it differently: as a medium, or as a payload. A setting of the
    /// event decides, so a repeated scan may be recorded under either.
    pub other_sha256: Option<[u8; 32]>,
    /// Its format, if it could be parsed.
    pub format: Option<Format>,
    /// The key id in it, if it has one.
    pub kid: Option<KeyId>,
}

impl Fingerprint {
    /// Whether a scan that was recorded with this SHA-256 had the same reading.
    #[must_use]
    pub fn is_of(&self, recorded: &[u8; 32]) -> bool {
        self.sha256 == *recorded || self.other_sha256.as_ref() == Some(recorded)
    }

    /// Whether the reading is taken as a medium.
    #[must_use]
    pub const fn is_medium(&self) -> bool {
        matches!(self.format, Some(Format::Barcode | Format::Nfc))
    }

    /// Why an event without media denies this medium. One that the app named outright has no other SHA-256.
    #[must_use]
    pub const fn medium_denial(&self) -> Reason {
        if self.other_sha256.is_some() {
            Reason::Malformed
        } else {
            Reason::UnsignedNotAllowed
        }
    }
}

/// One scan for the database to decide or to record.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The client's id of the scan, or one that the server generated.
    pub scan_id: ScanId,
    /// The organization.
    pub organization_id: OrganizationId,
    /// Who scans.
    pub scanned_by: ScannedBy,
    /// The session's event.
    pub event_id: EventId,
    /// The session's gate.
    pub gate_id: GateId,
    /// The gate's name, as the identity cache knows it.
    pub gate_name: String,
    /// The cached device, session, event and gate. A store may use them only while the organization's change counter is
    /// unchanged. `None` makes the store read every fact.
    pub authenticated: Option<Arc<AuthenticatedDevice>>,
    /// The traces of the payload.
    pub fingerprint: Fingerprint,
    /// The result of the checks before the database.
    pub verification: Verification,
    /// Entry or exit.
    pub direction: Direction,
    /// The server's time.
    pub now: Timestamp,
    /// The device's time.
    pub device_scanned_at: Option<Timestamp>,
    /// The override of an entry. The device is allowed to override.
    pub override_: Option<Override>,
    /// Stored with the scan.
    pub metadata: Option<Metadata>,
    /// The warnings of the answer.
    pub warnings: Vec<Warning>,
    /// The call that sent the scan. Only an override and a check-in by hand have it: the audit log names it.
    pub origin: Option<Arc<AuditContext>>,
    /// Whether no cache of another node can deny this scan, so that the database may admit a ticket that was admitted before.
    pub claimed: bool,
}

/// Who scans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScannedBy {
    /// A device in a session.
    Device {
        /// The device.
        id: DeviceId,
        /// Its session.
        session_id: SessionId,
    },
    /// A member of the organization, who checks a ticket in by hand.
    Desk {
        /// The member's API key.
        api_key_id: ApiKeyId,
        /// Its name.
        name: String,
    },
}

impl ScannedBy {
    /// The device, or the API key in its place, as ledgers and the database name it.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        match self {
            Self::Device { id, .. } => *id,
            Self::Desk { api_key_id, .. } => DeviceId::from_uuid(*api_key_id.as_uuid()),
        }
    }

    /// The device; `None` for a check-in by hand.
    #[must_use]
    pub const fn device_id(&self) -> Option<DeviceId> {
        match self {
            Self::Device { id, .. } => Some(*id),
            Self::Desk { .. } => None,
        }
    }

    /// The API key of a check-in by hand.
    #[must_use]
    pub const fn api_key_id(&self) -> Option<ApiKeyId> {
        match self {
            Self::Device { .. } => None,
            Self::Desk { api_key_id, .. } => Some(*api_key_id),
        }
    }

    /// The device's session; `None` for a check-in by hand.
    #[must_use]
    pub const fn session_id(&self) -> Option<SessionId> {
        match self {
            Self::Device { session_id, .. } => Some(*session_id),
            Self::Desk { .. } => None,
        }
    }

    /// How the scan reaches the server.
    #[must_use]
    pub const fn source(&self) -> Source {
        match self {
            Self::Device { .. } => Source::Online,
            Self::Desk { .. } => Source::Desk,
        }
    }

    /// The name of a desk, for retries: a device keeps its name after it was revoked, an API key does not.
    #[must_use]
    pub fn desk_name(&self) -> Option<String> {
        match self {
            Self::Device { .. } => None,
            Self::Desk { name, .. } => Some(name.clone()),
        }
    }
}

/// The result of the checks before the database.
#[derive(Debug, Clone, PartialEq)]
pub enum Verification {
    /// The signature is valid. The database decides.
    Verified(Claims),
    /// The scan is denied, by the payload itself or by a cache. The database only records it.
    Denied(Box<Denial>),
}

/// A denial that was decided without the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// The reason.
    pub reason: Reason,
    /// What decided: the payload or a cache.
    pub decided_by: DecidedBy,
    /// The claims, if the signature is valid.
    pub claims: Option<Claims>,
    /// The ticket, if a cache knew it.
    pub ticket: Option<ScannedTicket>,
    /// The previous scan of the ticket.
    pub previous_scan: Option<PreviousScan>,
}

/// The result of an attempt in the store.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// The scan is decided and durable.
    Decided(Box<Decided>),
    /// The scan was decided before. This is its first answer.
    Replayed(Box<ScanAnswer>),
    /// The `scan_id` belongs to a scan of another payload, direction or device.
    ScanIdReused,
    /// The `scan_id` belongs to a scan that was undone.
    ScanUndone,
    /// The session has ended.
    NoActiveSession,
    /// The device is inactive.
    DeviceInactive,
    /// The device's scope does not contain the session's gate. Nothing is recorded.
    OutOfScope,
    /// The database would admit the ticket again, and a cache may deny it meanwhile: the scan must be claimed first. Nothing is
    /// recorded.
    NotClaimed,
    /// The database failed before it recorded this attempt. Earlier attempts of the batch stay recorded.
    NotRecorded {
        /// The error text of the driver.
        reason: String,
        /// Whether the same attempt may succeed later.
        is_temporary: bool,
    },
}

/// A decided scan.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The answer.
    pub answer: ScanAnswer,
    /// The written record.
    pub record: ScanRecord,
    /// The ticket after the scan, for the caches.
    pub ticket: Option<TicketFacts>,
}

/// The parts of an answer that the scan record does not hold. They are stored so that a retry gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerSnapshot {
    /// The gate's name.
    #[serde(rename = "g")]
    pub gate_name: String,
    /// The ticket.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<ScannedTicket>,
    /// The previous scan of the ticket.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub previous_scan: Option<PreviousScan>,
    /// The warnings.
    #[serde(rename = "w", default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// The name of the desk that checked the ticket in.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub desk_name: Option<String>,
}

/// Settings of the rules that come from the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleSettings {
    /// The deduplication window.
    pub dedup_window: Duration,
}

//! Where does a device stand? A session: its stay at one gate of one event.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{DeviceId, EventId, GateId, OrganizationId, SessionId, Timestamp};

string_enum! {
    /// Whether a session goes on.
    pub enum SessionStatus {
        /// It does.
        Active = "active",
        /// It was ended.
        Ended = "ended",
    }
}

/// A device's stay at one gate. A device has at most one that is active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScanSession {
    /// The session.
    pub id: SessionId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// The device that scans.
    pub device_id: DeviceId,
    /// The event it scans for.
    pub event_id: EventId,
    /// The gate it stands at.
    pub gate_id: GateId,
    /// Whether it goes on.
    pub status: SessionStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
    /// How many scans it recorded, admissions and denials.
    pub scan_count: u64,
}

/// What `POST /api/v1/scanning/sessions` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionStart {
    /// The event to scan for.
    pub event_id: EventId,
    /// The gate to stand at.
    pub gate_id: GateId,
    /// Whether an active session of the device is ended first.
    #[serde(default)]
    pub replace: bool,
}

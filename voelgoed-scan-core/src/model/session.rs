//! Sessions: the time that a device scans at one gate of one event.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{DeviceId, EventId, GateId, OrganizationId, SessionId, Timestamp};

string_enum! {
    /// The status of a session.
    pub enum SessionStatus {
        /// The device scans.
        Active = "active",
        /// It has ended.
        Ended = "ended",
    }
}

/// A session of a device at a gate. A device has at most one active session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScanSession {
    /// The session.
    pub id: SessionId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// The device that scans.
    pub device_id: DeviceId,
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// Its status.
    pub status: SessionStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The number of recorded scans, admissions and denials.
    pub scan_count: u64,
}

/// The request of `POST /api/v1/scanning/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionStart {
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// Whether to end an active session of the device first.
    #[serde(default)]
    pub replace: bool,
}

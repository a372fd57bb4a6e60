//! Filters and orders of lists. A filter's `None` matches any value.

use crate::model::{DeviceId, EventId, GateId, ScanResult, SessionId, TicketCode, Timestamp};
use crate::rules::ConflictKind;

/// Which scans of the audit trail are requested.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanFilter {
    /// Scans of this event.
    pub event_id: Option<EventId>,
    /// Scans at this gate, whatever their event.
    pub gate_id: Option<GateId>,
    /// Scans by this device.
    pub device_id: Option<DeviceId>,
    /// Scans of this session.
    pub session_id: Option<SessionId>,
    /// Scans of this ticket.
    pub ticket_code: Option<TicketCode>,
    /// Scans with this result.
    pub result: Option<ScanResult>,
    /// Scans at or after this time.
    pub from: Option<Timestamp>,
    /// Scans at or before this time.
    pub to: Option<Timestamp>,
}

/// The order of the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    Newest,
    /// Oldest first.
    Oldest,
}

/// Which conflicts are requested.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConflictFilter {
    /// Conflicts of this event.
    pub event_id: Option<EventId>,
    /// Conflicts of this kind.
    pub kind: Option<ConflictKind>,
}

//! The facts about a calling device that its scans are decided by.

use crate::model::{Device, Event, Gate, ScanSession, Timestamp};

/// An authenticated device with its active session.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthenticatedDevice {
    /// The device. It may be inactive, so that the caller can answer accordingly.
    pub device: Device,
    /// Whether the device was revoked. Then it is inactive for good.
    pub is_revoked: bool,
    /// Its active session, if it has one.
    pub active_session: Option<ActiveSession>,
    /// The organization's change counter (`ChangeCounters::facts` in the store) before the other facts were read.
    pub change_counter: i64,
}

impl AuthenticatedDevice {
    /// Whether the device's scope contains the gate of its session.
    #[must_use]
    pub fn is_in_scope(&self, active_session: &ActiveSession) -> bool {
        let scope = &self.device.scope;
        scope.admits_gate(active_session.event.id, active_session.gate.id)
    }
}

/// An active session with its event and gate.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveSession {
    /// The session.
    pub session: ScanSession,
    /// Its event.
    pub event: Event,
    /// Its gate.
    pub gate: Gate,
    /// The time from which the event's present rules hold.
    pub rules_since: Timestamp,
    /// The start of the period in which people were counted at that time.
    pub counted_since: Timestamp,
    /// The organization's change counter at the last change of the event or one of its gates.
    pub facts_changed_at_counter: i64,
}

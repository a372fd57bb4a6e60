//! A device that called, with all that its scans are judged by.

use crate::model::{Device, Event, Gate, ScanSession};

/// A device that called, with the session it has, if it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthenticatedDevice {
    /// The device. Inactive ones are found too, so that they are told so.
    pub device: Device,
    /// Its active session.
    pub active_session: Option<ActiveSession>,
    /// Where the organization's change counter ([`ChangeCounters::facts`]) stood before the rest was read.
    pub change_counter: i64,
}

/// An active session with all that its scans are judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveSession {
    /// The session.
    pub session: ScanSession,
    /// Its event.
    pub event: Event,
    /// Its gate.
    pub gate: Gate,
    /// Where the organization's change counter stood when the event or one of its gates was last changed.
    pub facts_changed_at_counter: i64,
}

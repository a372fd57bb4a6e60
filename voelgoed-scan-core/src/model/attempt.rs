//! What does the scanner hand to the store, and what does it get back?

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{
    AuthenticatedDevice, Claims, DecidedBy, DeviceId, Direction, EventId, Format, GateId, KeyId, Metadata,
    OrganizationId, Override, PreviousScan, Reason, ScanAnswer, ScanId, ScanRecord, ScannedTicket, SessionId,
    TicketFacts, Timestamp, Warning,
};

/// What is kept of a payload: never the payload itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// SHA-256 of the text that was read.
    pub sha256: [u8; 32],
    /// Its format, where it had one.
    pub format: Option<Format>,
    /// The key it named, where it named one.
    pub kid: Option<KeyId>,
}

/// One scan on its way to the database.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The client's name for it, or one made here.
    pub scan_id: ScanId,
    /// The device's organization.
    pub organization_id: OrganizationId,
    /// The device.
    pub device_id: DeviceId,
    /// Its session.
    pub session_id: SessionId,
    /// The session's event.
    pub event_id: EventId,
    /// The session's gate.
    pub gate_id: GateId,
    /// The gate's name, as far as memory knows it.
    pub gate_name: String,
    /// What memory holds of the device, its session, its event and its gate. A database may go by it for as long as the
    /// organization's change counter stands where it stood; without it every fact is read.
    pub authenticated: Option<Arc<AuthenticatedDevice>>,
    /// What was read.
    pub fingerprint: Fingerprint,
    /// What is known so far.
    pub verification: Verification,
    /// Which way the person goes.
    pub direction: Direction,
    /// The server's clock.
    pub now: Timestamp,
    /// The device's clock.
    pub device_scanned_at: Option<Timestamp>,
    /// An override that the device may ask for.
    pub override_: Option<Override>,
    /// Kept with the scan.
    pub metadata: Option<Metadata>,
    /// What the steward should know.
    pub warnings: Vec<Warning>,
}

/// How far a scan was decided before it reached the database.
#[derive(Debug, Clone, PartialEq)]
pub enum Verification {
    /// The signature holds; the rest is the database's to decide.
    Verified(Claims),
    /// Denied already: by the payload itself or by a cache tier. Only its record is left to write.
    Denied(Box<Denial>),
}

/// A denial that needed no database.
#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// Why.
    pub reason: Reason,
    /// Who knew.
    pub decided_by: DecidedBy,
    /// The claims, where the signature held.
    pub claims: Option<Claims>,
    /// The ticket, where a tier knew it.
    pub ticket: Option<ScannedTicket>,
    /// The scan before.
    pub previous_scan: Option<PreviousScan>,
}

/// What the store made of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// It is decided and on disk.
    Decided(Box<Decided>),
    /// The same scan was decided before: this is the answer it had.
    Replayed(Box<ScanAnswer>),
    /// The `scan_id` names another payload, direction or device's scan.
    ScanIdReused,
    /// The `scan_id` names a scan that was undone.
    ScanUndone,
    /// The session is over.
    NoActiveSession,
    /// The device may not call any more.
    DeviceInactive,
    /// The database failed before it came to this one; what it recorded of the others stands.
    NotRecorded {
        /// What the driver said.
        reason: String,
    },
}

/// A decision with its traces.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The answer.
    pub answer: ScanAnswer,
    /// The record that was written.
    pub record: ScanRecord,
    /// The ticket after the scan, where there is one: what the cache tiers keep.
    pub ticket: Option<TicketFacts>,
}

/// The parts of an answer that its record alone does not tell, kept so that a retry gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerSnapshot {
    /// The gate's name.
    #[serde(rename = "g")]
    pub gate_name: String,
    /// The ticket.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<ScannedTicket>,
    /// The scan before.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub previous_scan: Option<PreviousScan>,
    /// Warnings.
    #[serde(rename = "w", default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// Settings that the rules need and no row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleSettings {
    /// The deduplication window.
    pub dedup_window: Duration,
}

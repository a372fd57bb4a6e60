//! What a client tells of its session, its uploads and its state.

use voelgoed_scan_core as core;
pub use voelgoed_scan_core::client::{PhoneSession, SyncReport, TransferProgress};
pub use voelgoed_scan_core::model::{ScanSession, SessionStatus};

use crate::{ClientProblem, DeviceId, EventId, GateId, ManifestState, OrganizationId, SessionId, Timestamp};

/// The phone's session at a gate. The server may not have started it yet.
#[uniffi::remote(Record)]
pub struct PhoneSession {
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// The session's id on the server. Absent until the server has started it.
    pub session_id: Option<SessionId>,
}

/// The status of a session.
#[uniffi::remote(Enum)]
pub enum SessionStatus {
    /// The session is active.
    Active,
    /// The session has ended.
    Ended,
}

/// A session: a device scans at a gate.
#[uniffi::remote(Record)]
pub struct ScanSession {
    /// The session's id.
    pub id: SessionId,
    /// The organization.
    pub organization_id: OrganizationId,
    /// The device.
    pub device_id: DeviceId,
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// The status.
    pub status: SessionStatus,
    /// When the session started.
    pub started_at: Timestamp,
    /// When the session ended.
    pub ended_at: Option<Timestamp>,
    /// The number of scans in the session, admissions and denials.
    pub scan_count: u64,
}

/// The result of an upload: what the server did with the scans.
#[uniffi::remote(Record)]
pub struct SyncReport {
    /// The number of scans that the server recorded now.
    pub recorded: u64,
    /// The number of scans that the server had recorded before.
    pub replayed: u64,
    /// The number of scans that the server rejected. They stay on the phone.
    pub rejected: u64,
    /// The number of scans that the server quarantined.
    pub quarantined: u64,
    /// The number of scans that are part of a conflict.
    pub conflicts: u64,
}

/// How far a transfer has come.
#[uniffi::remote(Record)]
pub struct TransferProgress {
    /// The number of bytes that have arrived.
    pub received: u64,
    /// The number of bytes in all, as soon as the phone knows it.
    pub total: Option<u64>,
}

/// The state of a client, for a status line.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ClientState {
    /// Whether the server decides scans. Otherwise the phone does.
    pub online: bool,
    /// The session, with the event and the gate.
    pub session: Option<PhoneSession>,
    /// The manifest in use.
    pub manifest: Option<ManifestState>,
    /// The manifest's age in seconds, by the server's clock.
    pub manifest_age_s: Option<u64>,
    /// How far the download of a manifest has come. Absent if there is none, or nothing has arrived yet.
    pub manifest_progress: Option<TransferProgress>,
    /// The number of scans that wait for upload.
    pub waiting: u64,
    /// The number of scans of earlier enrolments of this phone, as other devices, that wait for upload.
    pub earlier_waiting: u64,
    /// The number of scans that the server rejected and that nobody has seen: `rejected` lists them.
    pub rejected: u64,
    /// The number of conflicts that the server reported for scans of this device.
    pub conflicts: u64,
    /// The server's clock minus the device's clock, in milliseconds. 0 if they differ by at most 2 s.
    pub clock_offset_ms: i64,
    /// The code of the last failed exchange with the server. Absent after a successful one.
    pub last_error: Option<String>,
    /// The most serious problem that exists now. Show its advice.
    pub problem: Option<ClientProblem>,
}

impl From<core::client::ClientState> for ClientState {
    fn from(state: core::client::ClientState) -> Self {
        let core::client::ClientState {
            online,
            session,
            manifest,
            manifest_age_s,
            manifest_progress,
            waiting,
            earlier_waiting,
            rejected,
            conflicts,
            clock_offset_ms,
            last_error,
            problem,
        } = state;
        Self {
            online,
            session,
            manifest: manifest.map(Into::into),
            manifest_age_s,
            manifest_progress,
            waiting,
            earlier_waiting,
            rejected,
            conflicts,
            clock_offset_ms,
            last_error,
            problem: problem.map(Into::into),
        }
    }
}

//! What is wrong with a phone now, and what its steward can do about it.

use voelgoed_scan_core as core;

pub use voelgoed_scan_core::client::ProblemCode;

use crate::Timestamp;

/// The kind of a problem. The first kinds are the most serious ones.
#[uniffi::remote(Enum)]
pub enum ProblemCode {
    /// The device was revoked or made inactive. It may not scan.
    DeviceInactive,
    /// The server does not know the device's token. Another phone may be enrolled as this device.
    InvalidToken,
    /// The server refuses this version of the app.
    UpgradeRequired,
    /// The device may not work at the gate of its session.
    OutOfScope,
    /// The phone's disk is full. The phone cannot record scans.
    StorageFull,
    /// The phone's database was unusable. It was set aside, and a new one is in use.
    StorageReplaced,
    /// The device has no session: none was started, or the office ended it.
    NoActiveSession,
    /// The phone's clock was changed.
    ClockMoved,
    /// The manifest in use is older than the event allows.
    ManifestStale,
    /// Something else answers in the server's place: a captive portal, a proxy, a server of another version.
    CaptivePortal,
    /// The server answers that it is busy.
    ServerBusy,
    /// The server cannot be reached.
    ServerUnreachable,
}

/// A problem of the phone.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ClientProblem {
    /// The kind of problem.
    pub code: ProblemCode,
    /// Since when it exists, by the device's clock.
    pub since: Timestamp,
    /// What the steward or the organizer can do, as an English sentence.
    pub advice: String,
}

impl From<core::client::ClientProblem> for ClientProblem {
    fn from(problem: core::client::ClientProblem) -> Self {
        let core::client::ClientProblem { code, since, advice } = problem;
        Self {
            code,
            since,
            advice: advice.to_owned(),
        }
    }
}

/// Returns the code of a problem, such as `device_inactive`.
#[uniffi::export]
pub fn problem_code(value: ProblemCode) -> String {
    value.as_str().to_owned()
}

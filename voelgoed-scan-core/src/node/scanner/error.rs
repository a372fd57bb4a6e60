//! The errors of a scan and of an undo.

use std::sync::Arc;

use crate::node::cluster::claims::Unconfirmed;
use crate::node::write_queue::RecordError;
use crate::store::StoreError;

/// Why a scan or an undo was not decided. A denied ticket is a decision, not an error.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The device has no active session.
    #[error("the device has no active session")]
    NoActiveSession,
    /// The `scan_id` belongs to a scan of another payload, direction or device.
    #[error("the scan_id belongs to another scan")]
    ScanIdReused,
    /// The `scan_id` belongs to a scan that was undone.
    #[error("the scan was undone")]
    ScanUndone,
    /// The device's settings do not include `can_override`.
    #[error("the device may not override")]
    OverrideNotAllowed,
    /// The device's scope does not contain the session's gate.
    #[error("the gate is outside the device's scope")]
    OutOfScope,
    /// The device is not active.
    #[error("the device is inactive")]
    DeviceInactive,
    /// Only an open admission can be undone.
    #[error("only an open admission can be undone")]
    NotOpen,
    /// Only a scan in quarantine can be accepted.
    #[error("the scan is not in quarantine")]
    NotQuarantined,
    /// The quarantined scan was stored without what an acceptance needs.
    #[error("the quarantined scan cannot be accepted")]
    NotAcceptable,
    /// The scan is another device's, or too old.
    #[error("the device may not undo this scan")]
    NotAllowed,
    /// There is no such scan.
    #[error("no such scan")]
    NotFound,
    /// The scan queue is full.
    #[error("too many scans are waiting")]
    Overloaded,
    /// The database failed.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

impl From<StoreError> for ScanError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<Unconfirmed> for ScanError {
    /// Another node may have answered the scan, and cannot write that down now. The caller may try again.
    fn from(_: Unconfirmed) -> Self {
        Self::Overloaded
    }
}

impl From<RecordError> for ScanError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Overloaded => Self::Overloaded,
            RecordError::Store(error) => Self::Store(error),
        }
    }
}

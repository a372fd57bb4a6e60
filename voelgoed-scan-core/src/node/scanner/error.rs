//! Why is a scan not decided?

use std::sync::Arc;

use crate::node::write_queue::RecordError;
use crate::store::StoreError;

/// Why a scan or an undo has no decision.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The device has no active session.
    #[error("the device has no active session")]
    NoActiveSession,
    /// The `scan_id` names another payload, direction or device's scan.
    #[error("the scan_id names another scan")]
    ScanIdReused,
    /// The `scan_id` names a scan that was undone.
    #[error("the scan was undone")]
    ScanUndone,
    /// The device's settings do not carry `can_override`.
    #[error("the device may not override")]
    OverrideNotAllowed,
    /// The device may not call any more.
    #[error("the device is inactive")]
    DeviceInactive,
    /// Only an open admission can be undone.
    #[error("only an open admission can be undone")]
    NotOpen,
    /// Another device's scan, or too long ago.
    #[error("the device may not undo this scan")]
    NotAllowed,
    /// No such scan.
    #[error("no such scan")]
    NotFound,
    /// Too many scans wait already.
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

impl From<RecordError> for ScanError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Overloaded => Self::Overloaded,
            RecordError::Store(error) => Self::Store(error),
        }
    }
}

//! What a phone reports about its own storage: scans that the server rejected, and databases that were replaced.

use voelgoed_scan_core as core;

pub use voelgoed_scan_core::client::RescueReport;
pub use voelgoed_scan_core::sync::ScanFault;
use voelgoed_scan_core::sync::SyncStatus;

use crate::text::shown_as_debug;
use crate::{Timestamp, Verdict};

/// What is wrong with a scan that the server rejected.
#[uniffi::remote(Record)]
pub struct ScanFault {
    /// The field, as a JSON pointer into the scan.
    pub pointer: String,
    /// The error as a text.
    pub message: String,
}

/// A scan that the server rejected or quarantined.
#[derive(Debug, Clone, PartialEq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct RejectedScan {
    /// The verdict that the phone showed.
    pub verdict: Verdict,
    /// Its place in the phone's log.
    pub sequence: u64,
    /// Whether the server keeps it until a person accepts it. Otherwise the server has no record of it.
    pub quarantined: bool,
    /// Why the server rejected it. Empty for a quarantined scan.
    pub errors: Vec<ScanFault>,
    /// Whether a person has seen that.
    pub seen: bool,
}

shown_as_debug!(RejectedScan);

impl From<core::client::RejectedScan> for RejectedScan {
    fn from(scan: core::client::RejectedScan) -> Self {
        let core::client::RejectedScan {
            verdict,
            sequence,
            status,
            errors,
            seen,
        } = scan;
        Self {
            verdict: verdict.into(),
            sequence,
            quarantined: status == SyncStatus::Quarantined,
            errors,
            seen,
        }
    }
}

/// A database that was set aside, because it was damaged or a newer version of the app wrote it.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ReplacedDatabase {
    /// The file set aside.
    pub path: String,
    /// When, by the device's clock.
    pub replaced_at: Timestamp,
    /// Why: `damaged_database` or `newer_database`.
    pub code: String,
    /// The number of scans waiting for upload that were taken over.
    pub rescued: u64,
    /// Whether all of the old database could be read. Otherwise this phone may have admitted tickets of which it no longer
    /// knows.
    pub complete: bool,
}

impl From<core::client::StorageReplacement> for ReplacedDatabase {
    fn from(replacement: core::client::StorageReplacement) -> Self {
        let core::client::StorageReplacement {
            path,
            replaced_at,
            code,
            rescued,
            complete,
        } = replacement;
        Self {
            path: path.to_string_lossy().into_owned(),
            replaced_at,
            code,
            rescued,
            complete,
        }
    }
}

/// What could be read of the databases that were set aside.
#[uniffi::remote(Record)]
pub struct RescueReport {
    /// The number of scans waiting for upload that were taken over. They are uploaded like all others.
    pub scans: u64,
    /// Whether everything could be read.
    pub complete: bool,
}

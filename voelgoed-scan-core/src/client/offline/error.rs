//! The errors of the offline scanner. Each has a code, which logs and the bindings share.

use crate::manifest::ManifestError;
use crate::model::Timestamp;

/// Why the phone could not decide a scan, or refused a manifest.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// No manifest is in use.
    #[error("no manifest is in use")]
    NoManifest,
    /// The manifest is older than the event allows, and the event's settings refuse offline decisions then.
    #[error("the manifest of {made_at} is too old to decide with")]
    StaleManifest {
        /// When the manifest was made.
        made_at: Timestamp,
    },
    /// The manifest does not contain the gate.
    #[error("the manifest does not contain the gate")]
    UnknownGate,
    /// The device may not override.
    #[error("the device may not override")]
    OverrideNotAllowed,
    /// An earlier scan with this `scan_id` has another payload or direction.
    #[error("the scan_id belongs to another scan")]
    ScanIdReused,
    /// The database belongs to another device.
    #[error("the database belongs to another device")]
    OtherDevice,
    /// The manifest was refused. The previous one stays in use.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The phone's database failed.
    #[error("the database of this device failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema of the phone's database could not be migrated.
    #[error("the database of this device could not be migrated: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The phone's database contains a value that this version cannot read.
    #[error("column {column} of this device's database has a value that this version cannot read")]
    InvalidColumn {
        /// The column.
        column: &'static str,
    },
    /// A scan or a batch could not be serialised.
    #[error("the scan could not be serialised: {0}")]
    Json(#[from] serde_json::Error),
}

impl OfflineError {
    /// Returns the code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoManifest => "no_manifest",
            Self::StaleManifest { .. } => "stale_manifest",
            Self::UnknownGate => "unknown_gate",
            Self::OverrideNotAllowed => "forbidden",
            Self::ScanIdReused => "scan_id_reused",
            Self::OtherDevice => "other_device",
            Self::Manifest(error) => error.code(),
            Self::Database(_) | Self::Migration(_) | Self::InvalidColumn { .. } | Self::Json(_) => {
                "storage_unavailable"
            }
        }
    }
}

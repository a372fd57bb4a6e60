//! Why is there no verdict? Every error with the code that it has everywhere.

use crate::manifest::ManifestError;
use crate::model::Timestamp;

/// Why a phone alone has no verdict, or does not take what it was given.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// No manifest is in use.
    #[error("no manifest is in use")]
    NoManifest,
    /// The manifest is older than the event allows, and the event wants no decision then.
    #[error("the manifest of {made_at} is too old to decide by")]
    StaleManifest {
        /// When the manifest was made.
        made_at: Timestamp,
    },
    /// The manifest does not know the gate.
    #[error("the manifest does not know the gate")]
    UnknownGate,
    /// The device may not override.
    #[error("the device may not override")]
    OverrideNotAllowed,
    /// The `scan_id` names another payload or direction.
    #[error("the scan_id names another scan")]
    ScanIdReused,
    /// The database is another device's.
    #[error("the database is another device's")]
    OtherDevice,
    /// The manifest was not taken; the one in use stays in use.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The phone's own database failed.
    #[error("the database of this device failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema of the phone's own database could not be brought up to date.
    #[error("the database of this device could not be migrated: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The phone's own database holds a value that this version does not write.
    #[error("column {column} of this device's database is not what this version writes")]
    InvalidColumn {
        /// The column.
        column: &'static str,
    },
    /// A scan or a batch could not be written as JSON.
    #[error("the scan could not be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl OfflineError {
    /// The code that the bindings and logs name it by.
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

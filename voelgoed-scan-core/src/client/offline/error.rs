//! The errors of the offline scanner. Each has a code, which logs and the bindings share.

use sqlx::migrate::MigrateError;

use crate::client::DeviceRefusal;
use crate::manifest::ManifestError;
use crate::model::Timestamp;

/// Why the phone could not decide a scan, or refused a manifest.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// No manifest of the event is held.
    #[error("no manifest of the event is held")]
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
    /// The gate is outside the device's scope, as the phone last knew it.
    #[error("the device may not work at this event or gate")]
    OutOfScope,
    /// The device may not override.
    #[error("the device may not override")]
    OverrideNotAllowed,
    /// The server refuses this device. It decides no scan until it is enrolled again, or activated again.
    #[error("the server refuses this device ({code}): enrol it again, or have it activated")]
    DeviceRefused {
        /// The server's reason.
        code: DeviceRefusal,
    },
    /// An earlier scan with this `scan_id` has another payload or direction.
    #[error("the scan_id belongs to another scan")]
    ScanIdReused,
    /// The database belongs to another device.
    #[error("the database belongs to another device")]
    OtherDevice,
    /// Another scanner uses the database file: a second client in this app, or a second app.
    #[error("the database of this device is in use by another scanner")]
    DatabaseInUse,
    /// The manifest was refused. The previous one stays in use.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The disk is full. The next scan after room was made works.
    #[error("the disk of this device is full: {0}")]
    StorageFull(#[source] sqlx::Error),
    /// The phone's database is damaged.
    #[error("the database of this device is damaged: {0}")]
    Damaged(#[source] sqlx::Error),
    /// A newer version of the app wrote the phone's database.
    #[error("a newer version wrote the database of this device (schema {version})")]
    NewerDatabase {
        /// The number of the migration that this version lacks.
        version: i64,
    },
    /// The phone's database failed.
    #[error("the database of this device failed: {0}")]
    Database(#[source] sqlx::Error),
    /// The schema of the phone's database could not be migrated.
    #[error("the database of this device could not be migrated: {0}")]
    Migration(#[source] MigrateError),
    /// The phone's database contains a value that this version cannot read.
    #[error("column {column} of this device's database has a value that this version cannot read")]
    InvalidColumn {
        /// The column.
        column: &'static str,
    },
    /// A file of the phone's database could not be moved.
    #[error("a file of this device's database could not be moved: {0}")]
    File(#[from] std::io::Error),
    /// A scan or a batch could not be serialised.
    #[error("the scan could not be serialised: {0}")]
    Json(#[from] serde_json::Error),
}

/// The primary result codes of SQLite that the phone tells apart (<https://www.sqlite.org/rescode.html>).
mod sqlite {
    pub(super) const ERROR: u32 = 1;
    pub(super) const BUSY: u32 = 5;
    pub(super) const CORRUPT: u32 = 11;
    pub(super) const FULL: u32 = 13;
    pub(super) const CONSTRAINT: u32 = 19;
    pub(super) const NOT_A_DATABASE: u32 = 26;
    /// An extended code: the file of the WAL index could not grow.
    pub(super) const IO_ERROR_SHM_SIZE: u32 = 4874;
}

/// The extended result code of an error of SQLite.
fn sqlite_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    code.parse().ok()
}

impl From<sqlx::Error> for OfflineError {
    fn from(error: sqlx::Error) -> Self {
        let code = sqlite_code(&error);
        match code.map(|code| (code & 0xff, code)) {
            Some((sqlite::FULL, _) | (_, sqlite::IO_ERROR_SHM_SIZE)) => Self::StorageFull(error),
            Some((sqlite::CORRUPT | sqlite::NOT_A_DATABASE, _)) => Self::Damaged(error),
            Some((sqlite::BUSY, _)) => Self::DatabaseInUse,
            _ => Self::Database(error),
        }
    }
}

impl From<MigrateError> for OfflineError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => Self::NewerDatabase { version },
            MigrateError::Execute(source) => Self::from(source),
            MigrateError::ExecuteMigration(source, version) => match Self::from(source) {
                // The schema is not what the migration expects. Any other failure may pass.
                Self::Database(source)
                    if sqlite_code(&source)
                        .is_some_and(|code| matches!(code & 0xff, sqlite::ERROR | sqlite::CONSTRAINT)) =>
                {
                    Self::Migration(MigrateError::ExecuteMigration(source, version))
                }
                other => other,
            },
            other => Self::Migration(other),
        }
    }
}

impl OfflineError {
    /// Returns the code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoManifest => "no_manifest",
            Self::StaleManifest { .. } => "stale_manifest",
            Self::UnknownGate => "unknown_gate",
            Self::OutOfScope => "out_of_scope",
            Self::OverrideNotAllowed => "forbidden",
            Self::DeviceRefused { code } => code.as_str(),
            Self::ScanIdReused => "scan_id_reused",
            Self::OtherDevice => "other_device",
            Self::DatabaseInUse => "database_in_use",
            Self::Manifest(error) => error.code(),
            Self::StorageFull(_) => "storage_full",
            Self::Damaged(_)
            | Self::NewerDatabase { .. }
            | Self::Database(_)
            | Self::Migration(_)
            | Self::InvalidColumn { .. }
            | Self::File(_)
            | Self::Json(_) => "storage_unavailable",
        }
    }

    /// Returns whether the database cannot be opened by this version and has to be set aside.
    pub(super) const fn is_unusable_database(&self) -> bool {
        matches!(
            self,
            Self::Damaged(_) | Self::NewerDatabase { .. } | Self::Migration(_) | Self::InvalidColumn { .. }
        )
    }

    /// Returns whether the database was found to be damaged while it was in use.
    pub(super) const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_))
    }

    /// Returns whether a row has values that its table does not accept.
    pub(super) fn is_constraint(&self) -> bool {
        let Self::Database(error) = self else { return false };
        sqlite_code(error).is_some_and(|code| code & 0xff == sqlite::CONSTRAINT)
    }

    /// Why a database was set aside.
    pub(super) const fn replacement_code(&self) -> &'static str {
        match self {
            Self::NewerDatabase { .. } => "newer_database",
            _ => "damaged_database",
        }
    }
}

//! The offline scanner: it decides with a manifest, for apps that have their own client.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use voelgoed_scan_core as core;
use voelgoed_scan_core::model::{Override, Reading};

use crate::clock::{PlatformClock, now};
use crate::runtime::run_on_one_thread;
use crate::text::{language_of, shown_as_debug};
use crate::{
    Conflict, DeviceId, Direction, EventId, GateId, Medium, Metadata, NamedGate, OrganizationId, ReasonText,
    ReplacedDatabase, ScanId, ScannerError, Timestamp, Verdict,
};

/// What an offline scanner needs. Everything except the file comes from the server at enrolment.
#[derive(Debug, Clone, uniffi::Record)]
pub struct OfflineScannerSetup {
    /// The database file, one for each device.
    pub file: String,
    /// The device's organization.
    pub organization_id: OrganizationId,
    /// The device.
    pub device_id: DeviceId,
    /// The display name.
    pub device_name: String,
    /// Whether the device may override.
    pub can_override: bool,
    /// The organization's manifest key, 32 bytes, pinned at enrolment.
    pub manifest_key: Vec<u8>,
}

/// What a camera read or staff typed. Its text shows only the kind and the length.
#[derive(Clone, uniffi::Enum)]
#[uniffi::export(Debug, Display)]
pub enum TicketReading {
    /// A QR code.
    Qr {
        /// The text of the QR code.
        text: String,
    },
    /// A typed ticket code.
    Typed {
        /// The ticket code.
        text: String,
    },
    /// A medium that the app names outright: a wristband, a card, or a barcode.
    Named {
        /// `nfc:` and the id in upper-case hexadecimal, or `barcode:` and the text.
        medium: Medium,
    },
}

impl fmt::Debug for TicketReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, text) = match self {
            Self::Qr { text } => ("Qr", text.as_str()),
            Self::Typed { text } => ("Typed", text.as_str()),
            Self::Named { medium } => ("Named", medium.as_str()),
        };
        write!(f, "{kind}({} characters)", text.chars().count())
    }
}

shown_as_debug!(TicketReading);

impl From<TicketReading> for Reading {
    fn from(reading: TicketReading) -> Self {
        match reading {
            TicketReading::Qr { text } => Self::Qr(text),
            TicketReading::Typed { text } => Self::TicketCode(text),
            TicketReading::Named { medium } => Self::Medium(medium),
        }
    }
}

/// The manifest in use.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ManifestState {
    /// The event.
    pub event_id: EventId,
    /// The version.
    pub version: u64,
    /// When the server made it, by the server's clock.
    pub made_at: Timestamp,
    /// From when on it is too old for the event's settings.
    pub stale_from: Timestamp,
    /// The number of tickets in it.
    pub tickets: u64,
    /// Whether the deltas have grown so large that a full manifest is due.
    pub needs_full: bool,
}

impl From<core::client::ManifestState> for ManifestState {
    fn from(state: core::client::ManifestState) -> Self {
        let core::client::ManifestState {
            event_id,
            version,
            made_at,
            stale_from,
            tickets,
            needs_full,
        } = state;
        Self {
            event_id,
            version,
            made_at,
            stale_from,
            tickets: tickets as u64,
            needs_full,
        }
    }
}

/// The state of an offline scanner.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OfflineState {
    /// The manifest in use.
    pub manifest: Option<ManifestState>,
    /// The number of scans that wait for upload.
    pub waiting: u64,
    /// The number of scans that the server rejected and that nobody has seen.
    pub rejected: u64,
    /// The number of conflicts that the server reported for scans of this device.
    pub conflicts: u64,
    /// The server's clock minus the device's clock, in milliseconds. 0 if they differ by at most 2 s.
    pub clock_offset_ms: i64,
    /// Whether the last write found the disk full.
    pub is_disk_full: bool,
    /// Databases that were set aside and that nobody has confirmed.
    pub replaced: Vec<ReplacedDatabase>,
}

/// Generates the id of a scan attempt. A retry of the attempt uses the same id.
#[uniffi::export]
pub fn new_scan_id() -> ScanId {
    ScanId::generate(now())
}

/// Returns the gates of a manifest.
pub(crate) fn gates(head: Option<core::manifest::ManifestHead>) -> Vec<NamedGate> {
    let gates = head.into_iter().flat_map(|head| head.gates);
    gates
        .map(|listed| NamedGate {
            id: listed.gate.id,
            name: listed.gate.name.to_string(),
        })
        .collect()
}

/// Decides scans on the phone without the server. All functions may be called from any thread.
#[derive(uniffi::Object)]
#[uniffi::export(Debug, Display)]
pub struct OfflineScanner {
    scanner: core::client::OfflineScanner,
}

/// Shows only the class.
impl fmt::Debug for OfflineScanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfflineScanner")
    }
}

shown_as_debug!(OfflineScanner);

#[uniffi::export(async_runtime = "tokio")]
impl OfflineScanner {
    /// Opens the device's database, creates it if necessary, and activates the stored manifest.
    #[uniffi::constructor]
    pub async fn open(setup: OfflineScannerSetup) -> Result<Self, ScannerError> {
        let manifest_key = setup
            .manifest_key
            .try_into()
            .map_err(|_| ScannerError::invalid("manifest key", "must have 32 bytes"))?;
        let setup = core::client::OfflineScannerSetup {
            file: PathBuf::from(setup.file),
            organization_id: setup.organization_id,
            device_id: setup.device_id,
            device_name: setup.device_name,
            can_override: setup.can_override,
            manifest_key,
            device_secret: None,
        };
        let options = core::client::OfflineScannerOptions {
            clock: Some(Arc::new(PlatformClock)),
            ..Default::default()
        };
        let scanner = run_on_one_thread(|| core::client::OfflineScanner::open_with(setup, options)).await?;
        Ok(Self { scanner })
    }

    /// Sets the languages that the steward reads, as `ClientSetup` takes them. At first it is English.
    pub fn set_language(&self, language: String) {
        self.scanner.set_language(language_of(Some(&language)));
    }

    /// Verifies a full manifest or a delta of an event and activates it. On an error the previous manifest stays active.
    pub async fn install(&self, event_id: EventId, manifest: Vec<u8>) -> Result<ManifestState, ScannerError> {
        Ok(self.scanner.install(event_id, manifest, now()).await?.into())
    }

    /// Decides a scan. The verdict is on disk before this returns, so show it only then.
    ///
    /// The same payload within 2.5 s is one scan and returns the same verdict. `override_reason` forces an entry, if the
    /// device may override.
    #[uniffi::method(default(direction = None, scan_id = None, override_reason = None, metadata = None))]
    pub async fn decide(
        &self,
        reading: TicketReading,
        gate_id: GateId,
        direction: Option<Direction>,
        scan_id: Option<ScanId>,
        override_reason: Option<ReasonText>,
        metadata: Option<Metadata>,
    ) -> Result<Verdict, ScannerError> {
        let scanned_at = now();
        let scan = core::client::OfflineScan {
            scan_id: scan_id.unwrap_or_else(|| ScanId::generate(scanned_at)),
            reading: reading.into(),
            gate_id,
            direction: direction.unwrap_or(Direction::Entry),
            scanned_at,
            override_: override_reason.map(|reason| Override { reason }),
            metadata,
        };
        Ok(self.scanner.decide(scan).await?.into())
    }

    /// Returns the state.
    pub async fn state(&self) -> Result<OfflineState, ScannerError> {
        let core::client::OfflineState {
            manifest,
            waiting,
            rejected,
            conflicts,
            clock_offset_ms,
            is_disk_full,
            replaced,
        } = self.scanner.state().await?;
        Ok(OfflineState {
            manifest: manifest.map(Into::into),
            waiting,
            rejected,
            conflicts,
            clock_offset_ms,
            is_disk_full,
            replaced: replaced.into_iter().map(Into::into).collect(),
        })
    }

    /// Returns the gates of the manifest in use.
    pub async fn gates(&self) -> Vec<NamedGate> {
        gates(self.scanner.manifest_head().await)
    }

    /// Returns the conflicts that the server reported for scans of this device.
    pub async fn conflicts(&self) -> Result<Vec<Conflict>, ScannerError> {
        let conflicts = self.scanner.conflicts().await?;
        Ok(conflicts.into_iter().map(Into::into).collect())
    }
}

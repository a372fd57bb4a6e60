//! How does a phone decide alone? The core's gate without a network, for apps that bring their own client.

use std::path::PathBuf;

use voelgoed_scan_core as core;
use voelgoed_scan_core::model::{Override, Reading};

use crate::clock::now;
use crate::opening::on_one_thread;
use crate::{
    Conflict, DeviceId, Direction, EventId, GateError, GateId, NamedGate, OrganizationId, ReasonText, ScanId,
    Timestamp, Verdict,
};

/// What an offline gate is made of: all of it but the file comes from the server at enrolment.
#[derive(Debug, Clone, uniffi::Record)]
pub struct OfflineGateSetup {
    /// The device's own database file; one a device.
    pub file: String,
    /// The device's organization.
    pub organization_id: OrganizationId,
    /// The device.
    pub device_id: DeviceId,
    /// What it is called.
    pub device_name: String,
    /// Whether its settings let it override.
    pub can_override: bool,
    /// The organization's manifest key, 32 bytes, pinned at enrolment.
    pub manifest_key: Vec<u8>,
}

/// What was read: by a camera, or typed.
#[derive(Debug, Clone, uniffi::Enum)]
pub enum TicketReading {
    /// What the camera read.
    Qr {
        /// The text of the code.
        text: String,
    },
    /// What staff typed.
    Typed {
        /// The ticket code.
        text: String,
    },
}

impl From<TicketReading> for Reading {
    fn from(reading: TicketReading) -> Self {
        match reading {
            TicketReading::Qr { text } => Self::Qr(text),
            TicketReading::Typed { text } => Self::TicketCode(text),
        }
    }
}

/// The manifest in use.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ManifestState {
    /// Its event.
    pub event_id: EventId,
    /// Its version.
    pub version: u64,
    /// When it was made, by the server's clock.
    pub made_at: Timestamp,
    /// From when on it is too old.
    pub stale_from: Timestamp,
    /// How many tickets it lists.
    pub tickets: u64,
    /// Whether so much has come as deltas that a whole one is due.
    pub wants_whole: bool,
}

impl From<core::client::ManifestState> for ManifestState {
    fn from(state: core::client::ManifestState) -> Self {
        let core::client::ManifestState {
            event_id,
            version,
            made_at,
            stale_from,
            tickets,
            wants_whole,
        } = state;
        Self {
            event_id,
            version,
            made_at,
            stale_from,
            tickets: tickets as u64,
            wants_whole,
        }
    }
}

/// How an offline gate stands.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct OfflineState {
    /// The manifest in use.
    pub manifest: Option<ManifestState>,
    /// How many scans wait to be handed in.
    pub waiting: u64,
    /// How many of its scans the server found at odds.
    pub conflicts: u64,
    /// How far the server's clock is ahead of the device's; 0 within 2 s.
    pub clock_offset_ms: i64,
}

/// A new id for an attempt. A retry of the same attempt carries the same.
#[uniffi::export]
pub fn new_scan_id() -> ScanId {
    ScanId::generate(now())
}

/// The gates that a manifest tells of.
pub(crate) fn gates(head: Option<core::manifest::ManifestHead>) -> Vec<NamedGate> {
    let gates = head.into_iter().flat_map(|head| head.gates);
    gates
        .map(|one| NamedGate {
            id: one.gate.id,
            name: one.gate.name.to_string(),
        })
        .collect()
}

/// The gate of a phone without a network. All of its functions may be called from any thread.
#[derive(Debug, uniffi::Object)]
pub struct OfflineGate {
    gate: core::client::OfflineGate,
}

#[uniffi::export(async_runtime = "tokio")]
impl OfflineGate {
    /// Opens the device's database, made where it is missing, and takes the manifest it holds into use.
    #[uniffi::constructor]
    pub async fn open(setup: OfflineGateSetup) -> Result<Self, GateError> {
        let manifest_key = setup
            .manifest_key
            .try_into()
            .map_err(|_| GateError::invalid("manifest key", "has not 32 bytes"))?;
        let setup = core::client::OfflineGateSetup {
            file: PathBuf::from(setup.file),
            organization_id: setup.organization_id,
            device_id: setup.device_id,
            device_name: setup.device_name,
            can_override: setup.can_override,
            manifest_key,
            device_secret: None,
        };
        let gate = on_one_thread(|| core::client::OfflineGate::open(setup)).await?;
        Ok(Self { gate })
    }

    /// Takes a manifest or a delta of an event into use. Whatever is wrong with it, the one in use stays in use.
    pub async fn install(&self, event_id: EventId, manifest: Vec<u8>) -> Result<ManifestState, GateError> {
        Ok(self.gate.install(event_id, manifest, now()).await?.into())
    }

    /// Decides a scan. The verdict and all that it changes are on the disk before this returns: only then show it.
    ///
    /// The same payload within 2.5 s is one reading and gets its verdict again. With an `override_reason` an entry is
    /// forced, where the device may do so.
    #[uniffi::method(default(direction = None, scan_id = None, override_reason = None))]
    pub async fn decide(
        &self,
        reading: TicketReading,
        gate_id: GateId,
        direction: Option<Direction>,
        scan_id: Option<ScanId>,
        override_reason: Option<ReasonText>,
    ) -> Result<Verdict, GateError> {
        let scanned_at = now();
        let scan = core::client::OfflineScan {
            scan_id: scan_id.unwrap_or_else(|| ScanId::generate(scanned_at)),
            reading: reading.into(),
            gate_id,
            direction: direction.unwrap_or(Direction::Entry),
            scanned_at,
            override_: override_reason.map(|reason| Override { reason }),
            metadata: None,
        };
        Ok(self.gate.decide(scan).await?)
    }

    /// How the gate stands.
    pub async fn state(&self) -> Result<OfflineState, GateError> {
        let core::client::OfflineState {
            manifest,
            waiting,
            conflicts,
            clock_offset_ms,
        } = self.gate.state().await?;
        Ok(OfflineState {
            manifest: manifest.map(Into::into),
            waiting,
            conflicts,
            clock_offset_ms,
        })
    }

    /// The gates of the manifest's event.
    pub async fn gates(&self) -> Vec<NamedGate> {
        gates(self.gate.manifest_head().await)
    }

    /// What the server found at odds with scans of this device.
    pub async fn conflicts(&self) -> Result<Vec<Conflict>, GateError> {
        Ok(self.gate.conflicts().await?)
    }
}

//! How does the gate stand? Its manifest, its clock, its place, what waits.

use crate::client::offline::InUse;
use crate::client::{OfflineError, OfflineGate};
use crate::manifest::ManifestHead;
use crate::model::{EventId, GateId, SessionId, Timestamp};

/// How far a clock may be off without counting as off.
const CLOCK_TOLERANCE_MS: i64 = 2000;

/// A smaller change of the clock's offset is not worth a write.
const CLOCK_STEP_MS: i64 = 500;

/// Where a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhoneSession {
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// The session; `None` while the server does not know that the device stands here.
    pub session_id: Option<SessionId>,
}

/// The manifest in use.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub tickets: usize,
    /// Whether so much has come as deltas that a whole one is due.
    pub wants_whole: bool,
}

/// How an offline gate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl InUse {
    pub(super) fn state(&self) -> ManifestState {
        let head = self.manifest.head();
        ManifestState {
            event_id: head.event.id,
            version: head.version,
            made_at: head.made_at,
            stale_from: head.stale_from(),
            tickets: self.manifest.len(),
            wants_whole: self.deltas > self.manifest.size() / 4,
        }
    }
}

impl OfflineGate {
    /// Learns how far the device's clock is off from an exchange with the server: sent and received by the device's
    /// clock, the server's time in between.
    pub async fn learn_clock(
        &self,
        sent_at: Timestamp,
        received_at: Timestamp,
        server_time: Timestamp,
    ) -> Result<(), OfflineError> {
        let halfway = received_at.millis_since(sent_at).max(0) / 2;
        let offset = server_time.millis_since(sent_at.plus_millis(halfway));
        let offset = if offset.abs() <= CLOCK_TOLERANCE_MS {
            0
        } else {
            offset
        };
        let mut state = self.state.lock().await;
        if (offset - state.clock_offset).abs() >= CLOCK_STEP_MS {
            state.log.set_clock_offset(offset).await?;
            state.clock_offset = offset;
        }
        Ok(())
    }

    /// Where the device stands: remembered across restarts.
    pub async fn station(&self) -> Option<PhoneSession> {
        self.state.lock().await.station
    }

    /// Puts the device at a gate, or nowhere.
    pub async fn set_station(&self, station: Option<PhoneSession>) -> Result<(), OfflineError> {
        let mut state = self.state.lock().await;
        if state.station != station {
            state.log.set_station(station.as_ref()).await?;
            state.station = station;
        }
        Ok(())
    }

    /// Takes over what the device's settings say of overrides.
    pub async fn set_can_override(&self, can_override: bool) -> Result<(), OfflineError> {
        let mut state = self.state.lock().await;
        if state.can_override != can_override {
            state.log.set_can_override(can_override).await?;
            state.can_override = can_override;
        }
        Ok(())
    }

    /// How the gate stands.
    pub async fn state(&self) -> Result<OfflineState, OfflineError> {
        let mut state = self.state.lock().await;
        Ok(OfflineState {
            manifest: state.in_use.as_ref().map(InUse::state),
            waiting: state.log.waiting().await?,
            conflicts: state.log.conflict_count().await?,
            clock_offset_ms: state.clock_offset,
        })
    }

    /// What the manifest in use says of its event and gates.
    pub async fn manifest_head(&self) -> Option<ManifestHead> {
        let state = self.state.lock().await;
        state.in_use.as_ref().map(|held| held.manifest.head().clone())
    }
}

//! The state of the offline scanner: manifest, clock offset, session, waiting scans.

use crate::client::offline::ActiveManifest;
use crate::client::{OfflineError, OfflineScanner};
use crate::manifest::ManifestHead;
use crate::model::{EventId, GateId, SessionId, Timestamp};

/// A clock offset of at most this counts as none.
const CLOCK_TOLERANCE_MS: i64 = 2000;

/// A change of the clock offset below this is not stored.
const CLOCK_STEP_MS: i64 = 500;

/// The phone's session at a gate. The server may not have started it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhoneSession {
    /// The event.
    pub event_id: EventId,
    /// The gate.
    pub gate_id: GateId,
    /// The session's id on the server. `None` until the server has started it.
    pub session_id: Option<SessionId>,
}

/// The manifest in use.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub tickets: usize,
    /// Whether the deltas have grown so large that a full manifest is due.
    pub needs_full: bool,
}

/// The state of an offline scanner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineState {
    /// The manifest in use.
    pub manifest: Option<ManifestState>,
    /// The number of scans that wait for upload.
    pub waiting: u64,
    /// The number of conflicts that the server reported for scans of this device.
    pub conflicts: u64,
    /// The server's clock minus the device's clock, in milliseconds. 0 if they differ by at most 2 s.
    pub clock_offset_ms: i64,
}

impl ActiveManifest {
    pub(super) fn state(&self) -> ManifestState {
        let head = self.manifest.head();
        ManifestState {
            event_id: head.event.id,
            version: head.version,
            made_at: head.made_at,
            stale_from: head.stale_from(),
            tickets: self.manifest.len(),
            needs_full: self.delta_bytes > self.manifest.size() / 4,
        }
    }
}

impl OfflineScanner {
    /// Measures the clock offset with one exchange: `sent_at` and `received_at` are the device's clock, `server_time` is
    /// the server's clock in between.
    pub async fn update_clock_offset(
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

    /// Returns the session. It survives a restart.
    pub async fn session(&self) -> Option<PhoneSession> {
        self.state.lock().await.session
    }

    /// Sets or clears the session.
    pub async fn set_session(&self, session: Option<PhoneSession>) -> Result<(), OfflineError> {
        let mut state = self.state.lock().await;
        if state.session != session {
            state.log.set_session(session.as_ref()).await?;
            state.session = session;
        }
        Ok(())
    }

    /// Sets whether the device may override, as the server's device settings say.
    pub async fn set_can_override(&self, can_override: bool) -> Result<(), OfflineError> {
        let mut state = self.state.lock().await;
        if state.can_override != can_override {
            state.log.set_can_override(can_override).await?;
            state.can_override = can_override;
        }
        Ok(())
    }

    /// Returns the state.
    pub async fn state(&self) -> Result<OfflineState, OfflineError> {
        let mut state = self.state.lock().await;
        Ok(OfflineState {
            manifest: state.active_manifest.as_ref().map(ActiveManifest::state),
            waiting: state.log.count_waiting().await?,
            conflicts: state.log.count_conflicts().await?,
            clock_offset_ms: state.clock_offset,
        })
    }

    /// Returns the head of the manifest in use: the event, its gates and keys.
    pub async fn manifest_head(&self) -> Option<ManifestHead> {
        let state = self.state.lock().await;
        state
            .active_manifest
            .as_ref()
            .map(|active| active.manifest.head().clone())
    }
}

//! The state of the offline scanner: manifest, clock offset, session, waiting scans.

use crate::client::offline::clock::ClockReading;
use crate::client::offline::{ActiveManifest, manifests};
use crate::client::{ClockState, OfflineError, OfflineScanner, StorageReplacement};
use crate::model::{DeviceScope, EventId, GateId, SessionId, Timestamp};

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
    /// The manifest in use. With a session it is that of the session's event, if the phone holds it.
    pub manifest: Option<ManifestState>,
    /// The number of scans that wait for upload.
    pub waiting: u64,
    /// The number of scans that the server rejected and that nobody has seen.
    pub rejected: u64,
    /// The number of conflicts that the server reported for scans of this device.
    pub conflicts: u64,
    /// The server's clock minus the device's clock, in milliseconds, at the last exchange. 0 if they differed by at most
    /// 2 s.
    pub clock_offset_ms: i64,
    /// Whether the last write found the disk full.
    pub is_disk_full: bool,
    /// Databases that were set aside and that nobody has confirmed.
    pub replaced: Vec<StorageReplacement>,
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
    /// the server's clock in between. Until the next exchange the monotonic clock continues the server's time.
    pub async fn update_clock_offset(
        &self,
        sent_at: Timestamp,
        received_at: Timestamp,
        server_time: Timestamp,
    ) -> Result<(), OfflineError> {
        let received = ClockReading::at(received_at, self.clock());
        let state = &mut *self.state.lock().await;
        state.clock.measure(sent_at, received, server_time);
        // It holds even if the disk is full.
        state.log.set_clock(&state.clock).await
    }

    /// Returns the time by the server's clock at `now`, the device's clock, and what the phone knows about its clock.
    pub async fn server_time(&self, now: Timestamp) -> (Timestamp, ClockState) {
        let reading = ClockReading::at(now, self.clock());
        let time = self.state.lock().await.clock.corrected(&reading);
        (time.at, time.state)
    }

    /// Returns the session. It survives a restart.
    pub async fn session(&self) -> Option<PhoneSession> {
        self.state.lock().await.session
    }

    /// Sets or clears the session. The manifest of its event becomes the one in use, if it is held.
    pub async fn set_session(&self, session: Option<PhoneSession>) -> Result<(), OfflineError> {
        let state = &mut *self.state.lock().await;
        let gate = |session: PhoneSession| (session.event_id, session.gate_id);
        let is_same_gate = state.session.map(gate) == session.map(gate);
        if session.is_none() || is_same_gate {
            // It is over, or known to the server, even if the disk is full.
            state.session = session;
        }
        if state.stored_session != session {
            state.log.set_session(session.as_ref()).await?;
            state.stored_session = session;
        }
        state.session = session;
        let Some(session) = session else { return Ok(()) };
        match manifests::activate(state, &self.setup, session.event_id).await {
            Err(OfflineError::NoManifest) => Ok(()),
            activated => activated,
        }
    }

    /// Sets whether the device may override, as the server's device settings say.
    pub async fn set_can_override(&self, can_override: bool) -> Result<(), OfflineError> {
        let mut state = self.state.lock().await;
        // It holds even if the disk is full.
        state.can_override = can_override;
        if state.stored_can_override != can_override {
            state.log.set_can_override(can_override).await?;
            state.stored_can_override = can_override;
        }
        Ok(())
    }

    /// Sets the events and gates that the device may work at, as the server said. The phone decides no scan elsewhere.
    pub async fn set_scope(&self, scope: &DeviceScope) -> Result<(), OfflineError> {
        let mut state = self.state.lock().await;
        // It holds even if the disk is full.
        state.scope.clone_from(scope);
        if state.stored_scope != *scope {
            state.log.set_scope(scope).await?;
            state.stored_scope.clone_from(scope);
        }
        Ok(())
    }

    /// Writes what the server said of the device and could not be written before. The end of a session and a refusal must
    /// survive a restart.
    pub(super) async fn store_device(state: &mut super::State) -> Result<(), OfflineError> {
        if state.stored_session != state.session {
            state.log.set_session(state.session.as_ref()).await?;
            state.stored_session = state.session;
        }
        if state.stored_refusal != state.refusal {
            state.log.set_refusal(state.refusal.as_ref()).await?;
            state.stored_refusal.clone_from(&state.refusal);
        }
        if state.stored_can_override != state.can_override {
            state.log.set_can_override(state.can_override).await?;
            state.stored_can_override = state.can_override;
        }
        if state.stored_scope != state.scope {
            state.log.set_scope(&state.scope).await?;
            state.stored_scope.clone_from(&state.scope);
        }
        Ok(())
    }

    /// Writes what the server said and could not be written before, as far as there is room now.
    pub async fn store_unsaved(&self) {
        self.save_unsaved(&mut *self.state.lock().await).await;
    }

    /// Returns the events and gates that the device may work at, as the server last said. It survives a restart.
    pub async fn scope(&self) -> DeviceScope {
        self.state.lock().await.scope.clone()
    }

    /// Returns the state.
    pub async fn state(&self) -> Result<OfflineState, OfflineError> {
        let mut state = self.state.lock().await;
        let session = state.session.map(|session| session.event_id);
        let in_use = state
            .active_manifest
            .as_ref()
            .filter(|active| session.is_none_or(|event| event == active.event()));
        Ok(OfflineState {
            manifest: in_use.map(ActiveManifest::state),
            waiting: state.log.count_waiting().await?,
            rejected: state.log.count_rejected().await?,
            conflicts: state.log.count_conflicts().await?,
            clock_offset_ms: state.clock.offset,
            is_disk_full: state.log.is_disk_full(),
            replaced: state.replaced.clone(),
        })
    }
}

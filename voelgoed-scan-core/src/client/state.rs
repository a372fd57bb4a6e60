//! The state of a client, and how an app learns that it changed.

use tokio::sync::watch;

use crate::client::offline::{ClockState, ManifestState, OfflineState, PhoneSession};
use crate::client::{ClientError, ClientProblem, ProblemCode, ScannerClient, TransferProgress};
use crate::model::Timestamp;

/// The state of a client, for a status line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientState {
    /// Whether the server decides scans. Otherwise the phone does.
    pub online: bool,
    /// The session, with the event and the gate.
    pub session: Option<PhoneSession>,
    /// The manifest in use.
    pub manifest: Option<ManifestState>,
    /// The manifest's age in seconds, by the server's clock.
    pub manifest_age_s: Option<u64>,
    /// How far the download of a manifest has come. `None` if there is none, or nothing has arrived yet.
    pub manifest_progress: Option<TransferProgress>,
    /// The number of scans that wait for upload.
    pub waiting: u64,
    /// The number of scans of earlier enrolments of this phone, as other devices, that wait for upload.
    pub earlier_waiting: u64,
    /// The number of scans that the server rejected and that nobody has seen: [`ScannerClient::rejected`].
    pub rejected: u64,
    /// The number of conflicts that the server reported for scans of this device.
    pub conflicts: u64,
    /// The server's clock minus the device's clock, in milliseconds. 0 if they differ by at most 2 s.
    pub clock_offset_ms: i64,
    /// The code of the last failed exchange with the server. `None` after a successful one.
    pub last_error: Option<String>,
    /// The most serious problem that exists now: what is wrong, since when, and what to do.
    pub problem: Option<ClientProblem>,
}

impl ScannerClient {
    /// Returns the state of the client.
    pub async fn state(&self) -> Result<ClientState, ClientError> {
        let state = self.offline.state().await?;
        let (now, clock) = self.offline.server_time(self.setup.clock.now()).await;
        let age =
            |manifest: &ManifestState| u64::try_from(now.millis_since(manifest.made_at) / 1000).unwrap_or(0);
        let (online, last_error) = self.connectivity.status();
        Ok(ClientState {
            problem: self.problem(&state, now, clock).await,
            online,
            session: self.offline.session().await,
            manifest_age_s: state.manifest.as_ref().map(age),
            manifest: state.manifest,
            manifest_progress: self.manifest_downloads.progress(),
            waiting: state.waiting,
            earlier_waiting: self.earlier_enrollments.waiting(),
            rejected: state.rejected,
            conflicts: state.conflicts,
            clock_offset_ms: state.clock_offset_ms,
            last_error,
        })
    }

    /// Returns the most serious problem. `now` is the server's time.
    async fn problem(
        &self,
        state: &OfflineState,
        now: Timestamp,
        clock: ClockState,
    ) -> Option<ClientProblem> {
        let device_now = self.setup.clock.now();
        self.problems
            .set(ProblemCode::StorageFull, state.is_disk_full, device_now);
        self.problems
            .set(ProblemCode::ClockMoved, clock == ClockState::Moved, device_now);
        let stale = state
            .manifest
            .as_ref()
            .filter(|manifest| manifest.stale_from <= now);
        let replaced = state.replaced.iter().map(|one| one.replaced_at).max();
        let scope = self.offline.scope().await;
        let session = self.offline.session().await;
        let is_outside = session.is_some_and(|at| !scope.admits_gate(at.event_id, at.gate_id));
        self.problems.set(ProblemCode::OutOfScope, is_outside, device_now);
        let refused = self.offline.device_refusal().await;
        self.problems.worst(&[
            refused.map(|(refusal, since)| (ProblemCode::of_refusal(refusal), since)),
            replaced.map(|since| (ProblemCode::StorageReplaced, since)),
            stale.map(|manifest| (ProblemCode::ManifestStale, manifest.stale_from)),
        ])
    }

    /// Waits until the state differs from `revision` and returns the new revision. Pass 0 at first, then the returned
    /// value.
    pub async fn changed_since(&self, revision: u64) -> u64 {
        let mut changes = self.revision.subscribe();
        match changes.wait_for(|now| *now != revision).await {
            Ok(now) => *now,
            // Unreachable: `self` owns the sender.
            Err(_) => revision,
        }
    }

    /// Returns a receiver of the revision, which [`Self::changed_since`] describes. It does not keep the client open.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }
}

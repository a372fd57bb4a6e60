//! The manifests of several events. One is in memory; the others are on disk and are activated when a scan or a session
//! needs them.
//!
//! Invariants: every activation checks the signatures; the manifest of the session's event, and of an event with scans that
//! wait for upload or are under way, is never dropped.

use crate::client::offline::clock::ClockReading;
use crate::client::offline::{OfflineScannerSetup, State};
use crate::client::{ManifestState, OfflineError, OfflineScanner};
use crate::manifest::{Manifest, ManifestError, ManifestHead, VerifiedManifest};
use crate::model::{EventId, Timestamp};
use crate::token::Keyring;

#[derive(Debug)]
pub(super) struct ActiveManifest {
    pub(super) manifest: Manifest,
    pub(super) keyring: Keyring,
    /// The size of all deltas since the last full manifest, in bytes.
    pub(super) delta_bytes: usize,
}

impl ActiveManifest {
    fn new(manifest: Manifest, delta_bytes: usize) -> Result<Self, ManifestError> {
        let head = manifest.head();
        let keyring =
            Keyring::public(head.event.organization_id, &head.keys).map_err(|_| ManifestError::Malformed)?;
        Ok(Self {
            manifest,
            keyring,
            delta_bytes,
        })
    }

    pub(super) fn event(&self) -> EventId {
        self.manifest.head().event.id
    }
}

impl OfflineScanner {
    /// Verifies a full manifest or a delta of `event`, stores it and activates it. `now` is the device's clock.
    ///
    /// On an error the previous manifest stays active. Of the manifests of other events the least recently used ones are
    /// dropped, if too many are held.
    pub async fn install(
        &self,
        event: EventId,
        bytes: Vec<u8>,
        now: Timestamp,
    ) -> Result<ManifestState, OfflineError> {
        let stored = bytes.clone();
        let OfflineScannerSetup {
            organization_id,
            manifest_key,
            ..
        } = &self.setup;
        let part = VerifiedManifest::verify(bytes, *organization_id, manifest_key)?;
        let state = &mut *self.state.lock().await;
        match activate(state, &self.setup, event).await {
            // There is none of this event yet.
            Ok(()) | Err(OfflineError::NoManifest) => {}
            Err(error) => return Err(error),
        }
        let now = state.clock.corrected(&ClockReading::at(now, self.clock())).at;
        let current = state.active_manifest.as_ref().map(|active| &active.manifest);
        part.check(event, current, now)?;
        let is_delta = part.head().base.is_some();
        let delta_bytes = state
            .active_manifest
            .as_ref()
            .filter(|_| is_delta)
            .map_or(0, |active| active.delta_bytes + stored.len());
        let next = ActiveManifest::new(part.into_manifest(current)?, delta_bytes)?;
        let keep = state.session.map(|session| session.event_id);
        state
            .log
            .store_manifest(event, &stored, is_delta, self.options.manifests_held, keep)
            .await?;
        let manifest_state = next.state();
        state.active_manifest = Some(next);
        Ok(manifest_state)
    }

    /// Returns the head of the manifest in use: the event, its gates and keys.
    pub async fn manifest_head(&self) -> Option<ManifestHead> {
        let state = self.state.lock().await;
        state
            .active_manifest
            .as_ref()
            .map(|active| active.manifest.head().clone())
    }

    /// Returns the head of the held manifest of an event, and makes that manifest the one in use.
    pub async fn manifest_head_of(&self, event: EventId) -> Result<Option<ManifestHead>, OfflineError> {
        let state = &mut *self.state.lock().await;
        match activate(state, &self.setup, event).await {
            Ok(()) => Ok(state
                .active_manifest
                .as_ref()
                .map(|active| active.manifest.head().clone())),
            Err(OfflineError::NoManifest) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the heads of all held manifests, the most recently used first: the events that the phone can work at
    /// without a network.
    pub async fn held_manifests(&self) -> Result<Vec<ManifestHead>, OfflineError> {
        let state = &mut *self.state.lock().await;
        let mut heads = Vec::new();
        for event in state.log.held_events().await? {
            if let Ok(Some(held)) = restore(state.log.manifest_parts(event).await?, &self.setup) {
                heads.push(held.manifest.head().clone());
            }
        }
        Ok(heads)
    }
}

/// Makes the held manifest of an event the one in use. Fails with `NoManifest` if none is held; the one in use then stays.
pub(super) async fn activate(
    state: &mut State,
    setup: &OfflineScannerSetup,
    event: EventId,
) -> Result<(), OfflineError> {
    if state.active_manifest.as_ref().map(ActiveManifest::event) == Some(event) {
        return Ok(());
    }
    let parts = state.log.manifest_parts(event).await?;
    match restore(parts, setup) {
        Ok(Some(restored)) => {
            state.active_manifest = Some(restored);
            // The order of use is not worth an error: the disk may be full.
            if let Err(error) = state.log.mark_manifest_used(event).await {
                tracing::debug!(code = error.code(), "the use of a manifest was not recorded");
            }
            Ok(())
        }
        Ok(None) => Err(OfflineError::NoManifest),
        Err(error) => {
            tracing::warn!(code = error.code(), "the manifest on the device is ignored");
            Err(OfflineError::NoManifest)
        }
    }
}

/// Activates the manifest of the session's event, or else the most recently used one, if there is one.
pub(super) async fn activate_last_used(
    state: &mut State,
    setup: &OfflineScannerSetup,
) -> Result<(), OfflineError> {
    let last_used = state.log.held_events().await?.into_iter().next();
    let session = state.session.map(|session| session.event_id);
    for event in session.into_iter().chain(last_used) {
        match activate(state, setup, event).await {
            Ok(()) => return Ok(()),
            Err(OfflineError::NoManifest) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Rebuilds a manifest from its stored parts, which it takes, so that a large one is in memory once. Checks every signature,
/// but no age.
fn restore(
    parts: Vec<Vec<u8>>,
    setup: &OfflineScannerSetup,
) -> Result<Option<ActiveManifest>, ManifestError> {
    let mut manifest: Option<Manifest> = None;
    let mut delta_bytes = 0;
    for bytes in parts {
        let length = bytes.len();
        let part = VerifiedManifest::verify(bytes, setup.organization_id, &setup.manifest_key)?;
        if part.head().base.is_some() {
            delta_bytes += length;
        }
        manifest = Some(part.into_manifest(manifest.as_ref())?);
    }
    manifest
        .map(|manifest| ActiveManifest::new(manifest, delta_bytes))
        .transpose()
}

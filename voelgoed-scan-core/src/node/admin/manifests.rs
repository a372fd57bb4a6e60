//! Issues the signed manifests of events, which phones decide by while they are offline.

use std::sync::Arc;
use std::time::Duration;

use super::Admin;
use crate::model::{EventId, OrganizationId, Timestamp};
use crate::node::manifest_cache::{ManifestFailure, ManifestResponse, Precondition, SignedManifest};
use crate::store::StoreError;

impl Admin {
    /// The manifest of an event for a phone with the versions of `precondition`. `None` where there is no such event.
    /// `now` must be a time before the call.
    pub async fn manifest(
        &self,
        organization: OrganizationId,
        event: EventId,
        precondition: Precondition,
        now: Timestamp,
    ) -> Result<Option<ManifestResponse>, ManifestFailure> {
        let keyring = self.keyrings.get(organization).await?;
        self.manifest_cache
            .issue(&self.store, keyring, event, precondition, now)
            .await
    }

    /// The manifest of an event that was issued under this tag ([`SignedManifest::tag`]). `None` if it is not kept any more.
    pub async fn issued_manifest(
        &self,
        organization: OrganizationId,
        event: EventId,
        tag: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<SignedManifest>>, StoreError> {
        if self.store.event(organization, event).await?.is_none() {
            return Ok(None);
        }
        self.manifest_cache
            .issued(&*self.store, organization, event, tag, now)
            .await
    }

    /// The age of the manifests that this node hands out, by event: at most `limit`, the latest requested first.
    #[must_use]
    pub fn manifest_ages(&self, now: Timestamp, limit: usize) -> Vec<((OrganizationId, EventId), Duration)> {
        self.manifest_cache.ages(now, limit)
    }

    /// The Ed25519 public key that phones verify manifests with.
    pub async fn manifest_key(&self, organization: OrganizationId) -> Result<[u8; 32], StoreError> {
        let keyring = self.keyrings.get(organization).await?;
        keyring
            .manifest_key()
            .ok_or_else(|| StoreError::failed("a server's keyring signs manifests"))
    }
}

//! What do phones decide by, when they are alone? The manifests of events, signed.

use crate::model::{EventId, OrganizationId, Timestamp};
use crate::node::{Admin, ManifestFailure, ManifestResponse, Precondition};
use crate::store::StoreError;

impl Admin {
    /// The manifest of an event for a phone that has `held`; `None` where there is no such event. `now` is a time before
    /// the call.
    pub async fn manifest(
        &self,
        organization: OrganizationId,
        event: EventId,
        held: Precondition,
        now: Timestamp,
    ) -> Result<Option<ManifestResponse>, ManifestFailure> {
        let keyring = self
            .keys
            .keyring(organization, &self.memory, &*self.store)
            .await?;
        self.manifest_cache
            .issue(&self.store, keyring, event, held, now)
            .await
    }

    /// The Ed25519 public key that devices check manifests with.
    pub async fn manifest_key(&self, organization: OrganizationId) -> Result<[u8; 32], StoreError> {
        let keyring = self
            .keys
            .keyring(organization, &self.memory, &*self.store)
            .await?;
        keyring
            .manifest_key()
            .ok_or_else(|| StoreError::failed("a server's keyring signs manifests"))
    }
}

//! Derives the keyrings of organizations from the master secret, and caches them.

use std::sync::Arc;

use crate::model::OrganizationId;
use crate::node::cache::identities::IdentityCache;
use crate::store::{Store, StoreError};
use crate::token::{Keyring, MasterSecret, PhoenixKeys};

struct KeyringSource {
    master: MasterSecret,
    phoenix: Option<PhoenixKeys>,
    store: Arc<dyn Store>,
    identity_cache: Arc<IdentityCache>,
}

/// The keyrings of all organizations; cheap to clone.
#[derive(Clone)]
pub(crate) struct Keyrings(Arc<KeyringSource>);

impl Keyrings {
    pub(crate) fn new(
        master: MasterSecret,
        phoenix: Option<PhoenixKeys>,
        store: Arc<dyn Store>,
        identity_cache: Arc<IdentityCache>,
    ) -> Self {
        Self(Arc::new(KeyringSource {
            master,
            phoenix,
            store,
            identity_cache,
        }))
    }

    /// The secret that all signing keys derive from.
    pub(crate) fn master(&self) -> &MasterSecret {
        &self.0.master
    }

    /// The platform's keys, where its tokens are accepted.
    pub(crate) fn phoenix(&self) -> Option<&PhoenixKeys> {
        self.0.phoenix.as_ref()
    }

    /// The keyring of an organization, from the cache where possible. The slow path is boxed to keep the future of a scan
    /// small.
    pub(crate) async fn get(&self, organization: OrganizationId) -> Result<Arc<Keyring>, StoreError> {
        match self.0.identity_cache.keyring(organization) {
            Some(keyring) => Ok(keyring),
            None => Box::pin(self.derive(organization)).await,
        }
    }

    async fn derive(&self, organization: OrganizationId) -> Result<Arc<Keyring>, StoreError> {
        let KeyringSource {
            master,
            store,
            identity_cache,
            ..
        } = &*self.0;
        let epoch = identity_cache.epoch();
        let keys = store.signing_keys(organization).await?;
        let keyring = Keyring::derive(master, organization, &keys)
            .map_err(|error| StoreError::failed(error.to_string()))?;
        let keyring = Arc::new(keyring);
        identity_cache.put_keyring(organization, epoch, &keyring);
        Ok(keyring)
    }
}

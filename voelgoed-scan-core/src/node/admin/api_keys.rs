//! Creates, deletes and authenticates API keys.

use std::sync::Arc;

use super::Admin;
use crate::model::{
    ApiKey, ApiKeyCreate, ApiKeyId, ApiKeySecret, AuditContext, OrganizationId, Timestamp, TokenHash,
};
use crate::store::{DeleteOutcome, StoreError};

impl Admin {
    /// The API key with that hash, from the cache where possible.
    pub async fn authenticate(&self, hash: &TokenHash) -> Result<Option<Arc<ApiKey>>, StoreError> {
        if let Some(key) = self.identity_cache.api_key(hash) {
            return Ok(Some(key));
        }
        let epoch = self.identity_cache.epoch();
        let Some(key) = self.store.api_key(hash).await?.map(Arc::new) else {
            return Ok(None);
        };
        self.identity_cache.put_api_key(*hash, epoch, &key);
        Ok(Some(key))
    }

    /// Creates an API key. Its secret is returned only here.
    pub async fn create_api_key(
        &self,
        organization: OrganizationId,
        create: &ApiKeyCreate,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<(ApiKey, ApiKeySecret), StoreError> {
        let secret = ApiKeySecret::generate();
        let key = ApiKey {
            id: ApiKeyId::generate(now),
            organization_id: organization,
            name: create.name.clone(),
            role: create.role,
            inserted_at: now,
        };
        self.store
            .create_api_key(&key, &secret.hash(), self.audit(by, now))
            .await?;
        Ok((key, secret))
    }

    /// Deletes an API key, unless it is the last one of an owner.
    pub async fn delete_api_key(
        &self,
        organization: OrganizationId,
        id: ApiKeyId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<DeleteOutcome, StoreError> {
        let deleted = self
            .store
            .delete_api_key(organization, id, self.audit(by, now))
            .await?;
        self.invalidator.facts_changed(organization);
        Ok(deleted)
    }
}

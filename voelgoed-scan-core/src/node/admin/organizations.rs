//! Creates organizations.

use super::Admin;
use crate::model::{
    ApiKey, ApiKeyCreate, ApiKeySecret, AuditContext, KeyFormat, KeyId, Name, Organization, OrganizationId,
    Role, Timestamp,
};
use crate::store::StoreError;

impl Admin {
    /// Creates an organization with an active key `1` of each format and an API key for its owner.
    pub async fn create_organization(
        &self,
        name: Name,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<(Organization, ApiKey, ApiKeySecret), StoreError> {
        self.create_organization_as(OrganizationId::generate(now), name, by, now)
            .await?
            .ok_or_else(|| StoreError::failed("a new id is taken"))
    }

    /// Creates an organization under the id that it has in another database. With the same master secret it gets the same
    /// keys, so that tokens signed there are valid here. `None` where the id is taken.
    pub async fn create_organization_as(
        &self,
        id: OrganizationId,
        name: Name,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<Option<(Organization, ApiKey, ApiKeySecret)>, StoreError> {
        let organization = Organization {
            id,
            name,
            inserted_at: now,
        };
        let first_key = |format| self.new_signing_key(organization.id, format, KeyId::FIRST, now);
        let signing_keys = [first_key(KeyFormat::Vg1), first_key(KeyFormat::Vg2)];
        let created = self
            .store
            .create_organization(&organization, &signing_keys, self.audit(by, now))
            .await?;
        if !created {
            return Ok(None);
        }
        let (key, secret) = self.create_owner_key(organization.id, by, now).await?;
        Ok(Some((organization, key, secret)))
    }

    /// Creates another API key for an owner who lost the first. `None` where there is no such organization.
    pub async fn new_owner_key(
        &self,
        organization: OrganizationId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<Option<(ApiKey, ApiKeySecret)>, StoreError> {
        match self.store.organization(organization).await? {
            Some(_) => self.create_owner_key(organization, by, now).await.map(Some),
            None => Ok(None),
        }
    }

    async fn create_owner_key(
        &self,
        organization: OrganizationId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<(ApiKey, ApiKeySecret), StoreError> {
        let name = Name::new("Owner").map_err(|error| StoreError::failed(error.to_string()))?;
        self.create_api_key(
            organization,
            &ApiKeyCreate {
                name,
                role: Role::Owner,
            },
            by,
            now,
        )
        .await
    }
}

//! Adds signing keys and changes their status.

use super::Admin;
use crate::model::{AuditContext, KeyFormat, KeyId, KeyStatus, OrganizationId, SigningKey, Timestamp};
use crate::store::{PutOutcome, StoreError};

impl Admin {
    /// An active key, derived from the master secret and not stored yet.
    pub(super) fn new_signing_key(
        &self,
        organization: OrganizationId,
        format: KeyFormat,
        kid: KeyId,
        now: Timestamp,
    ) -> SigningKey {
        let public_key = match format {
            KeyFormat::Vg1 => None,
            KeyFormat::Vg2 => Some(self.keyrings.master().vg2_public_key(organization, kid)),
        };
        SigningKey {
            format,
            kid,
            status: KeyStatus::Active,
            public_key,
            inserted_at: now,
        }
    }

    /// Adds a signing key, which is active at once.
    pub async fn add_signing_key(
        &self,
        organization: OrganizationId,
        format: KeyFormat,
        kid: KeyId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<PutOutcome<SigningKey>, StoreError> {
        let key = self.new_signing_key(organization, format, kid, now);
        let added = self
            .store
            .add_signing_key(organization, &key, self.audit(by, now))
            .await?;
        self.invalidator.facts_changed(organization);
        Ok(if added {
            PutOutcome::Created(key)
        } else {
            PutOutcome::Conflict("a key of this format and kid is there already")
        })
    }

    /// Changes the status of a signing key.
    pub async fn set_signing_key_status(
        &self,
        organization: OrganizationId,
        format: KeyFormat,
        kid: KeyId,
        status: KeyStatus,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<PutOutcome<SigningKey>, StoreError> {
        let put = self
            .store
            .set_signing_key_status(organization, format, kid, status, self.audit(by, now))
            .await?;
        self.invalidator.facts_changed(organization);
        Ok(put)
    }
}

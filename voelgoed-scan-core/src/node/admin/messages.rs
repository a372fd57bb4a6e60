//! Replaces the messages of stewards by an organization's own texts.

use super::Admin;
use crate::model::{AuditContext, CustomMessages, CustomMessagesPatch, OrganizationId, Timestamp};
use crate::store::StoreError;

impl Admin {
    /// Replaces the messages that the patch names, and returns all that the organization replaced.
    pub async fn change_custom_messages(
        &self,
        organization: OrganizationId,
        patch: &CustomMessagesPatch,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<CustomMessages, StoreError> {
        let messages = self
            .store
            .change_custom_messages(organization, patch, self.audit(by, now))
            .await?;
        self.invalidator.facts_changed(organization);
        Ok(messages)
    }
}

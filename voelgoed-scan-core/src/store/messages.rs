//! The messages for stewards that organizations replaced by their own texts.

use async_trait::async_trait;

use crate::audit::Audit;
use crate::model::{CustomMessages, CustomMessagesPatch, OrganizationId};
use crate::store::StoreError;

/// Messages of organizations.
#[async_trait]
pub trait MessageStore: Send + Sync {
    /// The messages that an organization replaced. They are empty where it replaced none.
    async fn custom_messages(&self, organization: OrganizationId) -> Result<CustomMessages, StoreError>;

    /// Replaces the messages that the patch names, and returns all that the organization replaced. A change raises the
    /// organization's change counter.
    async fn change_custom_messages(
        &self,
        organization: OrganizationId,
        patch: &CustomMessagesPatch,
        audit: Audit<'_>,
    ) -> Result<CustomMessages, StoreError>;
}

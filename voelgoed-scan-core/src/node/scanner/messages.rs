//! The messages of stewards in the words of their organization.
//!
//! Invariant: no scan fails for its message. Where the organization's own texts cannot be read, those of this program are
//! shown.

use std::sync::Arc;

use super::{Scanner, ScannerParts};
use crate::model::{CustomMessages, OrganizationId};

impl Scanner {
    /// The messages that an organization replaced, from the cache where possible. The slow path is boxed to keep the future
    /// of a scan small.
    pub async fn messages(&self, organization: OrganizationId) -> Arc<CustomMessages> {
        match self.0.identity_cache.messages(organization) {
            Some(messages) => messages,
            None => Box::pin(self.read_messages(organization)).await,
        }
    }

    async fn read_messages(&self, organization: OrganizationId) -> Arc<CustomMessages> {
        let ScannerParts {
            identity_cache,
            store,
            ..
        } = &*self.0;
        let epoch = identity_cache.epoch();
        match store.custom_messages(organization).await {
            Ok(messages) => {
                let messages = Arc::new(messages);
                identity_cache.put_messages(organization, epoch, &messages);
                messages
            }
            Err(error) => {
                tracing::warn!(%organization, %error, "the messages of the organization could not be read");
                Arc::new(CustomMessages::default())
            }
        }
    }
}

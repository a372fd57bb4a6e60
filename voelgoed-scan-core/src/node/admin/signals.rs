//! Changes the rules of signals.

use super::Admin;
use crate::model::{AuditContext, OrganizationId, SignalSettings, SignalSettingsPatch, Timestamp};
use crate::store::StoreError;

impl Admin {
    /// Changes the rules by which an organization finds signals, and returns all of them.
    pub async fn change_signal_settings(
        &self,
        organization: OrganizationId,
        patch: &SignalSettingsPatch,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<SignalSettings, StoreError> {
        self.store
            .change_signal_settings(organization, patch, self.audit(by, now))
            .await
    }
}

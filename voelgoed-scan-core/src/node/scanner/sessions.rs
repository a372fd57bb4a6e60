//! Starts and ends the sessions of devices at a gate.

use super::Scanner;
use crate::model::{
    AuditContext, AuthenticatedDevice, OrganizationId, ScanSession, SessionId, SessionStart, Timestamp,
};
use crate::store::{StartOutcome, StoreError};

impl Scanner {
    /// Starts a session of the device.
    pub async fn start_session(
        &self,
        authenticated: &AuthenticatedDevice,
        start: &SessionStart,
        now: Timestamp,
    ) -> Result<StartOutcome, StoreError> {
        let device = &authenticated.device;
        let id = SessionId::generate(now);
        let outcome = self
            .store()
            .start_session(device.organization_id, device.id, id, start, now)
            .await?;
        self.0.invalidator.facts_changed(device.organization_id);
        self.0.webhooks.notify_enqueued();
        Ok(outcome)
    }

    /// Ends a session. A session that has ended already is returned unchanged; `None` where there is no such session. `by` is
    /// who ends it, or `None` for its own device, which leaves no entry in the audit log.
    pub async fn end_session(
        &self,
        organization: OrganizationId,
        id: SessionId,
        by: Option<&AuditContext>,
        now: Timestamp,
    ) -> Result<Option<ScanSession>, StoreError> {
        let audit = by.map(|by| self.audit(by, now));
        let session = self.store().end_session(organization, id, now, audit).await?;
        self.0.invalidator.facts_changed(organization);
        self.0.webhooks.notify_enqueued();
        Ok(session)
    }
}

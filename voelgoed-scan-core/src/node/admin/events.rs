//! Creates and replaces events and gates.

use super::Admin;
use crate::model::{
    AuditContext, Event, EventId, EventPut, Gate, GateId, GatePut, OrganizationId, Timestamp,
};
use crate::store::{PutOutcome, StoreError};

impl Admin {
    /// Creates or replaces an event.
    pub async fn put_event(
        &self,
        organization: OrganizationId,
        id: EventId,
        event: &EventPut,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<PutOutcome<Event>, StoreError> {
        let put = self
            .store
            .put_event(organization, id, event, now, self.audit(by, now))
            .await?;
        self.invalidator.facts_changed(organization);
        Ok(put)
    }

    /// Creates or replaces a gate.
    pub async fn put_gate(
        &self,
        organization: OrganizationId,
        event: EventId,
        id: GateId,
        gate: &GatePut,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<PutOutcome<Gate>, StoreError> {
        let put = self
            .store
            .put_gate(organization, event, id, gate, now, self.audit(by, now))
            .await?;
        self.invalidator.facts_changed(organization);
        Ok(put)
    }
}

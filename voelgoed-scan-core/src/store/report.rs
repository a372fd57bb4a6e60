//! The report of an event.

use async_trait::async_trait;

use crate::model::{EventId, OrganizationId, Timestamp};
use crate::report::EventReport;
use crate::store::StoreError;

/// Reports of events.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// The report of an event. `None` if the event does not exist. It reads the audit trail in bounded parts, so that other
    /// reads and the scans go on meanwhile; a scan that is recorded meanwhile may count or not.
    async fn report(
        &self,
        organization: OrganizationId,
        event: EventId,
        now: Timestamp,
    ) -> Result<Option<EventReport>, StoreError>;
}

//! Online scans: authentication of devices, records and the audit trail. `batch`, `denials` and `undo` hold the writes.

mod list;

use async_trait::async_trait;

use crate::model::{
    ActiveSession, ActivityMinutes, Attempt, AuditContext, AuthenticatedDevice, EventActivity, EventId,
    EventOccupancy, OrganizationId, ReasonText, Recorded, RuleSettings, ScanId, ScanRecord, Timestamp,
    TokenHash,
};
use crate::rules::{KnownScan, NewScan};
use crate::store::sql::batch::facts::known_scan;
use crate::store::sql::keys::organization_of;
use crate::store::sql::occupancy::{event_activity, event_occupancy};
use crate::store::sql::{Dialect, Sql, mapping, query, statement};
use crate::store::{
    Order, Page, PageRequest, ScanFilter, ScanStore, StoreError, UndoOutcome, UndoPermission,
};

#[async_trait]
impl<D: Dialect> ScanStore for Sql<D> {
    fn concurrent_writes(&self) -> usize {
        D::CONCURRENT_WRITES
    }

    fn max_writes(&self) -> usize {
        D::MAX_WRITES
    }

    async fn find_device_by_token(
        &self,
        token: &TokenHash,
    ) -> Result<Option<AuthenticatedDevice>, StoreError> {
        let mut connection = self.read().await?;
        let Some(organization) = organization_of::<D>(token, &mut connection).await? else {
            return Ok(None);
        };
        // Reads the token again: one that was replaced meanwhile is not found with the new change counter.
        let device_row = query::<D>(statement!("devices/find_by_token.sql"))
            .id(organization.as_uuid())
            .bytes(token)
            .fetch_optional(&mut connection)
            .await?;
        let Some(device_row) = device_row else {
            return Ok(None);
        };
        let device = mapping::device(&device_row)?;
        // The change counter was read before the session, its event and its gate: a change in between makes it stale.
        let session_row = query::<D>(statement!("sessions/find_active_with_facts.sql"))
            .id(device.organization_id.as_uuid())
            .id(device.id.as_uuid())
            .fetch_optional(&mut connection)
            .await?;
        let active_session = match &session_row {
            Some(row) => Some(ActiveSession {
                session: mapping::session(row)?,
                event: mapping::event(row)?,
                gate: mapping::gate(row)?,
                rules_since: row.time("rules_since")?,
                counted_since: row.time("counted_since")?,
                facts_changed_at_counter: row.int("facts_changed_at_counter")?,
            }),
            None => None,
        };
        Ok(Some(AuthenticatedDevice {
            device,
            is_revoked: device_row.bool("d_revoked")?,
            active_session,
            change_counter: device_row.int("change_counter")?,
        }))
    }

    async fn record(&self, batch: &[Attempt], rules: &RuleSettings) -> Result<Vec<Recorded>, StoreError> {
        self.record_batch(batch, rules).await
    }

    async fn record_denials(&self, denials: &[NewScan]) -> Result<(), StoreError> {
        self.write_denials(denials).await
    }

    async fn dry_run(&self, attempt: &Attempt, rules: &RuleSettings) -> Result<Recorded, StoreError> {
        self.decide_dry_run(attempt, rules).await
    }

    async fn find_scan_for_retry(
        &self,
        organization: OrganizationId,
        scan: ScanId,
    ) -> Result<Option<KnownScan>, StoreError> {
        let mut connection = self.read().await?;
        let row = query::<D>(statement!("scans/find_for_retry.sql"))
            .id(organization.as_uuid())
            .id(scan.as_uuid())
            .fetch_optional(&mut connection)
            .await?;
        row.as_ref().map(known_scan).transpose()
    }

    async fn undo(
        &self,
        organization: OrganizationId,
        scan: ScanId,
        permission: UndoPermission,
        reason: &ReasonText,
        origin: &AuditContext,
        now: Timestamp,
        rules: &RuleSettings,
    ) -> Result<Option<UndoOutcome>, StoreError> {
        self.undo_admission(organization, scan, permission, reason, origin, now, rules)
            .await
    }

    async fn scans(
        &self,
        organization: OrganizationId,
        filter: &ScanFilter,
        order: Order,
        page: &PageRequest,
    ) -> Result<Page<ScanRecord>, StoreError> {
        self.list_scans(organization, filter, order, page).await
    }

    async fn occupancy(
        &self,
        organization: OrganizationId,
        event: EventId,
        now: Timestamp,
    ) -> Result<Option<EventOccupancy>, StoreError> {
        let mut connection = self.read().await?;
        event_occupancy::<D>(organization, event, now, &mut connection).await
    }

    async fn activity(
        &self,
        organization: OrganizationId,
        event: EventId,
        minutes: ActivityMinutes,
    ) -> Result<EventActivity, StoreError> {
        let (_permit, mut connection) = self.read_bulk(organization).await?;
        event_activity::<D>(organization, event, minutes, &mut connection).await
    }
}

/// The record of a scan.
pub(super) async fn find_scan<D: Dialect>(
    organization: OrganizationId,
    scan: ScanId,
    connection: &mut D::Connection,
) -> Result<Option<ScanRecord>, StoreError> {
    let row = query::<D>(statement!("scans/find.sql"))
        .id(organization.as_uuid())
        .id(scan.as_uuid())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(mapping::scan).transpose()
}

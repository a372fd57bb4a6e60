//! Clears what people wrote into scans.

use crate::model::{AnswerSnapshot, EventId, OrganizationId, ScanId};
use crate::store::StoreError;
use crate::store::sql::lookup::{IdLookup, json_text};
use crate::store::sql::retention::RetentionDialect;
use crate::store::sql::retention::rows::ClearedScanRow;
use crate::store::sql::{Sql, query};
use crate::sync::DENIED_AT_GATE;

impl<D: RetentionDialect> Sql<D> {
    /// Clears scans of an event, and what retries of them are answered from.
    pub(super) async fn clear_scans_once(
        &self,
        organization: OrganizationId,
        event: EventId,
        scans: &[ScanId],
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        // An undo and an upload write back what they have read of a scan. They hold these locks meanwhile.
        if let Some(sql) = D::SQL.lock_occupancy {
            query::<D>(sql)
                .json(&[IdLookup::new(event.as_uuid())])
                .id(organization.as_uuid())
                .fetch_all(&mut transaction)
                .await?;
        }
        let ids: Vec<_> = scans.iter().map(|scan| IdLookup::new(scan.as_uuid())).collect();
        let rows = query::<D>(D::RETENTION.scans_to_clear)
            .json(&ids)
            .id(organization.as_uuid())
            .id(event.as_uuid())
            .fetch_all(&mut transaction)
            .await?;
        let mut cleared = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut shown: AnswerSnapshot = row.json("shown")?;
            clear_shown(&mut shown);
            cleared.push(ClearedScanRow::new(row.id("scan_id")?, &shown));
        }
        if !cleared.is_empty() {
            query::<D>(D::RETENTION.clear_scans)
                .id(organization.as_uuid())
                .text(DENIED_AT_GATE)
                .rows(&cleared)
                .execute(&mut transaction)
                .await?;
            query::<D>(D::RETENTION.clear_acceptances)
                .text(&json_text(&ids)?)
                .id(organization.as_uuid())
                .execute(&mut transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Clears what a retry shows of the ticket. Returns whether there was something.
pub(super) fn clear_shown(shown: &mut AnswerSnapshot) -> bool {
    let ticket = shown.ticket.as_mut();
    ticket.is_some_and(|ticket| {
        let (seat, note) = (ticket.seat.take(), ticket.note.take());
        seat.is_some() || note.is_some()
    })
}

//! Tells of conflicts, in the transaction that opened them.

use super::enqueue::body_text;
use super::{NewDelivery, insert_deliveries, lock_active};
use crate::model::{DeliveryId, DeviceId, EventId, OrganizationId, ScanId, Timestamp, Webhook, WebhookType};
use crate::store::StoreError;
use crate::store::sql::lookup::IdLookup;
use crate::store::sql::sync::conflicts::conflict;
use crate::store::sql::{Dialect, Row, query};
use crate::sync::Conflict;

/// Tells of the conflicts that scans have lost, each once. The scans are on record.
pub(crate) async fn enqueue_conflicts<D: Dialect>(
    organization: OrganizationId,
    scans: impl Iterator<Item = ScanId>,
    at: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let scans: Vec<_> = scans.map(|scan| IdLookup::new(scan.as_uuid())).collect();
    let Some(webhooks) = listeners::<D>(organization, &scans, connection).await? else {
        return Ok(());
    };
    let rows = query::<D>(D::SQL.webhook_conflicts)
        .json(&scans)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?;
    tell::<D>(organization, &webhooks, &rows, at, connection).await
}

/// Tells of scans of a device that are in quarantine, each once.
pub(crate) async fn enqueue_quarantined<D: Dialect>(
    organization: OrganizationId,
    device: DeviceId,
    scans: impl Iterator<Item = ScanId>,
    at: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let scans: Vec<_> = scans.map(|scan| IdLookup::new(scan.as_uuid())).collect();
    let Some(webhooks) = listeners::<D>(organization, &scans, connection).await? else {
        return Ok(());
    };
    let rows = query::<D>(D::SQL.webhook_quarantined)
        .json(&scans)
        .id(organization.as_uuid())
        .id(device.as_uuid())
        .fetch_all(connection)
        .await?;
    tell::<D>(organization, &webhooks, &rows, at, connection).await
}

/// The active webhooks, if there is something to tell and one that wants it.
async fn listeners<D: Dialect>(
    organization: OrganizationId,
    scans: &[IdLookup],
    connection: &mut D::Connection,
) -> Result<Option<Vec<Webhook>>, StoreError> {
    if scans.is_empty() {
        return Ok(None);
    }
    let mut webhooks = lock_active::<D>(organization, connection).await?;
    webhooks.retain(|webhook| webhook.types.include(WebhookType::ConflictOpened));
    Ok((!webhooks.is_empty()).then_some(webhooks))
}

async fn tell<D: Dialect>(
    organization: OrganizationId,
    webhooks: &[Webhook],
    rows: &[Row<D>],
    at: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let kind = WebhookType::ConflictOpened;
    let mut deliveries = Vec::new();
    for row in rows {
        let event: EventId = row.id("event_id")?;
        let conflict = conflict(row)?;
        for webhook in webhooks.iter().filter(|webhook| webhook.wants(kind, Some(event))) {
            let told = Conflict {
                ticket_code: conflict.ticket_code.filter(|_| webhook.codes),
                ..conflict.clone()
            };
            let scan = conflict.other_scan_id;
            let what = format!("{kind}/{}", conflict.kind.as_str());
            deliveries.push(NewDelivery {
                id: DeliveryId::of(webhook.id, &what, scan.as_uuid()),
                webhook: webhook.id,
                kind,
                body: body_text(kind, at, &told)?,
                event: Some(event),
                scan: Some(scan),
                ticket: None,
                sequence: 0,
            });
        }
    }
    insert_deliveries::<D>(organization, &deliveries, connection).await?;
    Ok(())
}

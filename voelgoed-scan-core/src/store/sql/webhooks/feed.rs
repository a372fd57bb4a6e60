//! Writes what the entries of a feed tell a webhook.
//!
//! The entries are read before the transaction, so that it locks nothing for longer than it writes. It then checks that the
//! webhook is still told the same, and that no other node has read the entries.

use super::{NewDelivery, consumer, insert_deliveries, lock_active};
use crate::model::webhook::told::{ToldScan, kind_of_entry};
use crate::model::{DeliveryId, EventId, Webhook, WebhookType};
use crate::store::sql::background::advance_cursor;
use crate::store::sql::feed::{EveryEntry, every_entry_after};
use crate::store::sql::webhooks::enqueue::body_text;
use crate::store::sql::{Dialect, Sql, query, statement};
use crate::store::webhooks::{FeedPage, WebhookStore as _};
use crate::store::{StoreError, WebhookKey};

pub(super) async fn read_page<D: Dialect>(
    key: WebhookKey,
    event: EventId,
    limit: usize,
    sql: &Sql<D>,
) -> Result<FeedPage, StoreError> {
    let WebhookKey {
        organization_id,
        webhook_id,
    } = key;
    let Some(webhook) = sql.webhook(organization_id, webhook_id).await? else {
        return Ok(FeedPage::End);
    };
    if !wants_scans(&webhook) {
        return Ok(FeedPage::End);
    }
    let consumer = consumer(webhook_id);
    let mut connection = sql.read().await?;
    let row = query::<D>(statement!("webhooks/cursor.sql"))
        .id(organization_id.as_uuid())
        .text(&consumer)
        .id(event.as_uuid())
        .fetch_optional(&mut connection)
        .await?;
    let from = row.map_or(Ok(0), |row| row.int("position"))?;
    let is_event_wanted = WebhookType::ALL
        .iter()
        .any(|kind| kind.is_scan() && webhook.wants(*kind, Some(event)));
    let (to, entries, has_more, deliveries) = if is_event_wanted {
        let page = every_entry_after::<D>(organization_id, event, from, limit, &mut connection).await?;
        let Some(page) = page else {
            return Ok(FeedPage::End);
        };
        let told = page.entries.iter();
        let told = told.filter_map(|entry| delivery(&webhook, entry).transpose());
        let deliveries: Vec<_> = told.collect::<Result<_, _>>()?;
        (page.last, page.entries.len(), page.has_more, deliveries)
    } else {
        let row = query::<D>(statement!("webhooks/feed_end.sql"))
            .id(organization_id.as_uuid())
            .id(event.as_uuid())
            .fetch_optional(&mut connection)
            .await?;
        let to = row.map_or(Ok(0), |row| row.int("last"))?;
        if to <= from {
            return Ok(FeedPage::End);
        }
        (to, 1, false, Vec::new())
    };
    drop(connection);
    let mut transaction = sql.write().await?;
    let present = lock_active::<D>(organization_id, &mut transaction).await?;
    let present = present.iter().find(|present| present.id == webhook_id);
    let is_same =
        |present: &&Webhook| present.types == webhook.types && present.event_ids == webhook.event_ids;
    if !present.is_some_and(|present| is_same(&present)) {
        return Ok(FeedPage::Lost);
    }
    if !advance_cursor::<D>(&mut transaction, organization_id, &consumer, event, from, to).await? {
        return Ok(FeedPage::Lost);
    }
    let deliveries = insert_deliveries::<D>(organization_id, &deliveries, &mut transaction).await?;
    transaction.commit().await?;
    Ok(FeedPage::Read {
        entries,
        deliveries,
        has_more,
    })
}

fn wants_scans(webhook: &Webhook) -> bool {
    webhook.status == crate::model::WebhookStatus::Active && webhook.types.include_scans()
}

/// What an entry tells a webhook, if it wants it.
fn delivery(webhook: &Webhook, entry: &EveryEntry) -> Result<Option<NewDelivery>, StoreError> {
    let record = &entry.record;
    let kind = kind_of_entry(record, entry.is_change);
    let Some(kind) = kind.filter(|kind| webhook.wants(*kind, Some(record.event_id))) else {
        return Ok(None);
    };
    let told = ToldScan::new(record, kind, webhook.codes);
    Ok(Some(NewDelivery {
        id: DeliveryId::of(webhook.id, kind.as_str(), record.scan_id.as_uuid()),
        webhook: webhook.id,
        kind,
        body: body_text(kind, told.at(), &told)?,
        event: Some(record.event_id),
        scan: Some(record.scan_id),
        ticket: record.ticket_id.filter(|_| kind != WebhookType::ScanDenied),
        sequence: entry.position,
    }))
}

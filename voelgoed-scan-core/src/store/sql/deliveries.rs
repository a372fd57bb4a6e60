//! Leases and results of webhook deliveries.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use uuid::fmt::Simple;

use crate::model::{DisabledReason, Timestamp};
use crate::store::sql::retry::retry_contended;
use crate::store::sql::webhooks::now;
use crate::store::sql::{Dialect, Row, Sql, query, statement};
use crate::store::{
    ClaimedDeliveries, ClaimedDelivery, DeliveryStore, DeliveryTurn, SettledDelivery, Settlement, StoreError,
    TicketPlace, WebhookKey,
};

/// For how long all attempts of a webhook fail until it is disabled.
const FAILING_AFTER: Duration = Duration::from_hours(5 * 24);

#[async_trait]
impl<D: Dialect> DeliveryStore for Sql<D> {
    async fn due_webhooks(&self, limit: u16) -> Result<Vec<WebhookKey>, StoreError> {
        let mut connection = self.read().await?;
        let now = now::<D>(&mut connection).await?;
        let rows = query::<D>(statement!("deliveries/due_webhooks.sql"))
            .time(now)
            .int(limit.into())
            .fetch_all(&mut connection)
            .await?;
        let key = |row: &Row<D>| {
            Ok(WebhookKey {
                organization_id: row.id("organization_id")?,
                webhook_id: row.id("id")?,
            })
        };
        rows.iter().map(key).collect()
    }

    async fn take_delivery_turn(
        &self,
        webhook: WebhookKey,
        turn: DeliveryTurn<'_>,
    ) -> Result<Option<ClaimedDeliveries>, StoreError> {
        retry_contended("delivery turn", || async move {
            let mut transaction = self.write().await?;
            let now = now::<D>(&mut transaction).await?;
            if !turn.settled.is_empty() {
                settle::<D>(webhook, turn, now, &mut transaction).await?;
            }
            let claimed = if turn.limit == 0 {
                None
            } else {
                claim::<D>(webhook, turn, now, &mut transaction).await?
            };
            transaction.commit().await?;
            Ok(claimed)
        })
        .await
    }

    async fn all_pending_deliveries(&self) -> Result<u64, StoreError> {
        let row = query::<D>(statement!("deliveries/count_pending.sql"))
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.map_or(Ok(0), |row| row.number("pending"))
    }
}

/// A settled delivery, as the statement reads it.
#[derive(Serialize)]
struct SettledRow {
    i: Simple,
    s: &'static str,
    n: Option<i64>,
    a: u8,
    c: Option<u16>,
    e: Option<&'static str>,
}

/// A ticket whose deliveries wait for one of them.
#[derive(Serialize)]
struct WaitingTicket {
    t: Simple,
    q: i64,
    n: i64,
}

/// Writes the results of a turn. The webhook comes before its deliveries, as everywhere.
async fn settle<D: Dialect>(
    webhook: WebhookKey,
    turn: DeliveryTurn<'_>,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    note_results::<D>(webhook, turn.settled, now, connection).await?;
    let rows: Vec<_> = turn.settled.iter().map(settled_row).collect();
    query::<D>(D::SQL.settle_deliveries)
        .json(&rows)
        .id(webhook.organization_id.as_uuid())
        .id(&turn.node)
        .time(now)
        .execute(&mut *connection)
        .await?;
    let waiting: Vec<_> = turn.settled.iter().filter_map(waiting_ticket).collect();
    if !waiting.is_empty() {
        query::<D>(D::SQL.delay_following_deliveries)
            .json(&waiting)
            .id(webhook.organization_id.as_uuid())
            .id(webhook.webhook_id.as_uuid())
            .time(now)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Notes on the webhook whether its receiver answers.
async fn note_results<D: Dialect>(
    webhook: WebhookKey,
    settled: &[SettledDelivery],
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let has = |is: fn(Settlement) -> bool| settled.iter().any(|settled| is(settled.settlement));
    if has(|settlement| settlement == Settlement::Gone) {
        note_failure::<D>(webhook, DisabledReason::Gone, Duration::ZERO, now, connection).await
    } else if has(|settlement| settlement == Settlement::Delivered) {
        query::<D>(statement!("deliveries/note_success.sql"))
            .id(webhook.organization_id.as_uuid())
            .id(webhook.webhook_id.as_uuid())
            .execute(connection)
            .await?;
        Ok(())
    } else if has(|settlement| settlement != Settlement::Released) {
        note_failure::<D>(webhook, DisabledReason::Failing, FAILING_AFTER, now, connection).await
    } else {
        Ok(())
    }
}

/// Notes that attempts failed, and disables a webhook that has had only failures for as long as `after`.
async fn note_failure<D: Dialect>(
    webhook: WebhookKey,
    reason: DisabledReason,
    after: Duration,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>(statement!("deliveries/note_failure.sql"))
        .id(webhook.organization_id.as_uuid())
        .id(webhook.webhook_id.as_uuid())
        .time(now)
        .execute(&mut *connection)
        .await?;
    query::<D>(statement!("deliveries/disable.sql"))
        .id(webhook.organization_id.as_uuid())
        .id(webhook.webhook_id.as_uuid())
        .text(reason.as_str())
        .time(now)
        .time(now.minus(after))
        .execute(connection)
        .await?;
    Ok(())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn settled_row(settled: &SettledDelivery) -> SettledRow {
    let (status, next_attempt, was_attempted) = match settled.settlement {
        Settlement::Delivered => ("delivered", None, true),
        Settlement::Retry(wait) => ("pending", Some(millis(wait)), true),
        Settlement::Failed | Settlement::Gone => ("failed", None, true),
        Settlement::Released => ("pending", None, false),
    };
    SettledRow {
        i: settled.id.as_uuid().simple(),
        s: status,
        n: next_attempt,
        a: u8::from(was_attempted),
        c: settled.status,
        e: settled.error,
    }
}

fn waiting_ticket(settled: &SettledDelivery) -> Option<WaitingTicket> {
    match (settled.place, settled.settlement) {
        (Some(place), Settlement::Retry(wait)) => Some(WaitingTicket {
            t: place.ticket_id.as_uuid().simple(),
            q: place.sequence,
            n: millis(wait),
        }),
        _ => None,
    }
}

async fn claim<D: Dialect>(
    webhook: WebhookKey,
    turn: DeliveryTurn<'_>,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<Option<ClaimedDeliveries>, StoreError> {
    let target = query::<D>(statement!("deliveries/find_target.sql"))
        .id(webhook.organization_id.as_uuid())
        .id(webhook.webhook_id.as_uuid())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(target) = target else {
        return Ok(None);
    };
    let rows = query::<D>(D::SQL.claim_deliveries)
        .id(webhook.organization_id.as_uuid())
        .id(webhook.webhook_id.as_uuid())
        .id(&turn.node)
        .time(now)
        .int(millis(turn.lease))
        .int(turn.limit.into())
        .fetch_all(connection)
        .await?;
    let former_secret = match target.opt_time("former_secret_until")? {
        Some(until) if until > now => Some(target.blob("former_secret")?),
        _ => None,
    };
    Ok(Some(ClaimedDeliveries {
        url: target.text("url")?,
        secret: target.blob("secret")?,
        former_secret,
        deliveries: rows.iter().map(claimed).collect::<Result<_, _>>()?,
    }))
}

fn claimed<D: Dialect>(row: &Row<D>) -> Result<ClaimedDelivery, StoreError> {
    let sequence = row.int("sequence")?;
    Ok(ClaimedDelivery {
        id: row.id("id")?,
        body: row.text("body")?,
        attempts: row.number("attempts")?,
        place: row
            .opt_id("ticket_id")?
            .map(|ticket_id| TicketPlace { ticket_id, sequence }),
    })
}

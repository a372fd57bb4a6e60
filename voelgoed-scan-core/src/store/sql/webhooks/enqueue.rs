//! Writes deliveries in the transaction of what they tell.

use serde::Serialize;
use uuid::Uuid;
use uuid::fmt::Simple;

use super::lock_active;
use crate::model::webhook::told::body;
use crate::model::{
    DeliveryId, EventId, OrganizationId, ScanId, TicketId, Timestamp, WebhookId, WebhookType,
};
use crate::store::StoreError;
use crate::store::sql::{Dialect, query};

/// A delivery to write.
pub(super) struct NewDelivery {
    pub(super) id: DeliveryId,
    pub(super) webhook: WebhookId,
    pub(super) kind: WebhookType,
    pub(super) body: String,
    pub(super) event: Option<EventId>,
    pub(super) scan: Option<ScanId>,
    /// Set where the order of what is told about a ticket matters.
    pub(super) ticket: Option<TicketId>,
    pub(super) sequence: i64,
}

#[derive(Serialize)]
struct DeliveryRow<'a> {
    k: Simple,
    w: Simple,
    r#type: WebhookType,
    body: &'a str,
    e: Option<Simple>,
    s: Option<Simple>,
    t: Option<Simple>,
    q: i64,
}

/// Tells the webhooks of an organization that want it, in the transaction of what happened. Returns how many.
///
/// `event` is the event that it belongs to, `at` is when it happened, and `data` is the `data` of the body. The bodies have no
/// ticket codes, so `data` must not have any. Each call tells it: the caller makes sure that it happened once.
pub(crate) async fn enqueue<D: Dialect>(
    connection: &mut D::Connection,
    organization: OrganizationId,
    event: Option<EventId>,
    kind: WebhookType,
    at: Timestamp,
    data: &impl Serialize,
) -> Result<u64, StoreError> {
    let webhooks = lock_active::<D>(organization, connection).await?;
    let mut deliveries = Vec::new();
    for webhook in webhooks.iter().filter(|webhook| webhook.wants(kind, event)) {
        deliveries.push(NewDelivery {
            id: DeliveryId::generate(at),
            webhook: webhook.id,
            kind,
            body: body_text(kind, at, data)?,
            event,
            scan: None,
            ticket: None,
            sequence: 0,
        });
    }
    insert_deliveries::<D>(organization, &deliveries, connection).await
}

/// The body of a delivery.
pub(super) fn body_text(
    kind: WebhookType,
    at: Timestamp,
    data: &impl Serialize,
) -> Result<String, StoreError> {
    body(kind, at, data).map_err(|error| StoreError::Failed {
        reason: error.to_string(),
        source: Some(error.into()),
    })
}

/// Inserts deliveries, except those whose id exists. Returns how many were inserted.
pub(super) async fn insert_deliveries<D: Dialect>(
    organization: OrganizationId,
    deliveries: &[NewDelivery],
    connection: &mut D::Connection,
) -> Result<u64, StoreError> {
    if deliveries.is_empty() {
        return Ok(0);
    }
    let simple = |id: &Uuid| id.simple();
    let rows: Vec<_> = deliveries
        .iter()
        .map(|delivery| DeliveryRow {
            k: delivery.id.as_uuid().simple(),
            w: delivery.webhook.as_uuid().simple(),
            r#type: delivery.kind,
            body: &delivery.body,
            e: delivery.event.as_ref().map(EventId::as_uuid).map(simple),
            s: delivery.scan.as_ref().map(ScanId::as_uuid).map(simple),
            t: delivery.ticket.as_ref().map(TicketId::as_uuid).map(simple),
            q: delivery.sequence,
        })
        .collect();
    query::<D>(D::SQL.insert_webhook_deliveries)
        .json(&rows)
        .id(organization.as_uuid())
        .execute(connection)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::webhook::told::MAX_BODY_BYTES;
    use crate::model::{NamedGate, ScanSession};
    use crate::rules::ConflictKind;
    use crate::sync::{Conflict, NamedDevice};

    fn id<T: From<Uuid>>(number: u128) -> T {
        Uuid::from_u128(number).into()
    }

    #[test]
    fn a_conflict_with_the_longest_names_fits_into_a_body() {
        // Four bytes are the most that a character of a name takes.
        let name = "𝕏".repeat(crate::model::Name::MAX);
        let at = Timestamp::from_millis(1_795_370_400_000);
        let gate = |number| NamedGate {
            id: id(number),
            name: name.clone(),
        };
        let device = |number| NamedDevice {
            id: id(number),
            name: name.clone(),
        };
        let conflict = Conflict {
            kind: ConflictKind::LetInDespiteStatus,
            winner_scan_id: Some(id(1)),
            other_scan_id: id(2),
            ticket_code: "3KQR7F924M1XaB0z".parse().ok(),
            gates: vec![gate(3), gate(4)],
            devices: vec![device(5), device(6)],
            times: vec![at, at],
        };
        let body = body_text(WebhookType::ConflictOpened, at, &conflict).expect("JSON");
        assert!(body.contains(&name));
        assert!(body.len() < MAX_BODY_BYTES / 2, "{}", body.len());
    }

    #[test]
    fn a_session_fits_into_a_body() {
        let at = Timestamp::from_millis(1_795_370_400_000);
        let session = ScanSession {
            id: id(1),
            organization_id: id(2),
            device_id: id(3),
            event_id: id(4),
            gate_id: id(5),
            status: crate::model::SessionStatus::Ended,
            started_at: at,
            ended_at: Some(at),
            scan_count: u64::MAX,
        };
        let body = body_text(WebhookType::SessionEnded, at, &session).expect("JSON");
        assert!(body.len() < 1024, "{}", body.len());
        let value: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(value["type"], "session.ended");
        assert_eq!(value["timestamp"], "2026-11-22T18:00:00.000Z");
        assert_eq!(value["data"]["id"], "00000000-0000-0000-0000-000000000001");
    }
}

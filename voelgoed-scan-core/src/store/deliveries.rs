//! What the sender of webhooks needs: the deliveries that are due, leases on them, and their results.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::model::{DeliveryId, TicketId};
use crate::store::{StoreError, WebhookKey};

/// Deliveries that a node has leased, and what it needs to send them.
#[derive(Debug, Clone)]
pub struct ClaimedDeliveries {
    /// Where they are sent.
    pub url: String,
    /// The encrypted secret.
    pub secret: Vec<u8>,
    /// The encrypted secret of before the last rotation, while it signs as well.
    pub former_secret: Option<Vec<u8>>,
    /// The deliveries.
    pub deliveries: Vec<ClaimedDelivery>,
}

/// A delivery that a node has leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// The body of the request.
    pub body: String,
    /// How many attempts have failed.
    pub attempts: u32,
    /// Where it stands among the deliveries of a ticket; `None` if it has no place.
    pub place: Option<TicketPlace>,
}

/// The place of a delivery among those of its ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketPlace {
    /// The ticket.
    pub ticket_id: TicketId,
    /// Lower ones come first.
    pub sequence: i64,
}

/// How the attempt of a leased delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// Its place.
    pub place: Option<TicketPlace>,
    /// What follows.
    pub settlement: Settlement,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why the attempt failed.
    pub error: Option<&'static str>,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// The receiver has it.
    Delivered,
    /// It is tried again after this time.
    Retry(Duration),
    /// It is not tried again.
    Failed,
    /// It is not tried again, and the receiver wants nothing more.
    Gone,
    /// It was not sent. The next node may send it at once.
    Released,
}

/// One turn of a node at a webhook.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryTurn<'a> {
    /// The node, which holds the leases.
    pub node: Uuid,
    /// How the attempts of leased deliveries ended.
    pub settled: &'a [SettledDelivery],
    /// How many deliveries to lease at most.
    pub limit: u16,
    /// How long a lease holds.
    pub lease: Duration,
}

/// The deliveries of webhooks. Leases hold and deliveries are due by the clock of the database, because the clocks of the
/// nodes may differ.
///
/// Invariants:
/// - A delivery is leased by one node at a time.
/// - Of the deliveries with a place of one ticket to one webhook, only the first pending one is leased.
/// - The result of an attempt counts only while the node still has the lease.
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// Active webhooks with deliveries that are due, at most `limit`, in a random order. Those that wait for a lease or for
    /// an earlier one of their ticket count.
    async fn due_webhooks(&self, limit: u16) -> Result<Vec<WebhookKey>, StoreError>;

    /// Writes how attempts ended, and leases the next deliveries, in one transaction. `None` if the webhook is gone or
    /// disabled, or if nothing was to be leased; the results are written nevertheless.
    ///
    /// A webhook whose receiver is gone, or whose attempts have all failed for five days, is disabled. Its pending
    /// deliveries remain to be given up.
    async fn take_delivery_turn(
        &self,
        webhook: WebhookKey,
        turn: DeliveryTurn<'_>,
    ) -> Result<Option<ClaimedDeliveries>, StoreError>;

    /// How many deliveries are pending, of all organizations.
    async fn all_pending_deliveries(&self) -> Result<u64, StoreError>;
}

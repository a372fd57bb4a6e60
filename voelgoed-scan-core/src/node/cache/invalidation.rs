//! Who must learn of a change? This node's memory at once, the tiers, the other nodes.
//!
//! Invariant: called after the change is durable and before it is answered, so that what was answered rules here.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::bus::Message;
use crate::model::{EventId, OrganizationId, TicketCode, Timestamp};
use crate::node::cache::identities::IdentityCache;
#[cfg(feature = "redis")]
use crate::node::cache::redis::RedisTier;
use crate::node::cache::tickets::TicketCache;

/// Spreads changes.
#[derive(Clone)]
pub(crate) struct Invalidator {
    pub(crate) memory: Arc<IdentityCache>,
    pub(crate) recent: Arc<TicketCache>,
    #[cfg(feature = "redis")]
    pub(crate) redis: Option<RedisTier>,
    pub(crate) outbox: Outbox,
}

/// What is to be told to the other nodes; without a bus it goes nowhere.
#[derive(Clone, Default)]
pub(crate) struct Outbox(pub(crate) Option<mpsc::UnboundedSender<Message>>);

impl Outbox {
    pub(crate) fn tell(&self, message: Message) {
        if let Some(sender) = &self.0 {
            // The other end is gone only when the process ends.
            let _ = sender.send(message);
        }
    }

    /// Whether there is somebody to tell.
    pub(crate) fn is_heard(&self) -> bool {
        self.0.is_some()
    }
}

impl Invalidator {
    /// Events, gates, devices, sessions or keys changed.
    pub(crate) fn facts(&self, organization: OrganizationId) {
        self.memory.forget(organization);
        self.outbox.tell(Message::Changed {
            organization_id: organization,
        });
    }

    /// Tickets changed otherwise than by an admission: what tiers hold of older versions no longer counts.
    pub(crate) async fn tickets(
        &self,
        organization: OrganizationId,
        tickets: &[(TicketCode, i64)],
        now: Timestamp,
    ) {
        for &(ticket_code, version) in tickets {
            self.recent.invalidate(organization, ticket_code, version, now);
            self.outbox.tell(Message::TicketInvalidated {
                organization_id: organization,
                ticket_code,
                version,
                at: now,
            });
        }
        self.bury_in_redis(organization, tickets, now).await;
    }

    /// An import changed tickets of an event.
    pub(crate) async fn imported(
        &self,
        organization: OrganizationId,
        event: EventId,
        tickets: &[(TicketCode, i64)],
        now: Timestamp,
    ) {
        if tickets.is_empty() {
            return;
        }
        self.recent.forget_event(organization, event);
        self.outbox.tell(Message::Imported {
            organization_id: organization,
            event_id: event,
        });
        self.bury_in_redis(organization, tickets, now).await;
    }

    #[cfg(feature = "redis")]
    async fn bury_in_redis(
        &self,
        organization: OrganizationId,
        tickets: &[(TicketCode, i64)],
        now: Timestamp,
    ) {
        if let Some(redis) = &self.redis {
            redis.invalidate(organization, tickets, now).await;
        }
    }

    #[cfg(not(feature = "redis"))]
    async fn bury_in_redis(&self, _: OrganizationId, _: &[(TicketCode, i64)], _: Timestamp) {}
}

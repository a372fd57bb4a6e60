//! Invalidates cached facts after a change: in this node's caches, in Redis, and on the other nodes.
//!
//! Invariant: called after the change is durable and before it is answered. Once a caller has the answer, this node decides
//! by the change.

use std::sync::Arc;

use crate::bus::{BusPublisher, Message};
use crate::model::{EventId, OrganizationId, TicketCode, Timestamp};
use crate::node::cache::identities::IdentityCache;
#[cfg(feature = "redis")]
use crate::node::cache::redis::RedisTicketCache;
use crate::node::cache::tickets::TicketCache;

/// Invalidates caches; cheap to clone.
#[derive(Clone)]
pub(crate) struct Invalidator {
    pub(crate) identity_cache: Arc<IdentityCache>,
    pub(crate) ticket_cache: Arc<TicketCache>,
    #[cfg(feature = "redis")]
    pub(crate) redis_cache: Option<RedisTicketCache>,
    pub(crate) publisher: BusPublisher,
}

impl Invalidator {
    /// Events, gates, devices, sessions or keys of an organization changed.
    pub(crate) fn facts_changed(&self, organization: OrganizationId) {
        self.identity_cache.invalidate(organization);
        self.publisher.publish(Message::FactsChanged {
            organization_id: organization,
        });
    }

    /// Tickets changed by something other than an admission. Each is given with its version after the change; older
    /// versions in the caches no longer count.
    pub(crate) async fn tickets_changed(
        &self,
        organization: OrganizationId,
        tickets: &[(TicketCode, i64)],
        now: Timestamp,
    ) {
        for &(ticket_code, version) in tickets {
            self.ticket_cache.invalidate(organization, ticket_code, version);
            self.publisher.publish(Message::TicketInvalidated {
                organization_id: organization,
                ticket_code,
                version,
                at: now,
            });
        }
        self.invalidate_in_redis(organization, tickets).await;
    }

    /// An import changed tickets of an event.
    pub(crate) async fn tickets_imported(
        &self,
        organization: OrganizationId,
        event: EventId,
        tickets: &[(TicketCode, i64)],
    ) {
        if tickets.is_empty() {
            return;
        }
        self.event_tickets_changed(organization, event);
        self.invalidate_in_redis(organization, tickets).await;
    }

    /// The scans of an event were cleared: what Redis keeps of them is deleted.
    pub(crate) async fn scans_cleared(&self, organization: OrganizationId, event: EventId) {
        self.clear_scans_in_redis(organization, event).await;
    }

    /// All tickets of an event changed. What Redis holds of them is refused by their change counter.
    pub(crate) fn event_tickets_changed(&self, organization: OrganizationId, event: EventId) {
        self.ticket_cache.invalidate_event(organization, event);
        self.publisher.publish(Message::TicketsImported {
            organization_id: organization,
            event_id: event,
        });
    }

    #[cfg(feature = "redis")]
    async fn invalidate_in_redis(&self, organization: OrganizationId, tickets: &[(TicketCode, i64)]) {
        if let Some(redis_cache) = &self.redis_cache {
            redis_cache.invalidate(organization, tickets).await;
        }
    }

    #[cfg(feature = "redis")]
    async fn clear_scans_in_redis(&self, organization: OrganizationId, event: EventId) {
        if let Some(redis_cache) = &self.redis_cache {
            redis_cache.delete_recent_scans(organization, event).await;
        }
    }

    #[cfg(not(feature = "redis"))]
    #[expect(clippy::unused_async, reason = "the signature of the build with Redis")]
    async fn invalidate_in_redis(&self, _: OrganizationId, _: &[(TicketCode, i64)]) {}

    #[cfg(not(feature = "redis"))]
    #[expect(clippy::unused_async, reason = "the signature of the build with Redis")]
    async fn clear_scans_in_redis(&self, _: OrganizationId, _: EventId) {}
}

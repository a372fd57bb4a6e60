//! Carries messages between the nodes of a cluster: over Redis, or over PostgreSQL where there is no Redis.
//!
//! Invariants:
//! - A message only makes a node query the database again, deny less, or show more. A lost message costs freshness,
//!   never correctness.
//! - A node knows that the bus works because it receives its own heartbeat. Every change also raises a change counter in
//!   the database, which each node polls, so that a node learns of changes whose message was lost.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod absent;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod liveness;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod wire;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use absent::AbsentBus;
#[cfg(feature = "redis")]
pub(crate) use redis::{PresentServer, recent_scans_key};
#[cfg(feature = "redis")]
pub use redis::{RedisConnection, RedisSetupError};

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::model::{EventId, EventOccupancy, OrganizationId, ScanId, ScanRecord, TicketCode, Timestamp};

/// How often a node publishes a [`Message::Heartbeat`].
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(200);

/// A message from one node to the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// The sender is alive.
    Heartbeat {
        /// Whether it receives the messages of the others.
        listening: bool,
    },
    /// The sender stops and answers no more scans.
    Leaving,
    /// The sender is about to let the database decide scans. A receiver lets no cache answer these ids and tickets from now
    /// on, records what its caches have answered for them, and confirms that.
    ScansClaimed {
        /// The sender.
        claimant: Uuid,
        /// The number of the claim at the sender.
        claim: u64,
        /// The organization.
        organization_id: OrganizationId,
        /// The ids of the scans.
        scan_ids: Vec<ScanId>,
        /// The tickets, where all of their scans are meant.
        ticket_codes: Vec<TicketCode>,
    },
    /// The sender has done what [`Message::ScansClaimed`] asks for.
    ClaimConfirmed {
        /// The sender.
        confirmer: Uuid,
        /// The node that claimed.
        claimant: Uuid,
        /// The number of the claim.
        claim: u64,
    },
    /// Scans were decided. A later scan with one of these ids is a retry.
    ScanIdsSeen {
        /// The organization.
        organization_id: OrganizationId,
        /// The ids of the scans.
        scan_ids: Vec<ScanId>,
    },
    /// Events, gates, devices, sessions or keys of an organization changed.
    FactsChanged {
        /// The organization.
        organization_id: OrganizationId,
    },
    /// An import changed tickets of an event.
    TicketsImported {
        /// The organization.
        organization_id: OrganizationId,
        /// The event.
        event_id: EventId,
    },
    /// A ticket changed by something other than an admission.
    TicketInvalidated {
        /// The organization.
        organization_id: OrganizationId,
        /// The ticket.
        ticket_code: TicketCode,
        /// The ticket's version after the change.
        version: i64,
        /// The time of the change.
        at: Timestamp,
    },
    /// A scan was recorded or undone.
    Scan(Box<ScanRecord>),
    /// A scan was recorded or undone; its record is in the database. The short form of [`Message::Scan`].
    ScanStored {
        /// The organization.
        organization_id: OrganizationId,
        /// The event.
        event_id: EventId,
        /// The scan.
        scan_id: ScanId,
    },
    /// The occupancy of an event.
    Occupancy {
        /// The organization.
        organization_id: OrganizationId,
        /// The event.
        event_id: EventId,
        /// The time of the change.
        at: Timestamp,
        /// The counts.
        occupancy: Box<EventOccupancy>,
    },
    /// The occupancy of an event changed; the counts are in the database. The short form of [`Message::Occupancy`].
    OccupancyChanged {
        /// The organization.
        organization_id: OrganizationId,
        /// The event.
        event_id: EventId,
        /// The time of the change.
        at: Timestamp,
    },
}

/// Identifies an event across organizations.
pub(crate) type EventKey = (OrganizationId, EventId);

/// The topic of an event's occupancy. Each message is an [`EventOccupancy`] as JSON with the additional field `node`, the
/// id of the sender.
#[must_use]
pub fn occupancy_topic(organization: OrganizationId, event: EventId) -> String {
    format!("occupancy:org:{organization}:event:{event}")
}

/// The topic of an event's scans. Each message is a [`ScanRecord`] as JSON with the additional field `node`, the id of the
/// sender. A subscriber receives every scan that is recorded after it subscribed. While a topic has no subscriber, not
/// every scan is published.
#[must_use]
pub fn scans_topic(organization: OrganizationId, event: EventId) -> String {
    format!("scans:org:{organization}:event:{event}")
}

/// A connection to the other nodes.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Publishes messages to the other nodes. A failure is logged; the messages are then lost.
    async fn publish(&self, messages: &[Message]);

    /// Receives the messages of the other nodes until the receiver is dropped. Reconnects after a failure; messages
    /// published in between are lost.
    fn listen(&self) -> mpsc::Receiver<Message>;

    /// Subscribes to the scans of an event.
    fn subscribe_scans(&self, organization: OrganizationId, event: EventId);

    /// Cancels the subscription to the scans of an event.
    fn unsubscribe_scans(&self, organization: OrganizationId, event: EventId);

    /// Waits, without a limit, until the subscription to the scans of an event is in effect.
    async fn scans_subscribed(&self, organization: OrganizationId, event: EventId);

    /// For how long this node has received its own [`Message::Heartbeat`] without a gap, and therefore the messages of the
    /// other nodes. `None` while the connection is down.
    fn connected_for(&self) -> Option<Duration>;

    /// The id of this node.
    fn node(&self) -> Uuid;

    /// The other nodes whose heartbeats arrived lately, and which receive messages.
    fn peers(&self) -> Vec<Uuid>;

    /// Whether the connection works now.
    fn is_up(&self) -> bool {
        self.connected_for().is_some()
    }
}

/// Queues messages for the task that publishes them; cheap to clone. Without a bus, messages are dropped.
#[derive(Clone)]
pub(crate) struct BusPublisher(Option<mpsc::UnboundedSender<Message>>);

impl BusPublisher {
    /// A publisher, and the queue that it fills. The publisher is disabled where there is no bus.
    pub(crate) fn channel(enabled: bool) -> (Self, mpsc::UnboundedReceiver<Message>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(enabled.then_some(sender)), receiver)
    }

    /// Queues a message. Never blocks.
    pub(crate) fn publish(&self, message: Message) {
        if let Some(sender) = &self.0 {
            // The receiver is dropped only when the process ends.
            let _ = sender.send(message);
        }
    }

    /// Whether there is a bus.
    pub(crate) fn is_enabled(&self) -> bool {
        self.0.is_some()
    }
}

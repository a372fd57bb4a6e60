//! How do nodes tell each other what happened? Messages over Redis, or over PostgreSQL where there is no Redis.
//!
//! Invariants: a message only ever makes a node ask the database again, deny less, or show more: losing one costs
//! freshness, never correctness. A node hears its own beat over the bus; one that does not reads the change counters of
//! the database instead, and one whose message the bus did not take says so there (`crate::node::cluster`).

#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(feature = "redis")]
pub(crate) mod redis_connection;

#[cfg(feature = "redis")]
pub use redis_connection::{InvalidRedisUrl, RedisConnection};

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::model::{EventId, EventOccupancy, OrganizationId, ScanId, ScanRecord, TicketCode, Timestamp};

/// What a node tells the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Message {
    /// A node and its way to the others live.
    Heartbeat,
    /// Scans were decided: their ids are known from now on.
    Seen {
        /// Whose.
        organization_id: OrganizationId,
        /// Which.
        scan_ids: Vec<ScanId>,
    },
    /// Events, gates, devices, sessions or keys of an organization changed.
    Changed {
        /// Whose.
        organization_id: OrganizationId,
    },
    /// Tickets of an event were changed by an import.
    Imported {
        /// Whose.
        organization_id: OrganizationId,
        /// Which event's.
        event_id: EventId,
    },
    /// A ticket changed otherwise than by an admission.
    TicketInvalidated {
        /// Whose.
        organization_id: OrganizationId,
        /// Which ticket.
        ticket_code: TicketCode,
        /// The version it has now.
        version: i64,
        /// When.
        at: Timestamp,
    },
    /// A scan was recorded, or undone.
    Scan(Box<ScanRecord>),
    /// A scan was recorded, or undone: the database has it.
    Scanned {
        /// Whose.
        organization_id: OrganizationId,
        /// Which event's.
        event_id: EventId,
        /// Which scan.
        scan_id: ScanId,
    },
    /// People moved: the database knows how many are inside.
    Moved {
        /// Whose.
        organization_id: OrganizationId,
        /// Which event.
        event_id: EventId,
        /// When.
        at: Timestamp,
    },
    /// How many are inside an event now.
    Occupancy {
        /// Whose.
        organization_id: OrganizationId,
        /// Which event.
        event_id: EventId,
        /// When.
        at: Timestamp,
        /// How many.
        occupancy: Box<EventOccupancy>,
    },
}

/// An event of an organization.
pub(crate) type Place = (OrganizationId, EventId);

/// The topic on which an event's occupancy is told: [`EventOccupancy`] as JSON, and `node`, which sent it.
#[must_use]
pub fn occupancy_topic(organization: OrganizationId, event: EventId) -> String {
    format!("occupancy:org:{organization}:event:{event}")
}

/// The topic on which an event's scans are told: [`ScanRecord`] as JSON, and `node`, which sent it. Who subscribes is told
/// all that is recorded from then on; while nobody does, not every scan is published.
#[must_use]
pub fn scans_topic(organization: OrganizationId, event: EventId) -> String {
    format!("scans:org:{organization}:event:{event}")
}

/// A way to the other nodes.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Tells the other nodes; whether the bus took it.
    async fn publish(&self, messages: &[Message]) -> bool;

    /// Starts to listen: everything the other nodes tell, for as long as the receiver lives. Reconnects by itself.
    fn listen(&self) -> mpsc::Receiver<Message>;

    /// Asks for the scans of an event, or no longer.
    fn want_scans(&self, organization: OrganizationId, event: EventId, wanted: bool);

    /// Waits until the scans of an event that are asked for come in; for as long as that takes.
    async fn hears_scans(&self, organization: OrganizationId, event: EventId);

    /// For how long this node has heard its own [`Message::Heartbeat`], and so the others; `None` while it does not.
    fn heard_for(&self) -> Option<Duration>;

    /// Whether it carries messages now.
    fn is_up(&self) -> bool {
        self.heard_for().is_some()
    }
}

/// Since when a node has heard itself over the bus, and when it last did.
#[derive(Debug, Default)]
pub(crate) struct Liveness(Mutex<Option<(Instant, Instant)>>);

#[cfg_attr(
    not(any(feature = "postgres", feature = "redis")),
    expect(dead_code, reason = "SQLite is one node's: there is no bus to be heard over")
)]
impl Liveness {
    /// How often a node tells that it lives.
    pub(crate) const BEAT: Duration = Duration::from_millis(200);
    /// After how long without hearing itself a node takes the bus for dead.
    const PATIENCE: Duration = Duration::from_millis(450);

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn felt(&self) {
        let now = Instant::now();
        let mut felt = self.lock();
        let since = felt.filter(|(_, last)| now - *last < Self::PATIENCE);
        *felt = Some((since.map_or(now, |(since, _)| since), now));
    }

    pub(crate) fn lost(&self) {
        *self.lock() = None;
    }

    /// For how long it has been felt without a gap.
    pub(crate) fn age(&self) -> Option<Duration> {
        let (since, last) = (*self.lock())?;
        let now = Instant::now();
        (now - last < Self::PATIENCE).then(|| now - since)
    }
}

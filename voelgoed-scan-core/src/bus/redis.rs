//! The bus over Redis publish and subscribe.
//!
//! Changes use one internal channel. Scans and occupancy use one topic per event, so that the platform can subscribe too.
//! One connection publishes (`publisher.rs`), another receives (`listener.rs`); both reconnect after a failure.

mod address;
mod connection;
mod listener;
mod publisher;
mod sentinels;
mod server;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::bus::liveness::Liveness;
use crate::bus::wire::{RECEIVE_CAPACITY, RECONNECT_INTERVAL, new_node_id};
use crate::bus::{Bus, EventKey, Message, scans_topic};
use crate::model::{EventId, OrganizationId};

pub use connection::{RedisConnection, RedisSetupError};
use listener::{Listener, ScanSubscriptions};
use publisher::MessagesByTopic;
pub(crate) use publisher::recent_scans_key;
pub(crate) use server::PresentServer;

/// The channel of changes.
const CHANGES_CHANNEL: &str = "voelgoed:changes";

/// A JSON object with the sender's id before its own fields. A subscriber of a topic may ignore the field.
fn with_sender(node: Uuid, object: &str) -> String {
    let fields = object.strip_prefix('{').unwrap_or(object);
    format!("{{\"node\":\"{node}\",{fields}")
}

/// The bus over Redis.
struct RedisBus {
    node: Uuid,
    server: PresentServer,
    /// For how long the latest scans of an event are kept after the last one.
    recent_scans_ttl_millis: i64,
    /// Events whose scan topic had a subscriber at the last publication.
    events_with_subscribers: Mutex<HashSet<EventKey>>,
    scan_subscriptions: Arc<ScanSubscriptions>,
    liveness: Arc<Liveness>,
}

impl RedisBus {
    fn new(server: PresentServer, window: Duration) -> Self {
        Self {
            node: new_node_id(),
            server,
            recent_scans_ttl_millis: i64::try_from(window.as_millis()).unwrap_or(i64::MAX).max(1),
            events_with_subscribers: Mutex::default(),
            scan_subscriptions: Arc::default(),
            liveness: Arc::default(),
        }
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, messages: &[Message]) {
        if let Err(error) = self.publish_by_topic(&MessagesByTopic::group(messages)).await {
            tracing::debug!(%error, "messages could not be published");
        }
    }

    fn listen(&self) -> mpsc::Receiver<Message> {
        let (sender, receiver) = mpsc::channel(RECEIVE_CAPACITY);
        let listener = Listener {
            node: self.node,
            server: self.server.clone(),
            subscriptions: Arc::clone(&self.scan_subscriptions),
            liveness: Arc::clone(&self.liveness),
            sender,
        };
        tokio::spawn(async move {
            while !listener.sender.is_closed() {
                if let Err(error) = listener.listen_once().await {
                    tracing::debug!(%error, "the bus is down");
                }
                listener.subscriptions.clear_confirmed();
                listener.liveness.reset();
                tokio::time::sleep(RECONNECT_INTERVAL).await;
            }
        });
        receiver
    }

    fn subscribe_scans(&self, organization: OrganizationId, event: EventId) {
        self.scan_subscriptions.add(scans_topic(organization, event));
    }

    fn unsubscribe_scans(&self, organization: OrganizationId, event: EventId) {
        self.scan_subscriptions.remove(&scans_topic(organization, event));
    }

    async fn scans_subscribed(&self, organization: OrganizationId, event: EventId) {
        self.scan_subscriptions
            .confirmed(&scans_topic(organization, event))
            .await;
    }

    fn connected_for(&self) -> Option<Duration> {
        self.liveness.connected_for()
    }

    fn node(&self) -> Uuid {
        self.node
    }

    fn peers(&self) -> Vec<Uuid> {
        self.liveness.peers()
    }
}

//! Receives messages from the topics of Redis, and keeps the subscriptions to scan topics up to date.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use redis::aio::{PubSubSink, PubSubStream};
use serde::Deserialize;
use tokio::sync::{Notify, mpsc, watch};
use uuid::Uuid;

use crate::bus::Message;
use crate::bus::liveness::Liveness;
use crate::bus::redis::{CHANGES_CHANNEL, PresentServer, with_sender};
use crate::bus::wire::Envelope;
use crate::model::{EventOccupancy, ScanRecord, Timestamp};

/// The pattern of all occupancy topics.
const OCCUPANCY_PATTERN: &str = "occupancy:org:*";

/// The maximal length of a heartbeat on the channel of changes, in bytes. Every other message that a node ignores where it
/// is its own is longer.
const MAX_HEARTBEAT_LEN: usize = 100;

/// The scan topics that this node subscribes to.
#[derive(Default)]
pub(super) struct ScanSubscriptions {
    topics: watch::Sender<Topics>,
    changed: Notify,
}

#[derive(Default)]
struct Topics {
    requested: HashSet<String>,
    /// The requested topics whose subscription Redis has confirmed.
    confirmed: HashSet<String>,
}

impl ScanSubscriptions {
    pub(super) fn add(&self, topic: String) {
        if self
            .topics
            .send_if_modified(|topics| topics.requested.insert(topic))
        {
            self.changed.notify_one();
        }
    }

    pub(super) fn remove(&self, topic: &str) {
        let changed = self.topics.send_if_modified(|topics| {
            // Removed now and not after Redis unsubscribed: the next `confirmed` must wait for a new subscription.
            topics.confirmed.remove(topic);
            topics.requested.remove(topic)
        });
        if changed {
            self.changed.notify_one();
        }
    }

    /// Waits until Redis has confirmed the subscription to a topic.
    pub(super) async fn confirmed(&self, topic: &str) {
        // The sender lives as long as the bus, so that the wait ends only when the topic is confirmed.
        let _ = self
            .topics
            .subscribe()
            .wait_for(|topics| topics.confirmed.contains(topic))
            .await;
    }

    /// Forgets all confirmations, after the connection was lost.
    pub(super) fn clear_confirmed(&self) {
        self.topics.send_modify(|topics| topics.confirmed.clear());
    }

    /// Subscribes to the topics that were requested since the last call, and unsubscribes from those no longer requested.
    async fn apply(&self, sink: &mut PubSubSink, subscribed: &mut HashSet<String>) -> redis::RedisResult<()> {
        let requested = self.topics.borrow().requested.clone();
        for topic in requested.difference(subscribed) {
            sink.subscribe(topic).await?;
        }
        for topic in subscribed.difference(&requested) {
            sink.unsubscribe(topic).await?;
        }
        self.topics.send_modify(|topics| {
            topics.confirmed = requested.intersection(&topics.requested).cloned().collect();
        });
        *subscribed = requested;
        Ok(())
    }
}

/// The receiving side of the bus.
pub(super) struct Listener {
    pub(super) node: Uuid,
    pub(super) server: PresentServer,
    pub(super) subscriptions: Arc<ScanSubscriptions>,
    pub(super) liveness: Arc<Liveness>,
    pub(super) sender: mpsc::Sender<Message>,
}

impl Listener {
    /// Receives messages over one connection, until it is lost, another server takes its place or the receiver is dropped.
    pub(super) async fn listen_once(&self) -> redis::RedisResult<()> {
        let (client, mut replacement) = self.server.client()?;
        let (mut sink, mut stream): (PubSubSink, PubSubStream) = client.get_async_pubsub().await?.split();
        sink.subscribe(CHANGES_CHANNEL).await?;
        sink.psubscribe(OCCUPANCY_PATTERN).await?;
        let mut subscribed = HashSet::new();
        self.subscriptions.apply(&mut sink, &mut subscribed).await?;
        loop {
            tokio::select! {
                message = stream.next() => {
                    let Some(message) = message else { return Ok(()) };
                    let topic = message.get_channel_name().to_owned();
                    let payload = message.get_payload_bytes();
                    let Some(message) = parse(&topic, payload, self.node, &self.liveness) else { continue };
                    if self.sender.send(message).await.is_err() {
                        return Ok(());
                    }
                }
                () = replacement.replaced() => return Ok(()),
                () = self.subscriptions.changed.notified() => {
                    self.subscriptions.apply(&mut sink, &mut subscribed).await?;
                }
            }
        }
    }
}

/// The sender of a message on a topic. The platform may publish without one.
#[derive(Deserialize)]
struct Sender {
    node: Option<Uuid>,
}

/// Parses a message. Returns `None` for a message of this node, for a heartbeat, which goes to `liveness`, and for a message
/// that this version does not know.
fn parse(topic: &str, payload: &[u8], node: Uuid, liveness: &Liveness) -> Option<Message> {
    if topic == CHANGES_CHANNEL {
        // Most messages that a busy node receives are its own. The prefix tells, without parsing the rest.
        if payload.len() > MAX_HEARTBEAT_LEN && payload.starts_with(with_sender(node, "").as_bytes()) {
            return None;
        }
        let envelope: Envelope<Message> = serde_json::from_slice(payload).ok()?;
        return envelope.receive(node, liveness);
    }
    let sender: Sender = serde_json::from_slice(payload).ok()?;
    if sender.node == Some(node) {
        // The local feed published it before it was sent to the other nodes.
        return None;
    }
    if topic.starts_with("scans:") {
        let record: ScanRecord = serde_json::from_slice(payload).ok()?;
        return Some(Message::Scan(Box::new(record)));
    }
    let occupancy: EventOccupancy = serde_json::from_slice(payload).ok()?;
    let (organization, event) = topic.strip_prefix("occupancy:org:")?.split_once(":event:")?;
    Some(Message::Occupancy {
        organization_id: organization.parse().ok()?,
        event_id: event.parse().ok()?,
        at: Timestamp::from_millis(0),
        occupancy: Box::new(occupancy),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::occupancy_topic;
    use crate::model::{EventId, OrganizationId, PlaceCount, ResultCounts, ScanId};

    #[test]
    fn a_node_ignores_its_own_changes_except_its_heartbeat() {
        let (local, remote) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let id = Uuid::from_u128(3);
        let seen = Message::ScanIdsSeen {
            organization_id: OrganizationId::from_uuid(id),
            scan_ids: vec![ScanId::from_uuid(id)],
        };
        let changed = Message::FactsChanged {
            organization_id: OrganizationId::from_uuid(id),
        };
        let liveness = Liveness::default();
        for message in [&seen, &changed] {
            let payload = serde_json::to_vec(&Envelope { node: local, message }).expect("JSON");
            assert!(payload.len() > MAX_HEARTBEAT_LEN, "{message:?}");
            assert_eq!(parse(CHANGES_CHANNEL, &payload, local, &liveness), None);
            let received_by_others = parse(CHANGES_CHANNEL, &payload, remote, &liveness);
            assert_eq!(received_by_others, Some(message.clone()));
        }
        assert_eq!(liveness.connected_for(), None);
        for listening in [false, true] {
            let message = Message::Heartbeat { listening };
            let payload = serde_json::to_vec(&Envelope { node: local, message }).expect("JSON");
            assert!(payload.len() <= MAX_HEARTBEAT_LEN, "{} bytes", payload.len());
            let at_others = Liveness::default();
            assert_eq!(parse(CHANGES_CHANNEL, &payload, remote, &at_others), None);
            let expected = if listening { vec![local] } else { Vec::new() };
            assert_eq!(at_others.peers(), expected);
            assert_eq!(at_others.connected_for(), None);
            assert_eq!(parse(CHANGES_CHANNEL, &payload, local, &liveness), None);
            assert!(liveness.connected_for().is_some());
        }
    }

    #[test]
    fn a_node_ignores_its_own_messages_on_a_topic() {
        let (local, remote) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let id = Uuid::from_u128(3);
        let topic = occupancy_topic(OrganizationId::from_uuid(id), EventId::from_uuid(id));
        let occupancy = EventOccupancy {
            event: PlaceCount::default(),
            gates: Vec::new(),
            results: ResultCounts::default(),
            scans_per_minute: 7,
        };
        let text = with_sender(local, &serde_json::to_string(&occupancy).expect("JSON"));
        let liveness = Liveness::default();
        assert_eq!(parse(&topic, text.as_bytes(), local, &liveness), None);
        let message = parse(&topic, text.as_bytes(), remote, &liveness);
        let Some(Message::Occupancy {
            occupancy: received, ..
        }) = message
        else {
            panic!("{message:?}");
        };
        assert_eq!(*received, occupancy);
        let without_sender = serde_json::to_vec(&occupancy).expect("JSON");
        assert!(parse(&topic, &without_sender, local, &liveness).is_some());
    }
}

//! The bus over Redis publish and subscribe.
//!
//! Changes go over one channel of our own; scans and occupancy over a topic an event, so that the platform can listen
//! too. One connection publishes, another listens; both come back by themselves. Scans that nobody listens to cost next
//! to nothing: Redis says how many heard each, and where nobody did only one of the next is published.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use redis::aio::{ConnectionManager, PubSubSink, PubSubStream};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc, watch};

use crate::bus::{Bus, Liveness, Message, Place, occupancy_topic, scans_topic};
use crate::model::{EventId, EventOccupancy, OrganizationId, ScanId, ScanRecord, Timestamp};

/// The channel of changes.
const CHANGES: &str = "voelgoed:changes";

/// The pattern of all occupancy topics.
const OCCUPANCY: &str = "occupancy:org:*";

/// How many scans of an event are kept under its `scans:recent` key.
const RECENT_SCANS: usize = 100;

/// The most bytes of a beat.
const LONGEST_BEAT: usize = 80;

/// How long a lost connection rests before it is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// How many messages may wait for this node to read them.
const BACKLOG: usize = 4096;

/// A message with its sender: a node does not listen to itself.
#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    node: uuid::Uuid,
    #[serde(flatten)]
    message: T,
}

/// Why mail was not published.
#[derive(Debug, thiserror::Error)]
enum Unsent {
    #[error(transparent)]
    Unwritable(#[from] serde_json::Error),
    #[error(transparent)]
    Refused(#[from] redis::RedisError),
}

/// The sender of what stands on a topic.
#[derive(Deserialize)]
struct Sender {
    node: Option<uuid::Uuid>,
}

/// A JSON object with its sender before its own fields: who listens to a topic reads it as if it were not there.
fn signed(node: uuid::Uuid, object: &str) -> String {
    let fields = object.strip_prefix('{').unwrap_or(object);
    format!("{{\"node\":\"{node}\",{fields}")
}

/// The bus over Redis.
pub(crate) struct RedisBus {
    node: uuid::Uuid,
    client: redis::Client,
    publisher: ConnectionManager,
    /// For how long the latest scans of an event are kept after the last.
    window_millis: i64,
    /// Events whose last scan that was published somebody heard.
    heard: Mutex<HashSet<Place>>,
    wanted: Arc<Wanted>,
    pulse: Arc<Liveness>,
}

/// The topics of scans that somebody here listens to.
#[derive(Default)]
struct Wanted {
    topics: watch::Sender<Topics>,
    changed: Notify,
}

#[derive(Default)]
struct Topics {
    wanted: HashSet<String>,
    /// Those of them that Redis has confirmed.
    heard: HashSet<String>,
}

impl Wanted {
    fn want(&self, topic: String, wanted: bool) {
        let changed = self.topics.send_if_modified(|topics| {
            if wanted {
                topics.wanted.insert(topic)
            } else {
                // At once, and not when Redis was told: whoever wants it again waits for it to be asked for again.
                topics.heard.remove(&topic);
                topics.wanted.remove(&topic)
            }
        });
        if changed {
            self.changed.notify_one();
        }
    }

    async fn heard(&self, topic: &str) {
        // The sender lives as long as the bus: the wait ends only by the value.
        let _ = self
            .topics
            .subscribe()
            .wait_for(|topics| topics.heard.contains(topic))
            .await;
    }
}

/// Messages by how they are published.
#[derive(Default)]
struct Mail<'a> {
    /// On the channel of changes.
    changes: Vec<Cow<'a, Message>>,
    /// Each on its topic.
    occupancy: Vec<(Place, &'a EventOccupancy)>,
    /// In their order, on the topic of their event.
    scans: BTreeMap<Place, Vec<&'a ScanRecord>>,
}

impl<'a> Mail<'a> {
    fn sort(messages: &'a [Message]) -> Self {
        let mut mail = Self::default();
        let mut seen: BTreeMap<OrganizationId, Vec<ScanId>> = BTreeMap::new();
        for message in messages {
            match message {
                Message::Scan(record) => {
                    let place = (record.organization_id, record.event_id);
                    mail.scans.entry(place).or_default().push(record);
                }
                Message::Occupancy {
                    organization_id,
                    event_id,
                    occupancy,
                    ..
                } => mail.occupancy.push(((*organization_id, *event_id), occupancy)),
                Message::Seen {
                    organization_id,
                    scan_ids,
                } => seen.entry(*organization_id).or_default().extend(scan_ids),
                Message::Heartbeat
                | Message::Changed { .. }
                | Message::Imported { .. }
                | Message::TicketInvalidated { .. }
                | Message::Scanned { .. }
                | Message::Moved { .. } => mail.changes.push(Cow::Borrowed(message)),
            }
        }
        let seen = seen.into_iter().map(|(organization_id, scan_ids)| Message::Seen {
            organization_id,
            scan_ids,
        });
        mail.changes.extend(seen.map(Cow::Owned));
        mail
    }
}

impl RedisBus {
    /// Publishes mail, and keeps the latest scans of each event under a key. Of scans whose topic nobody listened to only
    /// the first is published, and the others once somebody does: whoever subscribes later than that first one was
    /// published began to listen after these scans.
    async fn send(&self, mail: &Mail<'_>) -> Result<(), Unsent> {
        let mut connection = self.publisher.clone();
        let mut pipeline = redis::pipe();
        for message in &mail.changes {
            let node = self.node;
            let text = serde_json::to_string(&Envelope { node, message })?;
            pipeline.publish(CHANGES, text).ignore();
        }
        for ((organization, event), occupancy) in &mail.occupancy {
            let topic = occupancy_topic(*organization, *event);
            let text = serde_json::to_string(occupancy)?;
            pipeline.publish(topic, signed(self.node, &text)).ignore();
        }
        let mut rests = Vec::with_capacity(mail.scans.len());
        for (place, scans) in &mail.scans {
            let heard = self.heard().contains(place);
            let (now, rest) = scans.split_at(if heard { scans.len() } else { 1 });
            self.publish_scans(&mut pipeline, *place, now);
            rests.push((*place, rest));
        }
        let listeners: Vec<i64> = pipeline.query_async(&mut connection).await?;
        let mut pipeline = redis::pipe();
        for ((place, rest), listeners) in rests.into_iter().zip(listeners) {
            if listeners == 0 {
                self.heard().remove(&place);
                continue;
            }
            self.heard().insert(place);
            if !rest.is_empty() {
                self.publish_scans(&mut pipeline, place, rest);
            }
        }
        // Apart from what is heard: a Redis that is full keeps nothing more, and publishes all the same.
        for (place, scans) in &mail.scans {
            self.keep_scans(&mut pipeline, *place, scans);
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        let _: Vec<i64> = pipeline.query_async(&mut connection).await?;
        Ok(())
    }

    /// Adds scans of an event to a pipeline, which answers how many heard the last of them.
    fn publish_scans(
        &self,
        pipeline: &mut redis::Pipeline,
        (organization, event): Place,
        scans: &[&ScanRecord],
    ) {
        let topic = scans_topic(organization, event);
        let last = scans.len().saturating_sub(1);
        for (at, record) in scans.iter().enumerate() {
            pipeline.publish(&topic, signed(self.node, &record.to_json()));
            if at < last {
                pipeline.ignore();
            }
        }
    }

    /// Keeps the latest scans of an event, the newest first, for the tier's window.
    fn keep_scans(
        &self,
        pipeline: &mut redis::Pipeline,
        (organization, event): Place,
        scans: &[&ScanRecord],
    ) {
        let key = format!("voelgoed:org:{organization}:event:{event}:scans:recent");
        let kept = scans.len().saturating_sub(RECENT_SCANS);
        let kept: Vec<String> = scans.iter().skip(kept).map(|record| record.to_json()).collect();
        pipeline.lpush(&key, kept).ignore();
        pipeline.ltrim(&key, 0, RECENT_SCANS.cast_signed() - 1).ignore();
        pipeline.pexpire(&key, self.window_millis).ignore();
    }

    fn heard(&self) -> MutexGuard<'_, HashSet<Place>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn new(client: redis::Client, publisher: ConnectionManager, window: Duration) -> Self {
        let mut node = [0_u8; 16];
        crate::model::random::fill(&mut node);
        Self {
            node: uuid::Uuid::from_bytes(node),
            client,
            publisher,
            window_millis: i64::try_from(window.as_millis()).unwrap_or(i64::MAX).max(1),
            heard: Mutex::default(),
            wanted: Arc::default(),
            pulse: Arc::default(),
        }
    }
}

#[async_trait]
impl Bus for RedisBus {
    async fn publish(&self, messages: &[Message]) -> bool {
        match self.send(&Mail::sort(messages)).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "the bus did not take a message");
                false
            }
        }
    }

    fn listen(&self) -> mpsc::Receiver<Message> {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let (client, wanted, pulse, node) = (
            self.client.clone(),
            Arc::clone(&self.wanted),
            Arc::clone(&self.pulse),
            self.node,
        );
        tokio::spawn(async move {
            while !sender.is_closed() {
                if let Err(error) = listen_once(&client, &wanted, &pulse, node, &sender).await {
                    tracing::debug!(%error, "the bus is down");
                }
                wanted.topics.send_modify(|topics| topics.heard.clear());
                pulse.lost();
                tokio::time::sleep(RETRY).await;
            }
        });
        receiver
    }

    fn want_scans(&self, organization: OrganizationId, event: EventId, wanted: bool) {
        self.wanted.want(scans_topic(organization, event), wanted);
    }

    async fn hears_scans(&self, organization: OrganizationId, event: EventId) {
        self.wanted.heard(&scans_topic(organization, event)).await;
    }

    fn heard_for(&self) -> Option<Duration> {
        self.pulse.age()
    }
}

async fn listen_once(
    client: &redis::Client,
    wanted: &Wanted,
    pulse: &Liveness,
    node: uuid::Uuid,
    sender: &mpsc::Sender<Message>,
) -> redis::RedisResult<()> {
    let (mut sink, mut stream): (PubSubSink, PubSubStream) = client.get_async_pubsub().await?.split();
    sink.subscribe(CHANGES).await?;
    sink.psubscribe(OCCUPANCY).await?;
    let mut subscribed = HashSet::new();
    follow(&mut sink, wanted, &mut subscribed).await?;
    loop {
        tokio::select! {
            message = stream.next() => {
                let Some(message) = message else { return Ok(()) };
                let topic = message.get_channel_name().to_owned();
                let Some(message) = read(&topic, message.get_payload_bytes(), node) else { continue };
                if message == Message::Heartbeat {
                    pulse.felt();
                } else if sender.send(message).await.is_err() {
                    return Ok(());
                }
            }
            () = wanted.changed.notified() => follow(&mut sink, wanted, &mut subscribed).await?,
        }
    }
}

/// Subscribes to what is wanted, and to nothing else.
async fn follow(
    sink: &mut PubSubSink,
    wanted: &Wanted,
    subscribed: &mut HashSet<String>,
) -> redis::RedisResult<()> {
    let topics = wanted.topics.borrow().wanted.clone();
    for topic in topics.difference(subscribed) {
        sink.subscribe(topic).await?;
    }
    for topic in subscribed.difference(&topics) {
        sink.unsubscribe(topic).await?;
    }
    wanted.topics.send_modify(|now| {
        now.heard = topics.intersection(&now.wanted).cloned().collect();
    });
    *subscribed = topics;
    Ok(())
}

/// What a message says; `None` for what this node said itself, save its own beat, and for what it does not understand.
fn read(topic: &str, payload: &[u8], node: uuid::Uuid) -> Option<Message> {
    if topic == CHANGES {
        // What a busy node hears most is itself, and that it need not read: only a beat is as short as this.
        if payload.len() > LONGEST_BEAT && payload.starts_with(signed(node, "").as_bytes()) {
            return None;
        }
        let envelope: Envelope<Message> = serde_json::from_slice(payload).ok()?;
        let own = envelope.node == node;
        let beat = envelope.message == Message::Heartbeat;
        return (own == beat).then_some(envelope.message);
    }
    let sender: Sender = serde_json::from_slice(payload).ok()?;
    if sender.node == Some(node) {
        // Told here already, before it was told to others.
        return None;
    }
    if topic.starts_with("scans:") {
        let record: ScanRecord = serde_json::from_slice(payload).ok()?;
        return Some(Message::Scan(Box::new(record)));
    }
    let told: EventOccupancy = serde_json::from_slice(payload).ok()?;
    let (organization, event) = topic.strip_prefix("occupancy:org:")?.split_once(":event:")?;
    Some(Message::Occupancy {
        organization_id: organization.parse().ok()?,
        event_id: event.parse().ok()?,
        at: Timestamp::from_millis(0),
        occupancy: Box::new(told),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PlaceCount, ResultCounts};

    #[test]
    fn of_its_own_changes_a_node_hears_its_beat_alone() {
        let (here, there) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
        let id = uuid::Uuid::from_u128(3);
        let seen = Message::Seen {
            organization_id: OrganizationId::from_uuid(id),
            scan_ids: vec![ScanId::from_uuid(id)],
        };
        let changed = Message::Changed {
            organization_id: OrganizationId::from_uuid(id),
        };
        for (message, own) in [
            (&seen, None),
            (&changed, None),
            (&Message::Heartbeat, Some(Message::Heartbeat)),
        ] {
            let told = serde_json::to_vec(&Envelope { node: here, message }).expect("JSON");
            assert_eq!(told.len() > LONGEST_BEAT, own.is_none(), "{message:?}");
            assert_eq!(read(CHANGES, &told, here), own);
            let others = (*message != Message::Heartbeat).then(|| message.clone());
            assert_eq!(read(CHANGES, &told, there), others);
        }
    }

    #[test]
    fn what_a_node_told_itself_it_does_not_hear_again() {
        let (here, there) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
        let id = uuid::Uuid::from_u128(3);
        let topic = occupancy_topic(OrganizationId::from_uuid(id), EventId::from_uuid(id));
        let occupancy = EventOccupancy {
            event: PlaceCount::default(),
            gates: Vec::new(),
            results: ResultCounts::default(),
            scans_per_minute: 7,
        };
        let text = signed(here, &serde_json::to_string(&occupancy).expect("JSON"));
        assert_eq!(read(&topic, text.as_bytes(), here), None);
        let heard = read(&topic, text.as_bytes(), there);
        let Some(Message::Occupancy { occupancy: told, .. }) = heard else {
            panic!("{heard:?}");
        };
        assert_eq!(*told, occupancy);
        let unsigned = serde_json::to_vec(&occupancy).expect("JSON");
        assert!(read(&topic, &unsigned, here).is_some());
    }
}

//! Publishes messages on the topics of Redis, and keeps the latest scans of each event under a key.
//!
//! Scans without a subscriber cost little: Redis returns the number of subscribers that received each message. After a
//! scan that had none, only the first scan of the next batch is published.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::bus::redis::{CHANGES_CHANNEL, RedisBus, with_sender};
use crate::bus::wire::Envelope;
use crate::bus::{EventKey, Message, occupancy_topic, scans_topic};
use crate::model::{EventId, EventOccupancy, OrganizationId, ScanId, ScanRecord};

/// How many scans of an event are kept under its `scans:recent` key.
const MAX_RECENT_SCANS: usize = 100;

/// The key of the latest scans of an event.
pub(crate) fn recent_scans_key(organization: OrganizationId, event: EventId) -> String {
    format!("voelgoed-scan:org:{organization}:event:{event}:scans:recent")
}

/// Why messages were not published.
#[derive(Debug, thiserror::Error)]
pub(super) enum PublishError {
    #[error(transparent)]
    Serialize(#[from] serde_json::Error),
    #[error(transparent)]
    Redis(#[from] redis::RedisError),
}

/// Messages grouped by the topic that carries them.
#[derive(Default)]
pub(super) struct MessagesByTopic<'a> {
    /// For the channel of changes.
    changes: Vec<Cow<'a, Message>>,
    /// Each for the occupancy topic of its event.
    occupancy: Vec<(EventKey, &'a EventOccupancy)>,
    /// In their order, for the scan topic of each event.
    scans: BTreeMap<EventKey, Vec<&'a ScanRecord>>,
}

impl<'a> MessagesByTopic<'a> {
    pub(super) fn group(messages: &'a [Message]) -> Self {
        let mut grouped = Self::default();
        let mut seen: BTreeMap<OrganizationId, Vec<ScanId>> = BTreeMap::new();
        for message in messages {
            match message {
                Message::Scan(record) => {
                    let event = (record.organization_id, record.event_id);
                    grouped.scans.entry(event).or_default().push(record);
                }
                Message::Occupancy {
                    organization_id,
                    event_id,
                    occupancy,
                    ..
                } => grouped.occupancy.push(((*organization_id, *event_id), occupancy)),
                Message::ScanIdsSeen {
                    organization_id,
                    scan_ids,
                } => seen.entry(*organization_id).or_default().extend(scan_ids),
                Message::Heartbeat { .. }
                | Message::Leaving
                | Message::ScansClaimed { .. }
                | Message::ClaimConfirmed { .. }
                | Message::FactsChanged { .. }
                | Message::TicketsImported { .. }
                | Message::TicketInvalidated { .. }
                | Message::ScanStored { .. }
                | Message::OccupancyChanged { .. } => grouped.changes.push(Cow::Borrowed(message)),
            }
        }
        let seen = seen
            .into_iter()
            .map(|(organization_id, scan_ids)| Message::ScanIdsSeen {
                organization_id,
                scan_ids,
            });
        grouped.changes.extend(seen.map(Cow::Owned));
        grouped
    }
}

impl RedisBus {
    /// Publishes messages, and keeps the latest scans of each event under a key.
    ///
    /// Of the scans of a topic without subscribers, only the first is published in the first round trip. The others
    /// follow if that one had a subscriber. A client that subscribes after the first scan was published therefore misses
    /// only scans that were recorded before it subscribed.
    pub(super) async fn publish_by_topic(&self, messages: &MessagesByTopic<'_>) -> Result<(), PublishError> {
        let mut connection = self.server.connection()?;
        let mut pipeline = redis::pipe();
        for message in &messages.changes {
            let node = self.node;
            let text = serde_json::to_string(&Envelope { node, message })?;
            pipeline.publish(CHANGES_CHANNEL, text).ignore();
        }
        for ((organization, event), occupancy) in &messages.occupancy {
            let topic = occupancy_topic(*organization, *event);
            let text = serde_json::to_string(occupancy)?;
            pipeline.publish(topic, with_sender(self.node, &text)).ignore();
        }
        let mut remaining = Vec::with_capacity(messages.scans.len());
        for (event, scans) in &messages.scans {
            let has_subscribers = self.events_with_subscribers.lock().contains(event);
            let (first, rest) = scans.split_at(if has_subscribers { scans.len() } else { 1 });
            self.publish_scans(&mut pipeline, *event, first);
            remaining.push((*event, rest));
        }
        let subscribers: Vec<i64> = pipeline.query_async(&mut connection).await?;
        let mut pipeline = redis::pipe();
        for ((event, rest), subscribers) in remaining.into_iter().zip(subscribers) {
            if subscribers == 0 {
                self.events_with_subscribers.lock().remove(&event);
                continue;
            }
            self.events_with_subscribers.lock().insert(event);
            if !rest.is_empty() {
                self.publish_scans(&mut pipeline, event, rest);
            }
        }
        // Separate from the first pipeline: a Redis that is out of memory refuses these commands, but still publishes.
        for (event, scans) in &messages.scans {
            self.store_recent_scans(&mut pipeline, *event, scans);
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        let _: Vec<i64> = pipeline.query_async(&mut connection).await?;
        Ok(())
    }

    /// Adds the publication of an event's scans to a pipeline. The pipeline returns the number of subscribers that
    /// received the last one.
    fn publish_scans(
        &self,
        pipeline: &mut redis::Pipeline,
        (organization, event): EventKey,
        scans: &[&ScanRecord],
    ) {
        let topic = scans_topic(organization, event);
        let last = scans.len().saturating_sub(1);
        for (at, record) in scans.iter().enumerate() {
            pipeline.publish(&topic, with_sender(self.node, &record.to_json()));
            if at < last {
                pipeline.ignore();
            }
        }
    }

    /// Adds to a pipeline the storing of an event's latest scans, newest first, for the length of the window.
    fn store_recent_scans(
        &self,
        pipeline: &mut redis::Pipeline,
        (organization, event): EventKey,
        scans: &[&ScanRecord],
    ) {
        let key = recent_scans_key(organization, event);
        let skipped = scans.len().saturating_sub(MAX_RECENT_SCANS);
        let texts: Vec<String> = scans
            .iter()
            .skip(skipped)
            .map(|record| record.to_json())
            .collect();
        pipeline.lpush(&key, texts).ignore();
        pipeline
            .ltrim(&key, 0, MAX_RECENT_SCANS.cast_signed() - 1)
            .ignore();
        pipeline.pexpire(&key, self.recent_scans_ttl_millis).ignore();
    }
}

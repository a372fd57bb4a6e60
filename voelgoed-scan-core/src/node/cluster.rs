//! What do the other nodes tell, and what does this one tell them?
//!
//! Invariants: what other nodes changed rules here within a second: by the bus at once, and by the change counters of the
//! database, read every [`PACE_OF_COUNTERS`], in any case. A node may die between a change and its message, and no
//! message says that none is missing: a counter that rose counts whether or not somebody was heard. Occupancy is told at
//! most once in the feed's pace, after the scans that moved it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::bus::{Bus, Liveness, Message};
use crate::model::OrganizationId;
use crate::node::Feed;
use crate::node::cache::identities::IdentityCache;
use crate::node::cache::occupancy::OccupancyCache;
use crate::node::cache::tickets::TicketCache;
use crate::node::feed::Moved;
use crate::node::health::DatabaseLiveness;
use crate::store::{ChangeCounters, Store};

/// How often the change counters are read.
const PACE_OF_COUNTERS: Duration = Duration::from_millis(400);

/// How many messages go out together.
const MOST_AT_ONCE: usize = 1024;

/// How long messages gather after others went out: each way to the bus costs as much as many messages do.
const PACE_OF_TELLING: Duration = Duration::from_millis(25);

/// What the tasks of a node share.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) memory: Arc<IdentityCache>,
    pub(crate) recent: Arc<TicketCache>,
    pub(crate) occupancy_cache: Arc<OccupancyCache>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) pulse: Arc<DatabaseLiveness>,
}

impl Node {
    /// Starts the tasks; they end when the feed is closed.
    pub(crate) fn start(self, bus: Option<Arc<dyn Bus>>, outbox: mpsc::UnboundedReceiver<Message>) {
        tokio::spawn(self.clone().watch_counters());
        tokio::spawn(self.clone().tell_occupancy(bus.clone()));
        if let Some(bus) = bus {
            tokio::spawn(self.clone().send(Arc::clone(&bus), outbox));
            tokio::spawn(self.hear(bus.listen()));
        }
    }

    async fn hear(self, mut messages: mpsc::Receiver<Message>) {
        loop {
            let message = tokio::select! {
                message = messages.recv() => message,
                () = self.feed.closed() => None,
            };
            match message {
                Some(message) => self.take(message).await,
                None => return,
            }
        }
    }

    async fn take(&self, message: Message) {
        match message {
            Message::Heartbeat => {}
            Message::Seen {
                organization_id,
                scan_ids,
            } => {
                for scan in scan_ids {
                    self.recent.note_scan(organization_id, scan);
                }
            }
            Message::Changed { organization_id } => self.memory.forget(organization_id),
            Message::Imported {
                organization_id,
                event_id,
            } => self.recent.forget_event(organization_id, event_id),
            Message::TicketInvalidated {
                organization_id,
                ticket_code,
                version,
                at,
            } => {
                self.recent.invalidate(organization_id, ticket_code, version, at);
            }
            Message::Scan(record) => self.feed.tell_scan_of_another_node(&record),
            Message::Scanned {
                organization_id,
                event_id,
                scan_id,
            } => {
                self.recent.note_scan(organization_id, scan_id);
                if !self.feed.has_listeners(organization_id, event_id) {
                    return;
                }
                match self.store.scan(organization_id, scan_id).await {
                    Ok(Some(record)) => self.feed.tell_scan_of_another_node(&record),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "a scan of another node could not be told"),
                }
            }
            Message::Moved {
                organization_id,
                event_id,
                at,
            } => {
                self.feed
                    .mark_moved((organization_id, event_id), Moved { at, here: false });
            }
            Message::Occupancy {
                organization_id,
                event_id,
                occupancy,
                ..
            } => {
                self.occupancy_cache
                    .note_event(organization_id, event_id, &occupancy);
                self.feed.tell_occupancy((organization_id, event_id), *occupancy);
            }
        }
    }

    async fn tell_occupancy(self, bus: Option<Arc<dyn Bus>>) {
        while let Some(moved) = self.feed.moved().await {
            let mut messages = Vec::new();
            for ((organization_id, event_id), Moved { at, here }) in moved {
                match self.store.occupancy(organization_id, event_id, at).await {
                    Ok(Some(occupancy)) => {
                        self.occupancy_cache
                            .note_event(organization_id, event_id, &occupancy);
                        if here && bus.is_some() {
                            let occupancy = Box::new(occupancy.clone());
                            messages.push(Message::Occupancy {
                                organization_id,
                                event_id,
                                at,
                                occupancy,
                            });
                        }
                        self.feed.tell_occupancy((organization_id, event_id), occupancy);
                    }
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "occupancy could not be told"),
                }
            }
            if let (Some(bus), false) = (&bus, messages.is_empty()) {
                bus.publish(&messages).await;
            }
        }
    }

    async fn watch_counters(self) {
        let mut seen: HashMap<OrganizationId, ChangeCounters> = HashMap::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep(PACE_OF_COUNTERS) => {}
                () = self.feed.closed() => return,
            }
            let counters = self.store.change_counters().await;
            self.pulse.note(counters.is_ok());
            let Ok(counters) = counters else { continue };
            if !self.store.is_shared() {
                continue;
            }
            for now in counters {
                let before = seen.insert(now.organization_id, now);
                let changed = |counter: fn(&ChangeCounters) -> i64| {
                    before.is_none_or(|before| counter(&before) != counter(&now))
                };
                if changed(|counters| counters.facts) {
                    self.memory.forget(now.organization_id);
                }
                if changed(|counters| counters.tickets) {
                    self.recent.forget_organization(now.organization_id);
                }
            }
        }
    }

    async fn send(self, bus: Arc<dyn Bus>, mut outbox: mpsc::UnboundedReceiver<Message>) {
        let mut messages = Vec::new();
        let mut beat = tokio::time::interval(Liveness::BEAT);
        loop {
            tokio::select! {
                received = outbox.recv_many(&mut messages, MOST_AT_ONCE) => {
                    if received == 0 {
                        return;
                    }
                }
                _ = beat.tick() => messages.push(Message::Heartbeat),
                () = self.feed.closed() => return,
            }
            // Whether the bus takes them or not: what must be known is in the change counters.
            bus.publish(&messages).await;
            messages.clear();
            tokio::time::sleep(PACE_OF_TELLING).await;
        }
    }
}

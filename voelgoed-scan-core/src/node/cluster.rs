//! Exchanges messages with the other nodes, and polls the change counters of the database.
//!
//! Invariants:
//! - A change on another node takes effect here within a second: at once over the bus, and in any case through the change
//!   counters, which are read every [`COUNTER_POLL_INTERVAL`]. A node may stop between a change and its message, and no
//!   message tells that another one is missing. A raised counter therefore always counts, also while the bus works.
//! - A scan that another node may have answered from a cache is claimed before the database decides it (`claims.rs`).
//! - Occupancy is published at most once in each interval of the feed, after the scans that changed it.

pub(crate) mod claims;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::bus::{Bus, HEARTBEAT_INTERVAL, Message};
use crate::model::OrganizationId;
use crate::node::cache::identities::IdentityCache;
use crate::node::cache::occupancy::{OccupancyCache, OccupancySource};
use crate::node::cache::scan_ids::{ScanClaim, ScanIds};
use crate::node::cache::tickets::TicketCache;
use crate::node::cluster::claims::Claims;
use crate::node::feed::{Feed, OccupancyChange};
use crate::node::health::DatabaseLiveness;
use crate::store::{ChangeCounters, Store};

/// How often the change counters are read.
const COUNTER_POLL_INTERVAL: Duration = Duration::from_millis(400);

/// The maximal number of messages in one publication.
const MAX_MESSAGES_PER_PUBLISH: usize = 1024;

/// The pause after a publication. Messages collect meanwhile: a round trip costs as much as many messages do.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(25);

/// The tasks that connect this node with the others, and what they share.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) identity_cache: Arc<IdentityCache>,
    pub(crate) ticket_cache: Arc<TicketCache>,
    pub(crate) scan_ids: Arc<ScanIds>,
    pub(crate) occupancy_cache: Arc<OccupancyCache>,
    pub(crate) claims: Claims,
    pub(crate) feed: Arc<Feed>,
    pub(crate) database_liveness: Arc<DatabaseLiveness>,
    #[cfg(feature = "redis")]
    pub(crate) platform_keys: Option<crate::node::cache::redis::PlatformKeys>,
}

impl Cluster {
    /// Starts the tasks. They end when the feed is closed. `queue` holds the messages to publish.
    pub(crate) fn start(self, bus: Option<Arc<dyn Bus>>, queue: mpsc::UnboundedReceiver<Message>) {
        self.feed.start();
        tokio::spawn(self.clone().poll_change_counters());
        tokio::spawn(self.clone().publish_occupancy(bus.clone()));
        if let Some(bus) = bus {
            tokio::spawn(self.clone().publish_messages(Arc::clone(&bus), queue));
            tokio::spawn(self.receive_messages(bus.listen()));
        }
    }

    async fn receive_messages(self, mut messages: mpsc::Receiver<Message>) {
        loop {
            let message = tokio::select! {
                message = messages.recv() => message,
                () = self.feed.closed() => None,
            };
            match message {
                Some(message) => self.apply(message),
                None => return,
            }
        }
    }

    /// Applies a message of another node to the caches and the feed.
    fn apply(&self, message: Message) {
        match message {
            Message::Heartbeat { .. } | Message::Leaving => {}
            Message::ScansClaimed {
                claimant,
                claim: number,
                organization_id: organization,
                scan_ids,
                ticket_codes,
            } => {
                let claim = ScanClaim {
                    organization,
                    scan_ids,
                    ticket_codes,
                };
                // In a task, because the messages that follow must not wait for a write.
                let claims = self.claims.clone();
                tokio::spawn(async move { claims.serve(claimant, number, claim).await });
            }
            Message::ClaimConfirmed {
                confirmer,
                claimant,
                claim,
            } => self.claims.confirmed(confirmer, claimant, claim),
            Message::ScanIdsSeen {
                organization_id,
                scan_ids,
            } => self.scan_ids.mark_all(organization_id, scan_ids),
            Message::FactsChanged { organization_id } => self.identity_cache.invalidate(organization_id),
            Message::TicketsImported {
                organization_id,
                event_id,
            } => self.ticket_cache.invalidate_event(organization_id, event_id),
            Message::TicketInvalidated {
                organization_id,
                ticket_code,
                version,
                at: _,
            } => self
                .ticket_cache
                .invalidate(organization_id, ticket_code, version),
            Message::Scan(record) => {
                let event = (record.organization_id, record.event_id);
                self.feed.scans_recorded_elsewhere(event);
            }
            Message::ScanStored {
                organization_id,
                event_id,
                scan_id,
            } => {
                self.scan_ids.mark_all(organization_id, [scan_id]);
                self.feed.scans_recorded_elsewhere((organization_id, event_id));
            }
            Message::OccupancyChanged {
                organization_id,
                event_id,
                at,
            } => {
                self.feed.occupancy_changed(
                    (organization_id, event_id),
                    OccupancyChange { at, is_local: false },
                );
            }
            Message::Occupancy {
                organization_id,
                event_id,
                at,
                occupancy,
            } => {
                let event = (organization_id, event_id);
                let stored = self.occupancy_cache.put_event(
                    event,
                    &occupancy,
                    OccupancySource::OtherNode,
                    at,
                    Instant::now(),
                );
                if !stored {
                    let is_local = false;
                    self.feed
                        .occupancy_changed(event, OccupancyChange { at, is_local });
                }
                self.feed.publish_occupancy(event, *occupancy);
            }
        }
    }

    /// Reads the occupancy of events after it changed, and publishes it: to the feed, and to the other nodes where a scan
    /// of this node changed it.
    async fn publish_occupancy(self, bus: Option<Arc<dyn Bus>>) {
        while let Some(changes) = self.feed.next_occupancy_changes().await {
            let mut messages = Vec::new();
            for ((organization_id, event_id), OccupancyChange { at, is_local }) in changes {
                let began = self.occupancy_cache.begin_read();
                match self.store.occupancy(organization_id, event_id, at).await {
                    Ok(Some(occupancy)) => {
                        let event = (organization_id, event_id);
                        self.occupancy_cache.put_event(
                            event,
                            &occupancy,
                            OccupancySource::Read(began),
                            at,
                            Instant::now(),
                        );
                        #[cfg(feature = "redis")]
                        if let Some(platform_keys) = self.platform_keys.as_ref().filter(|_| is_local) {
                            platform_keys.inside_changed(event, occupancy.event.inside);
                        }
                        if is_local && bus.is_some() {
                            let occupancy = Box::new(occupancy.clone());
                            messages.push(Message::Occupancy {
                                organization_id,
                                event_id,
                                at,
                                occupancy,
                            });
                        }
                        self.feed
                            .publish_occupancy((organization_id, event_id), occupancy);
                    }
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "occupancy could not be read for the feed"),
                }
            }
            if let (Some(bus), false) = (&bus, messages.is_empty()) {
                bus.publish(&messages).await;
            }
        }
    }

    async fn poll_change_counters(self) {
        let mut known: HashMap<OrganizationId, ChangeCounters> = HashMap::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep(COUNTER_POLL_INTERVAL) => {}
                () = self.feed.closed() => return,
            }
            let epoch = self.ticket_cache.epoch();
            let counters = self.store.change_counters().await;
            self.database_liveness.set_up(counters.is_ok());
            let Ok(counters) = counters else { continue };
            for current in counters {
                let organization = current.organization_id;
                let tickets_changed = self
                    .ticket_cache
                    .set_counter(organization, current.tickets, epoch);
                if !self.store.is_shared() {
                    // This node made every change itself.
                    continue;
                }
                let previous = known.insert(organization, current);
                if previous.is_none_or(|previous| previous.facts != current.facts) {
                    self.identity_cache.invalidate(organization);
                }
                if tickets_changed {
                    self.ticket_cache.invalidate_organization(organization);
                    self.occupancy_cache.remove_organization(organization);
                }
            }
            self.claims.exchange_cut_off(&*self.store).await;
        }
    }

    async fn publish_messages(self, bus: Arc<dyn Bus>, mut queue: mpsc::UnboundedReceiver<Message>) {
        let mut messages = Vec::new();
        let mut heartbeat = tokio::time::interval(HEARTBEAT_INTERVAL);
        loop {
            tokio::select! {
                received = queue.recv_many(&mut messages, MAX_MESSAGES_PER_PUBLISH) => {
                    if received == 0 {
                        return;
                    }
                }
                _ = heartbeat.tick() => messages.push(Message::Heartbeat {
                    listening: bus.is_up(),
                }),
                () = self.feed.closed() => return,
            }
            // If the bus fails, the messages are lost. The other nodes then learn of the changes by the change counters.
            bus.publish(&messages).await;
            messages.clear();
            tokio::time::sleep(PUBLISH_INTERVAL).await;
        }
    }
}

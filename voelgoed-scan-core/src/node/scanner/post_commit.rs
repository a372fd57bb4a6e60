//! Steps 8 and 9, after a write and before its answers: fills the caches, and publishes the scans.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::bus::{BusPublisher, Message};
use crate::model::{Decided, Reason, Recorded, ScanRecord, ScanResult, TicketFacts};
use crate::node::cache::occupancy::OccupancyCache;
use crate::node::cache::scan_ids::ScanIds;
use crate::node::cache::tickets::{TicketCache, TicketEpoch};
use crate::node::feed::Feed;
use crate::node::write_queue::{PostCommit, PostCommitTask};
use crate::rules::NewScan;

/// The caches and publishers that a write affects.
pub(crate) struct PostCommitEffects {
    pub(crate) ticket_cache: Arc<TicketCache>,
    pub(crate) scan_ids: Arc<ScanIds>,
    #[cfg(feature = "redis")]
    pub(crate) redis_cache: Option<crate::node::cache::redis::RedisTicketCache>,
    #[cfg(feature = "redis")]
    pub(crate) platform_keys: Option<crate::node::cache::redis::PlatformKeys>,
    pub(crate) occupancy_cache: Arc<OccupancyCache>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) publisher: BusPublisher,
}

impl PostCommit for PostCommitEffects {
    type Context = TicketEpoch;

    fn before_write(&self) -> TicketEpoch {
        self.ticket_cache.epoch()
    }

    fn after_write<'a>(
        &self,
        epoch: TicketEpoch,
        denials: Vec<NewScan>,
        recorded: impl Iterator<Item = &'a Recorded>,
    ) -> PostCommitTask {
        let decided: Vec<&Decided> = recorded
            .filter_map(|recorded| match recorded {
                Recorded::Decided(decided) => Some(&**decided),
                _ => None,
            })
            .collect();
        let answers = decided
            .iter()
            .map(|decided| (decided.record.organization_id, &decided.answer));
        self.occupancy_cache.put_answers(answers, Instant::now());
        for decided in &decided {
            let Decided { record, .. } = decided;
            if let Some(facts) = cacheable_ticket(decided) {
                self.ticket_cache.put(facts.clone(), epoch, record.received_at);
            } else if let Some(facts) = exited_ticket(decided) {
                let ticket = &facts.ticket;
                self.ticket_cache
                    .invalidate(ticket.organization_id, ticket.code, facts.version);
            }
        }
        if !denials.is_empty() {
            let ids = denials.iter().map(|scan| &scan.record);
            self.scan_ids
                .recorded(ids.map(|record| (record.organization_id, record.scan_id)));
        }
        let denial_records = denials.iter().map(|scan| &scan.record);
        let records: Vec<&ScanRecord> = denial_records
            .chain(decided.iter().map(|decided| &decided.record))
            .collect();
        if let Some(last) = records.last() {
            self.feed
                .scans_recorded(records.iter().copied(), last.received_at);
            #[cfg(feature = "redis")]
            if let Some(platform_keys) = &self.platform_keys {
                platform_keys.scans_recorded(records.iter().copied(), last.received_at);
            }
        }
        if self.publisher.is_enabled() {
            self.publish_scan_ids(&records);
            let denial_records = denials.into_iter().map(|scan| scan.record);
            for record in denial_records.chain(decided.iter().map(|decided| decided.record.clone())) {
                self.publisher.publish(Message::Scan(Box::new(record)));
            }
        }
        self.fill_redis(&decided, epoch)
    }
}

impl PostCommitEffects {
    /// Publishes the ids of scans. A retry may reach another node, which must not treat it as a new scan.
    fn publish_scan_ids(&self, records: &[&ScanRecord]) {
        let mut by_organization: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for record in records {
            by_organization
                .entry(record.organization_id)
                .or_default()
                .push(record.scan_id);
        }
        for (organization_id, scan_ids) in by_organization {
            self.publisher.publish(Message::ScanIdsSeen {
                organization_id,
                scan_ids,
            });
        }
    }

    #[cfg(feature = "redis")]
    fn fill_redis(&self, decided: &[&Decided], epoch: TicketEpoch) -> PostCommitTask {
        let redis_cache = self.redis_cache.clone()?;
        let exits: Vec<_> = decided
            .iter()
            .filter_map(|decided| exited_ticket(decided))
            .map(|facts| (facts.ticket.code, facts.version))
            .collect();
        // A write holds scans of one organization.
        let organization = decided.last()?.record.organization_id;
        let tickets = decided.iter().filter_map(|decided| {
            let facts = cacheable_ticket(decided)?;
            let counter = self
                .ticket_cache
                .counter_since(facts.ticket.organization_id, epoch)?;
            Some((facts, counter))
        });
        let put = redis_cache.put(tickets);
        Some(Box::pin(async move {
            put.await;
            // In one call: all answers of the batch wait for it.
            if !exits.is_empty() {
                redis_cache.invalidate(organization, &exits).await;
            }
        }))
    }

    #[cfg(not(feature = "redis"))]
    #[expect(clippy::unused_self, reason = "the signature of the build with Redis")]
    fn fill_redis(&self, _: &[&Decided], _: TicketEpoch) -> PostCommitTask {
        None
    }
}

/// The ticket of a scan, if the caches may deny it from now on.
fn cacheable_ticket(decided: &Decided) -> Option<&TicketFacts> {
    let facts = decided.ticket.as_ref()?;
    let is_used = matches!(decided.answer.result, ScanResult::Valid | ScanResult::Duplicate)
        && decided.answer.reason != Reason::Exited
        && facts.ticket.entry_limit == 1;
    is_used.then_some(facts)
}

/// The ticket of a scan, if the scan was an exit.
fn exited_ticket(decided: &Decided) -> Option<&TicketFacts> {
    decided
        .ticket
        .as_ref()
        .filter(|_| decided.answer.reason == Reason::Exited)
}

#[cfg(all(feature = "redis", feature = "sqlite"))]
#[cfg(test)]
mod tests;

//! What follows a decision that is on disk? The tiers learn of it, the feed tells it; before anybody is answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bus::Message;
use crate::model::{Decided, Reason, Recorded, ScanRecord, ScanResult, TicketFacts};
use crate::node::Feed;
use crate::node::cache::invalidation::Outbox;
use crate::node::cache::occupancy::OccupancyCache;
use crate::node::cache::tickets::{Moment, TicketCache};
use crate::node::write_queue::{Pending, PostCommit};
use crate::rules::NewScan;

/// Steps 8 and 9.
pub(crate) struct PostCommitEffects {
    pub(crate) recent: Arc<TicketCache>,
    #[cfg(feature = "redis")]
    pub(crate) redis: Option<crate::node::cache::redis::RedisTier>,
    pub(crate) occupancy_cache: Arc<OccupancyCache>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) outbox: Outbox,
}

impl PostCommit for PostCommitEffects {
    type Before = Moment;

    fn before(&self) -> Moment {
        self.recent.moment()
    }

    fn after<'a>(
        &self,
        before: Moment,
        noted: Vec<NewScan>,
        recorded: impl Iterator<Item = &'a Recorded>,
    ) -> Pending {
        let decided = recorded.filter_map(|one| match one {
            Recorded::Decided(decided) => Some(&**decided),
            _ => None,
        });
        let decided: Vec<&Decided> = decided.collect();
        for one in &decided {
            self.occupancy_cache.note(one.record.organization_id, &one.answer);
            if let Some(facts) = seen(one) {
                self.recent.put(facts.clone(), before, one.record.received_at);
            } else if let Some(facts) = left(one) {
                let ticket = &facts.ticket;
                self.recent.invalidate(
                    ticket.organization_id,
                    ticket.code,
                    facts.version,
                    one.record.received_at,
                );
            }
        }
        let denied = noted.iter().map(|scan| &scan.record);
        let records: Vec<&ScanRecord> = denied.chain(decided.iter().map(|one| &one.record)).collect();
        self.feed.tell_scans(&records);
        if self.outbox.is_heard() {
            self.tell_seen(&records);
            let denied = noted.into_iter().map(|scan| scan.record);
            for record in denied.chain(decided.iter().map(|one| one.record.clone())) {
                self.outbox.tell(Message::Scan(Box::new(record)));
            }
        }
        self.fill_redis(&decided)
    }
}

impl PostCommitEffects {
    /// A retry may come to another node, which must not take it for a new scan.
    fn tell_seen(&self, records: &[&ScanRecord]) {
        let mut by_organization: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for record in records {
            by_organization
                .entry(record.organization_id)
                .or_default()
                .push(record.scan_id);
        }
        for (organization_id, scan_ids) in by_organization {
            self.outbox.tell(Message::Seen {
                organization_id,
                scan_ids,
            });
        }
    }

    #[cfg(feature = "redis")]
    fn fill_redis(&self, decided: &[&Decided]) -> Pending {
        let redis = self.redis.clone()?;
        let exits: Vec<_> = decided
            .iter()
            .filter_map(|one| {
                let TicketFacts { ticket, version, .. } = left(one)?;
                Some((ticket.organization_id, ticket.code, *version))
            })
            .collect();
        let now = decided.last()?.record.received_at;
        let put = redis.put(decided.iter().filter_map(|one| seen(one)));
        Some(Box::pin(async move {
            put.await;
            for (organization, code, version) in exits {
                redis.invalidate(organization, &[(code, version)], now).await;
            }
        }))
    }

    #[cfg(not(feature = "redis"))]
    fn fill_redis(&self, _: &[&Decided]) -> Pending {
        None
    }
}

/// The ticket that a tier may deny from now on.
fn seen(decided: &Decided) -> Option<&TicketFacts> {
    let facts = decided.ticket.as_ref()?;
    let denies = matches!(decided.answer.result, ScanResult::Valid | ScanResult::Duplicate)
        && decided.answer.reason != Reason::Exited
        && facts.ticket.entry_limit == 1;
    denies.then_some(facts)
}

/// The ticket that somebody went out by.
fn left(decided: &Decided) -> Option<&TicketFacts> {
    decided
        .ticket
        .as_ref()
        .filter(|_| decided.answer.reason == Reason::Exited)
}

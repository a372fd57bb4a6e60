//! Was this ticket seen a moment ago? The first tier: an LRU of tickets in this process.
//!
//! Invariants: a tier only denies. An entry is the ticket as the database had it, so that [`decide`](crate::rules::decide)
//! gives the reason that the database would give; an older version never overwrites a newer; what was read before an
//! import of its event never counts after it. Keyed by organization and code.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::{HashMap, HashSet};
use lru::LruCache;
use tokio::time::Instant;

use crate::model::{EventId, OrganizationId, ScanId, TicketCode, TicketFacts, Timestamp};

/// The most tickets kept: about 20 MB of them.
const MOST_TICKETS: usize = 25_000;

/// The most scan ids kept: at least the latest half of them.
const MOST_SCANS: usize = 65_536;

/// A moment in the life of this tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Moment(u64);

enum Entry {
    Seen {
        facts: Arc<TicketFacts>,
        since: Moment,
        until: Timestamp,
    },
    /// Something undid or changed the ticket: nothing as old counts.
    Tombstone { version: i64, until: Timestamp },
}

impl Entry {
    fn version(&self) -> i64 {
        match self {
            Self::Seen { facts, .. } => facts.version,
            Self::Tombstone { version, .. } => *version,
        }
    }

    fn until(&self) -> Timestamp {
        match self {
            Self::Seen { until, .. } | Self::Tombstone { until, .. } => *until,
        }
    }
}

struct Entries {
    moment: Moment,
    tickets: LruCache<(OrganizationId, TicketCode), Entry>,
    /// When an import last changed tickets of an event; without one, when anything of the organization did.
    changed: HashMap<(OrganizationId, Option<EventId>), Moment>,
    scans: SeenScanIds,
}

/// Scan ids in two halves, of which the older is forgotten as a whole. No order is kept within: each of very many comes
/// once, and to move and free them one by one would touch what is in no processor's cache.
#[derive(Default)]
struct SeenScanIds {
    newer: HashSet<(OrganizationId, ScanId)>,
    older: HashSet<(OrganizationId, ScanId)>,
}

impl SeenScanIds {
    /// Keeps an id as the latest; whether it was kept already.
    fn keep(&mut self, scan: (OrganizationId, ScanId)) -> bool {
        if !self.newer.insert(scan) {
            return true;
        }
        let known = self.older.contains(&scan);
        if self.newer.len() >= MOST_SCANS / 2 {
            // Swapped, so that neither grows again.
            std::mem::swap(&mut self.older, &mut self.newer);
            self.newer.clear();
        }
        known
    }
}

/// The in-process tier.
pub(crate) struct TicketCache {
    entries: Mutex<Entries>,
    window: Duration,
    began: Instant,
}

impl TicketCache {
    pub(crate) fn new(window: Duration) -> Self {
        let entries = Entries {
            moment: Moment(1),
            tickets: LruCache::unbounded(),
            changed: HashMap::default(),
            scans: SeenScanIds::default(),
        };
        Self {
            entries: Mutex::new(entries),
            window,
            began: Instant::now(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long it has kept scan ids.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Now: to be asked before the database is.
    pub(crate) fn moment(&self) -> Moment {
        self.lock().moment
    }

    /// The ticket as it was last seen, within the window.
    pub(crate) fn get(
        &self,
        organization: OrganizationId,
        code: TicketCode,
        now: Timestamp,
    ) -> Option<Arc<TicketFacts>> {
        let Entries { tickets, changed, .. } = &mut *self.lock();
        match tickets.get(&(organization, code))? {
            Entry::Seen { facts, since, until } if now <= *until => {
                let places = [None, Some(facts.ticket.event_id)].map(|event| (organization, event));
                let stale = places
                    .iter()
                    .any(|place| changed.get(place).is_some_and(|moment| moment > since));
                (!stale).then(|| Arc::clone(facts))
            }
            Entry::Seen { .. } | Entry::Tombstone { .. } => None,
        }
    }

    /// Keeps a ticket as a read that began at `since` found it.
    pub(crate) fn put(&self, facts: TicketFacts, since: Moment, now: Timestamp) {
        let key = (facts.ticket.organization_id, facts.ticket.code);
        let until = now.plus(self.window);
        self.replace(
            key,
            Entry::Seen {
                facts: Arc::new(facts),
                since,
                until,
            },
            now,
        );
    }

    /// Notes that a ticket changed otherwise than by an admission: nothing older than `version` counts.
    pub(crate) fn invalidate(
        &self,
        organization: OrganizationId,
        code: TicketCode,
        version: i64,
        now: Timestamp,
    ) {
        let until = now.plus(self.window);
        self.replace((organization, code), Entry::Tombstone { version, until }, now);
    }

    fn replace(&self, key: (OrganizationId, TicketCode), entry: Entry, now: Timestamp) {
        let mut entries = self.lock();
        let newer = entries.tickets.peek(&key).is_some_and(|old| {
            let tombstone = matches!(old, Entry::Tombstone { .. });
            now <= old.until()
                && (old.version() > entry.version() || (tombstone && old.version() == entry.version()))
        });
        if newer {
            return;
        }
        entries.tickets.put(key, entry);
        if entries.tickets.len() > MOST_TICKETS {
            entries.tickets.pop_lru();
        }
    }

    /// Notes that an import changed tickets of an event: nothing read before counts.
    pub(crate) fn forget_event(&self, organization: OrganizationId, event: EventId) {
        self.forget(organization, Some(event));
    }

    /// Notes that tickets of an organization changed, nobody knows which: nothing read before counts.
    pub(crate) fn forget_organization(&self, organization: OrganizationId) {
        self.forget(organization, None);
    }

    fn forget(&self, organization: OrganizationId, event: Option<EventId>) {
        let mut entries = self.lock();
        entries.moment.0 += 1;
        let moment = entries.moment;
        entries.changed.insert((organization, event), moment);
    }

    /// Notes that a client used a scan id; whether it had used it before, as far as this node remembers.
    pub(crate) fn note_scan(&self, organization: OrganizationId, scan: ScanId) -> bool {
        self.lock().scans.keep((organization, scan))
    }
}

#[cfg(test)]
mod tests;

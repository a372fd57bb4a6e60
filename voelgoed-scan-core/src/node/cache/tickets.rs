//! The first cache tier: an LRU of recently scanned tickets in this process. It answers duplicates without a query.
//!
//! Invariants:
//! - A tier only denies. An entry is the ticket as the database had it, so that [`decide`](crate::rules::decide) gives the
//!   same reason as the database would.
//! - An older version never overwrites a newer one.
//! - A ticket that was read before an import of its event does not count after the import.
//! - Entries are keyed by organization and ticket code.

use std::sync::Arc;
use std::time::Duration;

use foldhash::{HashMap, HashSet};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::model::{EventId, OrganizationId, ScanId, TicketCode, TicketFacts, Timestamp};

/// The maximal number of tickets, about 20 MB.
const MAX_TICKETS: usize = 25_000;

/// The maximal number of scan ids. At least the latest half of them is remembered.
const MAX_SCAN_IDS: usize = 65_536;

/// A point in the sequence of this cache's invalidations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct TicketEpoch(u64);

enum TicketEntry {
    Ticket {
        facts: Arc<TicketFacts>,
        epoch: TicketEpoch,
        expires_at: Timestamp,
    },
    /// The ticket changed by something other than an admission: this version and older ones do not count.
    Tombstone { version: i64, expires_at: Timestamp },
}

impl TicketEntry {
    fn version(&self) -> i64 {
        match self {
            Self::Ticket { facts, .. } => facts.version,
            Self::Tombstone { version, .. } => *version,
        }
    }

    fn expires_at(&self) -> Timestamp {
        match self {
            Self::Ticket { expires_at, .. } | Self::Tombstone { expires_at, .. } => *expires_at,
        }
    }
}

struct Tickets {
    epoch: TicketEpoch,
    entries: LruCache<(OrganizationId, TicketCode), TicketEntry>,
    /// When the tickets of an event were last invalidated; with `None`, those of the whole organization.
    invalidated: HashMap<(OrganizationId, Option<EventId>), TicketEpoch>,
    scan_ids: SeenScanIds,
}

/// Remembers scan ids in two generations, and drops the older generation as a whole. There is no order within a generation:
/// each of very many ids arrives once, and maintaining an order would touch memory that is in no processor cache.
#[derive(Default)]
struct SeenScanIds {
    newer: HashSet<(OrganizationId, ScanId)>,
    older: HashSet<(OrganizationId, ScanId)>,
}

impl SeenScanIds {
    /// Adds an id. Returns whether it was known already.
    fn mark_seen(&mut self, scan: (OrganizationId, ScanId)) -> bool {
        if !self.newer.insert(scan) {
            return true;
        }
        let known = self.older.contains(&scan);
        if self.newer.len() >= MAX_SCAN_IDS / 2 {
            // Swapped instead of replaced, so that neither set allocates again.
            std::mem::swap(&mut self.older, &mut self.newer);
            self.newer.clear();
        }
        known
    }
}

/// The in-process cache of tickets and scan ids.
pub(crate) struct TicketCache {
    tickets: Mutex<Tickets>,
    window: Duration,
    created_at: Instant,
}

impl TicketCache {
    /// An empty cache whose entries expire after `window`.
    pub(crate) fn new(window: Duration) -> Self {
        let tickets = Tickets {
            epoch: TicketEpoch(1),
            entries: LruCache::unbounded(),
            invalidated: HashMap::default(),
            scan_ids: SeenScanIds::default(),
        };
        Self {
            tickets: Mutex::new(tickets),
            window,
            created_at: Instant::now(),
        }
    }

    /// For how long this cache has collected scan ids.
    pub(crate) fn age(&self) -> Duration {
        self.created_at.elapsed()
    }

    /// The current epoch. Must be read before the database is.
    pub(crate) fn epoch(&self) -> TicketEpoch {
        self.tickets.lock().epoch
    }

    /// The ticket as it was last read, within the window.
    pub(crate) fn get(
        &self,
        organization: OrganizationId,
        code: TicketCode,
        now: Timestamp,
    ) -> Option<Arc<TicketFacts>> {
        let Tickets {
            entries, invalidated, ..
        } = &mut *self.tickets.lock();
        match entries.get(&(organization, code))? {
            TicketEntry::Ticket {
                facts,
                epoch,
                expires_at,
            } if now <= *expires_at => {
                let scopes = [None, Some(facts.ticket.event_id)].map(|event| (organization, event));
                let stale = scopes
                    .iter()
                    .any(|scope| invalidated.get(scope).is_some_and(|at| at > epoch));
                (!stale).then(|| Arc::clone(facts))
            }
            TicketEntry::Ticket { .. } | TicketEntry::Tombstone { .. } => None,
        }
    }

    /// Stores a ticket that a read which began at `epoch` found.
    pub(crate) fn put(&self, facts: TicketFacts, epoch: TicketEpoch, now: Timestamp) {
        let key = (facts.ticket.organization_id, facts.ticket.code);
        let expires_at = now.plus(self.window);
        self.replace(
            key,
            TicketEntry::Ticket {
                facts: Arc::new(facts),
                epoch,
                expires_at,
            },
            now,
        );
    }

    /// Invalidates a ticket that changed by something other than an admission. `version` is its version after the change.
    pub(crate) fn invalidate(
        &self,
        organization: OrganizationId,
        code: TicketCode,
        version: i64,
        now: Timestamp,
    ) {
        let expires_at = now.plus(self.window);
        self.replace(
            (organization, code),
            TicketEntry::Tombstone { version, expires_at },
            now,
        );
    }

    fn replace(&self, key: (OrganizationId, TicketCode), entry: TicketEntry, now: Timestamp) {
        let mut tickets = self.tickets.lock();
        let is_outdated = tickets.entries.peek(&key).is_some_and(|old| {
            let is_tombstone = matches!(old, TicketEntry::Tombstone { .. });
            now <= old.expires_at()
                && (old.version() > entry.version() || (is_tombstone && old.version() == entry.version()))
        });
        if is_outdated {
            return;
        }
        tickets.entries.put(key, entry);
        if tickets.entries.len() > MAX_TICKETS {
            tickets.entries.pop_lru();
        }
    }

    /// Invalidates the tickets of an event, after an import: no earlier read counts.
    pub(crate) fn invalidate_event(&self, organization: OrganizationId, event: EventId) {
        self.invalidate_all(organization, Some(event));
    }

    /// Invalidates the tickets of an organization, where it is unknown which of them changed: no earlier read counts.
    pub(crate) fn invalidate_organization(&self, organization: OrganizationId) {
        self.invalidate_all(organization, None);
    }

    fn invalidate_all(&self, organization: OrganizationId, event: Option<EventId>) {
        let mut tickets = self.tickets.lock();
        tickets.epoch.0 += 1;
        let epoch = tickets.epoch;
        tickets.invalidated.insert((organization, event), epoch);
    }

    /// Adds a scan id that a client chose. Returns whether this node remembers it from an earlier scan.
    pub(crate) fn mark_scan_seen(&self, organization: OrganizationId, scan: ScanId) -> bool {
        self.tickets.lock().scan_ids.mark_seen((organization, scan))
    }
}

#[cfg(test)]
mod tests;

//! The first cache tier: an LRU of recently scanned tickets in this process. It answers duplicates without a query.
//!
//! Invariants:
//! - A tier only denies. An entry is the ticket as the database had it, so that [`decide`](crate::rules::decide) gives the
//!   same reason as the database would.
//! - An older version never overwrites a newer one.
//! - A ticket that was read before an import of its event does not count after the import.
//! - A ticket that another node cached carries the change counter under which it was read. It does not count once this node
//!   knows a higher one, so that nothing that was invalidated comes back.
//! - Entries are keyed by organization and ticket code.

use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::model::{EventId, OrganizationId, TicketCode, TicketFacts, Timestamp};

/// The maximal number of tickets, about 13 MB.
const MAX_TICKETS: usize = 16_000;

/// For how long a ticket that is about to change is not answered from caches. The change and its message follow sooner.
const SUSPENSION: Duration = Duration::from_secs(2);

/// A point in the sequence of this cache's invalidations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct TicketEpoch(u64);

enum TicketEntry {
    Ticket {
        facts: Arc<TicketFacts>,
        epoch: TicketEpoch,
        expires_at: Timestamp,
    },
    /// The ticket changed by something other than an admission: this version and older ones do not count. The change may be
    /// another node's, whose clock may be wrong, so that the tombstone lives by this process's own.
    Tombstone { version: i64, expires_at: Instant },
}

impl TicketEntry {
    fn version(&self) -> i64 {
        match self {
            Self::Ticket { facts, .. } => facts.version,
            Self::Tombstone { version, .. } => *version,
        }
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        match self {
            Self::Ticket { expires_at, .. } => now > *expires_at,
            Self::Tombstone { expires_at, .. } => Instant::now() > *expires_at,
        }
    }
}

/// What is known of an organization's change counter for tickets.
struct KnownCounter {
    value: i64,
    /// When the value changed.
    #[cfg_attr(
        not(feature = "redis"),
        expect(dead_code, reason = "only entries of Redis carry the counter")
    )]
    changed_at: TicketEpoch,
    /// When tickets changed here or by a message. Until the counter is read again, what others cached may be older.
    outdated_at: Option<TicketEpoch>,
}

struct Tickets {
    epoch: TicketEpoch,
    entries: LruCache<(OrganizationId, TicketCode), TicketEntry>,
    /// When the tickets of an event were last invalidated; with `None`, those of the whole organization.
    invalidated: HashMap<(OrganizationId, Option<EventId>), TicketEpoch>,
    counters: HashMap<OrganizationId, KnownCounter>,
    /// Tickets that no cache answers until then.
    suspended: HashMap<(OrganizationId, TicketCode), Instant>,
}

impl Tickets {
    /// Whether a ticket that a read which began at `epoch` found was invalidated since.
    fn is_invalidated(&self, organization: OrganizationId, event: EventId, epoch: TicketEpoch) -> bool {
        let invalidated = |event| self.invalidated.get(&(organization, event));
        [None, Some(event)]
            .into_iter()
            .any(|event| invalidated(event).is_some_and(|&at| at > epoch))
    }

    fn is_suspended(&self, key: &(OrganizationId, TicketCode)) -> bool {
        // The map is almost always empty, and the clock need not be read.
        self.suspended
            .get(key)
            .is_some_and(|&until| Instant::now() < until)
    }

    /// Whether the cache holds something newer than `entry` under this key.
    fn has_newer(&self, key: &(OrganizationId, TicketCode), entry: &TicketEntry, now: Timestamp) -> bool {
        self.entries.peek(key).is_some_and(|old| {
            let is_tombstone = matches!(old, TicketEntry::Tombstone { .. });
            !old.is_expired(now)
                && (old.version() > entry.version() || (is_tombstone && old.version() == entry.version()))
        })
    }

    /// Stores an entry unless the cache holds something newer. Returns whether it did.
    fn replace(&mut self, key: (OrganizationId, TicketCode), entry: TicketEntry, now: Timestamp) -> bool {
        if self.has_newer(&key, &entry, now) {
            return false;
        }
        self.entries.put(key, entry);
        if self.entries.len() > MAX_TICKETS {
            self.entries.pop_lru();
        }
        true
    }

    /// Tickets changed, and the change counter that counts it is not known yet.
    fn mark_outdated(&mut self, organization: OrganizationId) {
        let epoch = self.next_epoch();
        if let Some(known) = self.counters.get_mut(&organization) {
            known.outdated_at = Some(epoch);
        }
    }

    fn next_epoch(&mut self) -> TicketEpoch {
        self.epoch.0 += 1;
        self.epoch
    }
}

/// The in-process cache of tickets.
pub(crate) struct TicketCache {
    tickets: Mutex<Tickets>,
    window: Duration,
}

impl TicketCache {
    /// An empty cache whose entries expire after `window`.
    pub(crate) fn new(window: Duration) -> Self {
        let tickets = Tickets {
            epoch: TicketEpoch(1),
            entries: LruCache::unbounded(),
            invalidated: HashMap::default(),
            counters: HashMap::default(),
            suspended: HashMap::default(),
        };
        Self {
            tickets: Mutex::new(tickets),
            window,
        }
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
        let mut tickets = self.tickets.lock();
        let key = (organization, code);
        let (facts, epoch) = match tickets.entries.get(&key)? {
            entry if entry.is_expired(now) => return None,
            TicketEntry::Ticket { facts, epoch, .. } => (Arc::clone(facts), *epoch),
            TicketEntry::Tombstone { .. } => return None,
        };
        let is_usable = !tickets.is_invalidated(organization, facts.ticket.event_id, epoch)
            && !tickets.is_suspended(&key);
        is_usable.then_some(facts)
    }

    /// Stores a ticket that a read which began at `epoch` found.
    pub(crate) fn put(&self, facts: TicketFacts, epoch: TicketEpoch, now: Timestamp) {
        let key = (facts.ticket.organization_id, facts.ticket.code);
        let entry = self.entry(&Arc::new(facts), epoch, now);
        self.tickets.lock().replace(key, entry, now);
    }

    fn entry(&self, facts: &Arc<TicketFacts>, epoch: TicketEpoch, now: Timestamp) -> TicketEntry {
        TicketEntry::Ticket {
            facts: Arc::clone(facts),
            epoch,
            expires_at: now.plus(self.window),
        }
    }

    /// Stores a ticket that another node cached, and returns it. It was read from the database while the organization's
    /// change counter had at least the value `counter`, and from the other cache after `epoch`. `None` if the ticket may have
    /// changed since: the counter is higher by now, or this node knows a newer version.
    #[cfg(feature = "redis")]
    pub(crate) fn accept(
        &self,
        facts: TicketFacts,
        counter: i64,
        epoch: TicketEpoch,
        now: Timestamp,
    ) -> Option<Arc<TicketFacts>> {
        let (organization, event) = (facts.ticket.organization_id, facts.ticket.event_id);
        let key = (organization, facts.ticket.code);
        let facts = Arc::new(facts);
        let entry = self.entry(&facts, epoch, now);
        let mut tickets = self.tickets.lock();
        let known = tickets.counters.get(&organization)?;
        let is_current = known.outdated_at.is_none() && counter >= known.value;
        if !is_current || tickets.is_invalidated(organization, event, epoch) || tickets.is_suspended(&key) {
            return None;
        }
        tickets.replace(key, entry, now).then_some(facts)
    }

    /// The change counter of an organization for tickets that were read after `epoch`. `None` if it is unknown, or if it
    /// changed since.
    #[cfg(feature = "redis")]
    pub(crate) fn counter_since(&self, organization: OrganizationId, epoch: TicketEpoch) -> Option<i64> {
        let tickets = self.tickets.lock();
        let known = tickets.counters.get(&organization)?;
        (known.changed_at <= epoch).then_some(known.value)
    }

    /// The change counter of an organization was read from the database after `epoch`. Returns whether it changed.
    pub(crate) fn set_counter(&self, organization: OrganizationId, value: i64, epoch: TicketEpoch) -> bool {
        let mut tickets = self.tickets.lock();
        let changed = tickets
            .counters
            .get(&organization)
            .is_none_or(|known| known.value != value);
        if changed {
            let changed_at = tickets.next_epoch();
            let outdated_at = tickets
                .counters
                .get(&organization)
                .and_then(|known| known.outdated_at);
            let known = KnownCounter {
                value,
                changed_at,
                outdated_at,
            };
            tickets.counters.insert(organization, known);
        }
        if let Some(known) = tickets.counters.get_mut(&organization) {
            known.outdated_at = known.outdated_at.filter(|&at| at > epoch);
        }
        changed
    }

    /// Invalidates a ticket that changed by something other than an admission. `version` is its version after the change.
    pub(crate) fn invalidate(&self, organization: OrganizationId, code: TicketCode, version: i64) {
        let expires_at = Instant::now() + self.window;
        let key = (organization, code);
        let mut tickets = self.tickets.lock();
        let is_newer = tickets
            .entries
            .peek(&key)
            .is_some_and(|old| old.version() > version);
        if !is_newer {
            tickets
                .entries
                .put(key, TicketEntry::Tombstone { version, expires_at });
            if tickets.entries.len() > MAX_TICKETS {
                tickets.entries.pop_lru();
            }
        }
        tickets.mark_outdated(organization);
    }

    /// Lets no cache answer scans of these tickets for a while, because they are about to change.
    pub(crate) fn suspend(&self, organization: OrganizationId, codes: &[TicketCode]) {
        if codes.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut tickets = self.tickets.lock();
        tickets.suspended.retain(|_, until| now < *until);
        for &code in codes {
            tickets.suspended.insert((organization, code), now + SUSPENSION);
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
        let epoch = tickets.next_epoch();
        tickets.invalidated.insert((organization, event), epoch);
        if event.is_some() {
            tickets.mark_outdated(organization);
        }
    }
}

#[cfg(test)]
mod tests;

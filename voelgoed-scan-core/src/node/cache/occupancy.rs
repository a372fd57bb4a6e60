//! Caches how many people are inside. A denial that is served from a cache shows these numbers.
//!
//! Invariants:
//! - The counts that a scan of this node changed are shown from the answer to that scan on. A read of the database that began
//!   before never overwrites them ([`OccupancyCache::begin_read`]), nor does an earlier read a later one.
//! - What another node counted overwrites no count that this node changed within the last second, because it may have been
//!   read before. The counts are then read again.
//! - Counts of an earlier day are not shown where the event counts people by day ([`OccupancyCache::get`]).

use std::time::Duration;

use foldhash::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::bus::EventKey;
use crate::model::{EventOccupancy, GateId, OrganizationId, Reason, ScanAnswer, Timestamp};

/// How old counts may be where no message tells of the scans of other nodes, and for how long the counts of this node take
/// precedence over those that another node publishes.
const MAX_AGE: Duration = Duration::from_secs(1);

/// A point in the sequence of this cache's changes and reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct OccupancyEpoch(u64);

/// Where the counts of a whole event come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OccupancySource {
    /// A read of the database that began at this point.
    Read(OccupancyEpoch),
    /// Another node, which read them at an unknown time.
    OtherNode,
}

#[derive(Clone, Copy)]
struct Count {
    inside: i64,
    epoch: OccupancyEpoch,
    at: Instant,
    /// The server's time at which it was true.
    true_at: Timestamp,
    /// Whether a scan of this node set it.
    is_local: bool,
}

#[derive(Default)]
struct InsideCounts {
    event: Option<Count>,
    gates: HashMap<GateId, Count>,
    /// When the counts were last removed: no earlier read counts.
    removed: Option<(OccupancyEpoch, Instant)>,
}

impl InsideCounts {
    /// Whether something newer than counts from this source is known since the counts were last removed.
    fn was_removed_after(&self, source: OccupancySource, now: Instant) -> bool {
        self.removed.is_some_and(|(epoch, at)| match source {
            OccupancySource::Read(began) => epoch > began,
            OccupancySource::OtherNode => now - at < MAX_AGE,
        })
    }

    fn remove(&mut self, epoch: OccupancyEpoch, now: Instant) {
        *self = Self {
            removed: Some((epoch, now)),
            ..Self::default()
        };
    }
}

impl Count {
    fn is_newer_than(&self, source: OccupancySource, now: Instant) -> bool {
        match source {
            OccupancySource::Read(began) => self.epoch > began,
            OccupancySource::OtherNode => self.is_local && now - self.at < MAX_AGE,
        }
    }
}

#[derive(Default)]
struct Events {
    epoch: OccupancyEpoch,
    counts: HashMap<EventKey, InsideCounts>,
}

impl Events {
    fn next_epoch(&mut self) -> OccupancyEpoch {
        self.epoch.0 += 1;
        self.epoch
    }
}

/// People inside, by event.
#[derive(Default)]
pub(crate) struct OccupancyCache(Mutex<Events>);

impl OccupancyCache {
    /// A point before a read of the database begins.
    pub(crate) fn begin_read(&self) -> OccupancyEpoch {
        self.0.lock().next_epoch()
    }

    /// Stores the counts of the answers that the database decided in one write.
    pub(crate) fn put_answers<'a>(
        &self,
        answers: impl Iterator<Item = (OrganizationId, &'a ScanAnswer)> + Clone,
        now: Instant,
    ) {
        let mut events = self.0.lock();
        let epoch = events.next_epoch();
        // The answers are not in the order in which the scans were decided. Entries only raise a count.
        let raise = |count: Option<&Count>, inside: i64, at: Timestamp| {
            let before = count.filter(|count| count.epoch == epoch);
            Count {
                inside: before.map_or(inside, |before| before.inside.max(inside)),
                epoch,
                at: now,
                // A day may begin between the answers. Then the counts are those of before.
                true_at: before.map_or(at, |before| before.true_at.min(at)),
                is_local: true,
            }
        };
        for (organization, answer) in answers.clone() {
            let counts = events.counts.entry((organization, answer.event_id)).or_default();
            let ScanAnswer {
                occupancy,
                scanned_at,
                ..
            } = answer;
            counts.event = Some(raise(counts.event.as_ref(), occupancy.event.inside, *scanned_at));
            let gate = raise(
                counts.gates.get(&answer.gate.id),
                occupancy.gate.inside,
                *scanned_at,
            );
            counts.gates.insert(answer.gate.id, gate);
        }
        // Somebody left, perhaps through another gate than that of the scan.
        for (organization, answer) in answers {
            if matches!(answer.reason, Reason::Exited | Reason::Readmitted)
                && let Some(counts) = events.counts.get_mut(&(organization, answer.event_id))
            {
                counts.remove(epoch, now);
            }
        }
    }

    /// Stores the counts of a whole event, which were true at the server's time `true_at`. Returns whether all of them were
    /// stored.
    pub(crate) fn put_event(
        &self,
        event: EventKey,
        occupancy: &EventOccupancy,
        source: OccupancySource,
        true_at: Timestamp,
        now: Instant,
    ) -> bool {
        let mut events = self.0.lock();
        let epoch = match source {
            OccupancySource::Read(began) => began,
            OccupancySource::OtherNode => events.next_epoch(),
        };
        let counts = events.counts.entry(event).or_default();
        if counts.was_removed_after(source, now) {
            return false;
        }
        let count = |inside| Count {
            inside,
            epoch,
            at: now,
            true_at,
            is_local: false,
        };
        let mut complete = true;
        if counts.event.is_some_and(|count| count.is_newer_than(source, now)) {
            complete = false;
        } else {
            counts.event = Some(count(occupancy.event.inside));
        }
        for gate in &occupancy.gates {
            let known = counts.gates.get(&gate.id);
            if known.is_some_and(|count| count.is_newer_than(source, now)) {
                complete = false;
            } else {
                counts.gates.insert(gate.id, count(gate.count.inside));
            }
        }
        complete
    }

    /// How many people are inside by a gate, and in its event; `None` where either is not cached. Counts from before `since`,
    /// the start of the day of an event that counts people by day, are not shown. With `recent_at`, counts must be of the second
    /// before that time, because no message tells what other nodes changed.
    pub(crate) fn get(
        &self,
        event: EventKey,
        gate: GateId,
        since: Timestamp,
        recent_at: Option<Instant>,
    ) -> Option<(i64, i64)> {
        let events = self.0.lock();
        let counts = events.counts.get(&event)?;
        let (of_event, of_gate) = (counts.event?, counts.gates.get(&gate)?);
        let at = of_event.at.min(of_gate.at);
        let is_recent = recent_at.is_none_or(|now| now - at < MAX_AGE);
        let is_of_today = of_event.true_at.min(of_gate.true_at) >= since;
        (is_recent && is_of_today).then_some((of_gate.inside, of_event.inside))
    }

    /// Removes an event whose counts changed by something other than a scan at a gate.
    pub(crate) fn remove_event(&self, event: EventKey) {
        let now = Instant::now();
        let mut events = self.0.lock();
        let epoch = events.next_epoch();
        events.counts.entry(event).or_default().remove(epoch, now);
    }

    /// Removes all events of an organization, where it is unknown which of them changed.
    pub(crate) fn remove_organization(&self, organization: OrganizationId) {
        let now = Instant::now();
        let mut events = self.0.lock();
        let epoch = events.next_epoch();
        for ((of, _), counts) in &mut events.counts {
            if *of == organization {
                counts.remove(epoch, now);
            }
        }
    }
}

#[cfg(test)]
mod tests;

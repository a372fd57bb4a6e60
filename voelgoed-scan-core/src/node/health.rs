//! The health of a node as plain numbers, for metrics. Counting uses relaxed atomics, so that it costs a scan next to
//! nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::model::SignalKind;
use crate::rules::ConflictKind;
use crate::store::PoolUse;

/// The health of a node. Counts are since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeHealth {
    /// Whether the database answered the last query of the change counters, which runs at least twice a second.
    pub database_up: bool,
    /// The connections to the database.
    pub pools: Vec<PoolUse>,
    /// The ticket cache in Redis; `None` without Redis.
    #[cfg(feature = "redis")]
    pub redis: Option<crate::node::RedisHealth>,
    /// Whether the bus to the other nodes is up; `None` without a bus.
    pub bus_up: Option<bool>,
    /// The writes of scans.
    pub writes: WriteCounts,
    /// The number of subscriptions to the feed.
    pub subscriptions: usize,
    /// How many signals this node opened, by kind.
    pub signals: Vec<(SignalKind, u64)>,
    /// The conflicts that uploads to this node opened, by kind.
    pub conflicts: Vec<(ConflictKind, u64)>,
}

/// The upper bounds of the buckets that count writes by their duration: from a fast disk, over a slow one, to a database
/// in trouble.
pub const WRITE_DURATION_BUCKETS: [Duration; 12] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// What the write queue has written, and what it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteCounts {
    /// Successful and failed writes by their duration: one count for each of [`WRITE_DURATION_BUCKETS`], whose bound is
    /// inclusive, and one for longer writes.
    pub durations: [u64; WRITE_DURATION_BUCKETS.len() + 1],
    /// Failed writes.
    pub failed: u64,
    /// Scans in successful writes.
    pub scans: u64,
    /// Time spent in writes, summed over writes that run at the same time. On PostgreSQL writes of several organizations run
    /// at once: normally at most two, at most four where they take 5 to 100 ms, and never more than twelve.
    pub busy: Duration,
    /// Scans that wait for a write.
    pub queued_scans: usize,
    /// Denials that were answered from a cache and are not in the audit trail yet.
    pub pending_denials: usize,
}

/// The counters of the write queue.
#[derive(Debug, Default)]
pub(crate) struct WriteStats {
    durations: [AtomicU64; WRITE_DURATION_BUCKETS.len() + 1],
    failed: AtomicU64,
    scans: AtomicU64,
    busy_micros: AtomicU64,
}

impl WriteStats {
    /// Counts a write.
    pub(crate) fn record_write(&self, scans: usize, succeeded: bool, duration: Duration) {
        let bucket = WRITE_DURATION_BUCKETS.partition_point(|bound| *bound < duration);
        if let Some(count) = self.durations.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if succeeded {
            self.scans.fetch_add(scans as u64, Ordering::Relaxed);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.busy_micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self, queued_scans: usize, pending_denials: usize) -> WriteCounts {
        WriteCounts {
            durations: std::array::from_fn(|bucket| {
                self.durations
                    .get(bucket)
                    .map_or(0, |count| count.load(Ordering::Relaxed))
            }),
            failed: self.failed.load(Ordering::Relaxed),
            scans: self.scans.load(Ordering::Relaxed),
            busy: Duration::from_micros(self.busy_micros.load(Ordering::Relaxed)),
            queued_scans,
            pending_denials,
        }
    }
}

/// How many conflicts this node recorded, by kind.
#[derive(Debug, Default)]
pub(crate) struct ConflictStats([AtomicU64; ConflictKind::ALL.len()]);

impl ConflictStats {
    pub(crate) fn record(&self, kind: ConflictKind) {
        let of_kind = ConflictKind::ALL
            .iter()
            .zip(&self.0)
            .find(|(one, _)| **one == kind);
        if let Some((_, count)) = of_kind {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn counts(&self) -> Vec<(ConflictKind, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        ConflictKind::ALL.iter().copied().zip(counts).collect()
    }
}

/// Whether the database answered the last query of the change counters.
#[derive(Debug)]
pub(crate) struct DatabaseLiveness(AtomicBool);

impl Default for DatabaseLiveness {
    /// Up: a node starts only with a database that answers.
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl DatabaseLiveness {
    pub(crate) fn set_up(&self, up: bool) {
        self.0.store(up, Ordering::Relaxed);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_a_duration_bucket_is_inclusive() {
        let stats = WriteStats::default();
        let durations = [500, 501, 1000, 5_000_000, 5_000_001].map(Duration::from_micros);
        for duration in durations {
            stats.record_write(2, true, duration);
        }
        let counts = stats.counts(0, 0);
        assert_eq!(counts.durations, [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(counts.busy, durations.iter().sum());
        assert_eq!((counts.scans, counts.failed), (10, 0));
    }
}

//! How is this node doing? Plain numbers for whoever watches over it; counting costs a scan nothing that it notices.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::store::PoolUse;

/// How a node is doing. Counts are since its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeHealth {
    /// Whether the database answered when it was last asked for its change counters, which is at least twice a second.
    pub database_up: bool,
    /// The connections to the database.
    pub pools: Vec<PoolUse>,
    /// How the second tier is doing; `None` where there is none.
    #[cfg(feature = "redis")]
    pub redis: Option<crate::node::TierHealth>,
    /// Whether the way to the other nodes is up; `None` where there is none.
    pub bus_up: Option<bool>,
    /// What goes to the database.
    pub writes: WriteCounts,
    /// Who listens to events here.
    pub listeners: usize,
}

/// Upper ends of the classes by which writes are counted: a fast disk, a slow one, a database in trouble.
pub const WRITE_TIMES: [Duration; 12] = [
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

/// What the recorder wrote, and what it still has to write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteCounts {
    /// Writes, done and failed, by the time that they took: each up to its end of [`WRITE_TIMES`], the last longer.
    pub took: [u64; WRITE_TIMES.len() + 1],
    /// Writes that the database failed.
    pub failed: u64,
    /// Scans in the writes that were done.
    pub scans: u64,
    /// Time spent in writes: there is one at a time, so that a second in a second is all that one node can do.
    pub busy: Duration,
    /// Scans that wait for a write.
    pub waiting: usize,
    /// Denials that a tier answered and the audit trail does not have yet.
    pub denials_waiting: usize,
}

/// The recorder's counters.
#[derive(Debug, Default)]
pub(crate) struct WriteStats {
    took: [AtomicU64; WRITE_TIMES.len() + 1],
    failed: AtomicU64,
    scans: AtomicU64,
    busy_micros: AtomicU64,
}

impl WriteStats {
    /// A write ended.
    pub(crate) fn wrote(&self, scans: usize, done: bool, took: Duration) {
        let class = WRITE_TIMES.partition_point(|end| *end < took);
        if let Some(class) = self.took.get(class) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        if done {
            self.scans.fetch_add(scans as u64, Ordering::Relaxed);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.busy_micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self, waiting: usize, denials_waiting: usize) -> WriteCounts {
        WriteCounts {
            took: std::array::from_fn(|class| {
                self.took
                    .get(class)
                    .map_or(0, |count| count.load(Ordering::Relaxed))
            }),
            failed: self.failed.load(Ordering::Relaxed),
            scans: self.scans.load(Ordering::Relaxed),
            busy: Duration::from_micros(self.busy_micros.load(Ordering::Relaxed)),
            waiting,
            denials_waiting,
        }
    }
}

/// Whether the database answered when it was last asked.
#[derive(Debug)]
pub(crate) struct DatabaseLiveness(AtomicBool);

impl Default for DatabaseLiveness {
    /// A gate is put together only over a database that answers.
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl DatabaseLiveness {
    pub(crate) fn note(&self, answered: bool) {
        self.0.store(answered, Ordering::Relaxed);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_counted_up_to_the_end_of_its_class() {
        let tally = WriteStats::default();
        let times = [500, 501, 1000, 5_000_000, 5_000_001].map(Duration::from_micros);
        for took in times {
            tally.wrote(2, true, took);
        }
        let counts = tally.counts(0, 0);
        assert_eq!(counts.took, [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(counts.busy, times.iter().sum());
        assert_eq!((counts.scans, counts.failed), (10, 0));
    }
}

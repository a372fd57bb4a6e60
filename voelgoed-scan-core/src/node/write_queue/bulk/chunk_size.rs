//! The number of items in a chunk, such that the chunk takes about a target time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The size of the first chunk.
const FIRST_ITEMS: usize = 128;

/// Smaller chunks take hardly less time, because their commit costs more than their items. On a slow disk they would only
/// multiply the commits, and bulk work would hardly get on.
const MIN_ITEMS: usize = 64;

/// The items of the largest chunk.
const MAX_ITEMS: usize = 3000;

/// A chunk size that follows the durations of the chunks that were written.
pub(in crate::node::write_queue) struct ChunkSize {
    target: Duration,
    items: AtomicUsize,
}

impl ChunkSize {
    pub(in crate::node::write_queue) fn new(target: Duration) -> Self {
        Self {
            target,
            items: AtomicUsize::new(FIRST_ITEMS),
        }
    }

    /// The maximum number of items of the next chunk.
    pub(in crate::node::write_queue) fn items(&self) -> usize {
        self.items.load(Ordering::Relaxed)
    }

    /// Takes the duration of a chunk into account. The size at most halves or doubles, because one duration may be an
    /// outlier. A chunk that was much smaller than it could be says nothing about larger ones unless it was too slow.
    pub(in crate::node::write_queue) fn record(&self, items: usize, duration: Duration) {
        if items == 0 {
            return;
        }
        let size = self.items();
        let fits = duration <= self.target;
        if fits && items < size / 2 {
            return;
        }
        let nanos = duration.as_nanos().max(1);
        let wanted = self.target.as_nanos().saturating_mul(items as u128) / nanos;
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let wanted = wanted.clamp(size / 2, size * 2).clamp(MIN_ITEMS, MAX_ITEMS);
        self.items.store(wanted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(20);

    #[test]
    fn the_size_follows_the_duration_of_the_chunks() {
        // Duration of the chunk in milliseconds, items of the chunk, size after it.
        let cases = [
            (10, 128, 256),
            (20, 128, 128),
            (16, 128, 160),
            (40, 128, 64),
            (1, 128, 256),
            (500, 128, 64),
            (1, 10, 128),
            (40, 10, 64),
            (30, 0, 128),
        ];
        for (millis, items, expected) in cases {
            let size = ChunkSize::new(TARGET);
            size.record(items, Duration::from_millis(millis));
            assert_eq!(size.items(), expected, "{items} items in {millis} ms");
        }
    }

    #[test]
    fn the_size_stays_within_its_bounds() {
        let size = ChunkSize::new(TARGET);
        for _ in 0..20 {
            size.record(size.items(), Duration::from_millis(1));
        }
        assert_eq!(size.items(), MAX_ITEMS);
        for _ in 0..20 {
            size.record(size.items(), Duration::from_secs(1));
        }
        assert_eq!(size.items(), MIN_ITEMS);
    }
}

//! How long did answers take? A histogram to three digits, and what is told of it.

use std::time::Duration;

use comfy_table::Cell;
use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest latency that is told from longer ones, in microseconds.
const LONGEST: u64 = 120_000_000;

/// Latencies.
#[derive(Debug, Clone)]
pub(super) struct Latencies(Histogram<u64>);

/// Percentiles of latencies, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Summary {
    /// How many.
    pub(super) count: u64,
    /// Half of them took at most this long.
    pub(super) p50: f64,
    /// 95 of a hundred did.
    pub(super) p95: f64,
    /// 99 of a hundred did.
    pub(super) p99: f64,
    /// All of them did.
    pub(super) max: f64,
}

impl Latencies {
    /// None yet.
    pub(super) fn new() -> Self {
        #[expect(clippy::expect_used, reason = "constant bounds")]
        let histogram =
            Histogram::new_with_bounds(1, LONGEST, 3).expect("1 to two minutes at three digits are bounds");
        Self(histogram)
    }

    /// None yet, to two digits: small enough to have one for each of many things.
    pub(super) fn coarse() -> Self {
        #[expect(clippy::expect_used, reason = "constant bounds")]
        let histogram =
            Histogram::new_with_bounds(1, LONGEST, 2).expect("1 to two minutes at two digits are bounds");
        Self(histogram)
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Counts one.
    pub(super) fn take(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros);
    }

    /// Counts those of another.
    pub(super) fn add(&mut self, other: &Self) {
        let added = self.0.add(&other.0);
        debug_assert!(added.is_ok(), "all have the same bounds");
    }

    /// What is told of them.
    pub(super) fn summary(&self) -> Summary {
        let at = |quantile| millis(self.0.value_at_quantile(quantile).min(self.0.max()));
        Summary {
            count: self.0.len(),
            p50: at(0.50),
            p95: at(0.95),
            p99: at(0.99),
            max: millis(self.0.max()),
        }
    }
}

impl Summary {
    /// The names of the columns that [`Self::cells`] fills.
    pub(super) const HEAD: [&'static str; 5] = ["COUNT", "P50", "P95", "P99", "MAX"];

    /// The percentiles as a row of a table.
    pub(super) fn cells(&self) -> [Cell; 5] {
        let ms = |value| Cell::new(format!("{value:.2} ms"));
        [
            Cell::new(self.count),
            ms(self.p50),
            ms(self.p95),
            ms(self.p99),
            ms(self.max),
        ]
    }
}

/// Microseconds as milliseconds.
fn millis(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_that_was_counted_wherever_it_was() {
        let (mut one, mut other) = (Latencies::new(), Latencies::new());
        for at in 1..=50 {
            one.take(Duration::from_millis(at));
            other.take(Duration::from_millis(at + 50));
        }
        other.take(Duration::from_hours(1));
        one.add(&other);
        let summary = one.summary();
        assert_eq!(summary.count, 101);
        for (told, due) in [(summary.p50, 51.0), (summary.p95, 96.0), (summary.max, 120_000.0)] {
            assert!((told - due).abs() <= due / 1000.0 + 0.1, "{told} for {due}");
        }
    }
}

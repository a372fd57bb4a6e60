//! Latency histograms, their percentiles, and the table that shows them.

use std::time::Duration;

use comfy_table::Cell;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::output::{align_right, new_table, render_table};

/// The largest latency of a histogram, in microseconds. Longer ones count as this.
const MAX_LATENCY_MICROS: u64 = 120_000_000;

/// A histogram of latencies.
#[derive(Debug, Clone)]
pub(super) struct Latencies(Histogram<u64>);

/// Percentiles of latencies, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Summary {
    /// The number of latencies.
    pub(super) count: u64,
    /// The median.
    pub(super) p50: f64,
    /// The 95th percentile.
    pub(super) p95: f64,
    /// The 99th percentile.
    pub(super) p99: f64,
    /// The largest latency.
    pub(super) max: f64,
}

impl Latencies {
    /// An empty histogram with a resolution of three significant digits.
    pub(super) fn new() -> Self {
        #[expect(clippy::expect_used, reason = "constant bounds")]
        let histogram = Histogram::new_with_bounds(1, MAX_LATENCY_MICROS, 3)
            .expect("1 µs to 2 min with three digits are valid bounds");
        Self(histogram)
    }

    /// An empty histogram with a resolution of two significant digits, small enough to keep one for each device.
    pub(super) fn coarse() -> Self {
        #[expect(clippy::expect_used, reason = "constant bounds")]
        let histogram = Histogram::new_with_bounds(1, MAX_LATENCY_MICROS, 2)
            .expect("1 µs to 2 min with two digits are valid bounds");
        Self(histogram)
    }

    /// The number of latencies.
    pub(super) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Records a latency.
    pub(super) fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros);
    }

    /// Adds the latencies of another histogram.
    pub(super) fn add(&mut self, other: &Self) {
        let added = self.0.add(&other.0);
        debug_assert!(added.is_ok(), "all histograms have the same bounds");
    }

    /// The percentiles.
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
    const COLUMNS: [&'static str; 5] = ["COUNT", "P50", "P95", "P99", "MAX"];

    /// The percentiles as cells of a table row.
    fn cells(&self) -> [Cell; 5] {
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

/// Shows summaries as a table, one a row. `first_column` is the name of the column with the row names.
pub(super) fn latency_table<'a>(
    first_column: &str,
    rows: impl IntoIterator<Item = (Cell, &'a Summary)>,
) -> String {
    let columns = [[first_column].as_slice(), Summary::COLUMNS.as_slice()].concat();
    let mut table = new_table(&columns);
    for (name, summary) in rows {
        let mut cells = vec![name];
        cells.extend(summary.cells());
        table.add_row(cells);
    }
    align_right(&mut table);
    render_table(&table)
}

/// Microseconds as milliseconds.
fn millis(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_cover_the_latencies_of_all_added_histograms() {
        let (mut one, mut other) = (Latencies::new(), Latencies::new());
        for at in 1..=50 {
            one.record(Duration::from_millis(at));
            other.record(Duration::from_millis(at + 50));
        }
        other.record(Duration::from_hours(1));
        one.add(&other);
        let summary = one.summary();
        assert_eq!(summary.count, 101);
        for (actual, expected) in [(summary.p50, 51.0), (summary.p95, 96.0), (summary.max, 120_000.0)] {
            assert!(
                (actual - expected).abs() <= expected / 1000.0 + 0.1,
                "{actual} for {expected}"
            );
        }
    }
}

//! The report of a load test, as JSON and as text.

use std::collections::BTreeMap;
use std::fmt;

use comfy_table::Cell;
use serde::Serialize;
use voelgoed_scan_core::model::ScanResult;

use super::super::latency::{Summary, latency_table};
use super::event_copy::Leftovers;
use super::measurements::Measurements;
use super::recommendation::{Measured, Recommendation};
use crate::output::{TextStyle, styled};

/// The results of a load test.
#[derive(Debug, Serialize)]
pub(super) struct RehearsalReport {
    /// `open`: scans at a fixed rate. `closed`: each client scans as soon as it has its answer.
    mode: &'static str,
    clients: u32,
    /// The requested scans a second.
    rate: Option<u32>,
    /// The duration of the measurement.
    seconds: f64,
    /// The decided scans a second.
    scans_per_second: f64,
    latency_ms: Summary,
    results: BTreeMap<ScanResult, Summary>,
    decided_by: BTreeMap<&'static str, u64>,
    /// The number of errors by code.
    pub(super) errors: BTreeMap<String, u64>,
    #[serde(rename = "left")]
    leftovers: Leftovers,
    recommendation: Recommendation,
}

impl RehearsalReport {
    pub(super) fn new(
        measurements: &Measurements,
        clients: u32,
        rate: Option<u32>,
        leftovers: Leftovers,
    ) -> Self {
        let latency_ms = measurements.latencies.summary();
        let results = measurements
            .by_result
            .iter()
            .map(|(result, latencies)| (*result, latencies.summary()))
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let scans_per_second = latency_ms.count as f64 / measurements.seconds.max(0.001);
        let recommendation = Recommendation::of(&Measured {
            clients,
            rate,
            scans_per_second,
            p99_ms: latency_ms.p99,
            errors: &measurements.errors,
            tickets_ran_out: measurements.tickets_ran_out,
        });
        Self {
            mode: if rate.is_some() { "open" } else { "closed" },
            clients,
            rate,
            seconds: measurements.seconds,
            scans_per_second,
            latency_ms,
            results,
            decided_by: measurements.decided_by.clone(),
            errors: measurements.errors.clone(),
            leftovers,
            recommendation,
        }
    }
}

impl fmt::Display for RehearsalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requested = self
            .rate
            .map_or_else(String::new, |rate| format!(" of {rate} requested"));
        let title = format!(
            "{:.0} scans/s{requested}, {} devices, {:.0} s",
            self.scans_per_second, self.clients, self.seconds
        );
        writeln!(f, "{}\n", styled(TextStyle::Heading, &title))?;
        let rows = self
            .results
            .iter()
            .map(|(result, summary)| (result.as_str(), summary))
            .chain([("all", &self.latency_ms)])
            .map(|(name, summary)| (Cell::new(name), summary));
        writeln!(f, "{}\n", latency_table("RESULT", rows))?;
        writeln!(f, "decided by  {}", counts(&self.decided_by))?;
        let errors = if self.errors.is_empty() {
            styled(TextStyle::Success, "none")
        } else {
            styled(TextStyle::Error, &counts(&self.errors))
        };
        writeln!(f, "errors      {errors}")?;
        let leftovers = format!(
            "archived event {}, {} revoked devices, {} tickets",
            self.leftovers.event_id, self.leftovers.devices, self.leftovers.tickets
        );
        writeln!(f, "left        {}\n", styled(TextStyle::Dim, &leftovers))?;
        write!(f, "{}", self.recommendation.text)
    }
}

fn counts<K: fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    let counts: Vec<_> = counts
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    counts.join("  ")
}

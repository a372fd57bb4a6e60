//! The measurements of a load test: latencies in histograms, answers by result, errors by code.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use indicatif::ProgressBar;
use serde::Deserialize;
use voelgoed_scan_core::model::{DecidedBy, ScanResult};

use super::super::latency::Latencies;
use super::connection::ConnectionError;

/// The interval at which the progress line changes.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// The part of a scan's answer that is counted.
#[derive(Deserialize)]
struct Answer {
    result: ScanResult,
    decided_by: DecidedBy,
}

/// The part of a problem document that is counted.
#[derive(Deserialize)]
struct ErrorCode {
    code: String,
}

/// The measurements of one or more devices.
#[derive(Debug, Clone)]
pub(super) struct Measurements {
    pub(super) latencies: Latencies,
    pub(super) by_result: BTreeMap<ScanResult, Latencies>,
    pub(super) decided_by: BTreeMap<&'static str, u64>,
    pub(super) errors: BTreeMap<String, u64>,
    /// Whether there were fewer tickets than scans.
    pub(super) tickets_ran_out: bool,
    /// The duration of the measurement.
    pub(super) seconds: f64,
}

impl Measurements {
    pub(super) fn new() -> Self {
        Self {
            latencies: Latencies::new(),
            by_result: BTreeMap::new(),
            decided_by: BTreeMap::new(),
            errors: BTreeMap::new(),
            tickets_ran_out: false,
            seconds: 0.0,
        }
    }

    /// Records the outcome of a scan, if it `counts`. Returns whether the scan was decided.
    ///
    /// The outcome of a scan that does not count is parsed as well, so that it costs this program as much.
    pub(super) fn record(
        &mut self,
        outcome: Result<&(StatusCode, Bytes), &ConnectionError>,
        latency: Duration,
        counts: bool,
    ) -> bool {
        let answer = match outcome {
            Ok((StatusCode::OK, body)) => {
                serde_json::from_slice::<Answer>(body).map_err(|_| "unreadable".to_owned())
            }
            Ok((status, body)) => Err(serde_json::from_slice::<ErrorCode>(body)
                .map_or_else(|_| status.as_u16().to_string(), |error| error.code)),
            Err(ConnectionError) => Err("out_of_reach".to_owned()),
        };
        let is_decided = answer.is_ok();
        if !counts {
            return is_decided;
        }
        match answer {
            Ok(Answer { result, decided_by }) => {
                self.latencies.record(latency);
                self.by_result
                    .entry(result)
                    .or_insert_with(Latencies::new)
                    .record(latency);
                *self.decided_by.entry(decided_by.as_str()).or_default() += 1;
            }
            Err(code) => *self.errors.entry(code).or_default() += 1,
        }
        is_decided
    }

    /// Counts a scan that was due but was not sent before the run ended.
    pub(super) fn record_not_sent(&mut self) {
        *self.errors.entry("not_sent".to_owned()).or_default() += 1;
    }

    /// Adds the measurements of another device.
    pub(super) fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies);
        for (result, latencies) in &other.by_result {
            self.by_result
                .entry(*result)
                .or_insert_with(Latencies::new)
                .add(latencies);
        }
        for (tier, count) in &other.decided_by {
            *self.decided_by.entry(tier).or_default() += count;
        }
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
        self.tickets_ran_out |= other.tickets_ran_out;
    }
}

/// The counters of a running load test, which all devices share.
#[derive(Debug, Default)]
pub(super) struct LiveCounters {
    decided: AtomicU64,
    failed: AtomicU64,
}

impl LiveCounters {
    pub(super) fn add(&self, is_decided: bool) {
        let count = if is_decided { &self.decided } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows the counters on a progress bar until the future is dropped.
    pub(super) async fn show(self: Arc<Self>, bar: ProgressBar, total: Duration) {
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        let (mut passed, mut before) = (Duration::ZERO, 0);
        loop {
            ticks.tick().await;
            let decided = self.decided.load(Ordering::Relaxed);
            let failed = self.failed.load(Ordering::Relaxed);
            let rate = (decided - before) * 4;
            before = decided;
            bar.set_message(format!(
                "{}/{} s  {decided} scans  {rate}/s  {failed} errors",
                passed.as_secs(),
                total.as_secs()
            ));
            passed += PROGRESS_INTERVAL;
        }
    }
}

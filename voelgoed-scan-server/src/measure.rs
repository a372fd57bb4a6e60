//! What is counted? Requests, scans and connections, for Prometheus; and how the node is doing.

mod health;

use std::hash::Hash;
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::Duration;

use foldhash::HashMap;
use hyper::{Method, StatusCode};
use metrics::{Counter, Gauge, Histogram, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use voelgoed_scan_core::model::{DecidedBy, ScanAnswer, ScanResult, Warning};
use voelgoed_scan_core::node::NodeHealth;

use crate::log;

const REQUESTS: &str = "voelgoed_scan_http_requests_total";
const REQUEST_SECONDS: &str = "voelgoed_scan_http_request_duration_seconds";
const CONNECTIONS: &str = "voelgoed_scan_http_connections";
const SCANS: &str = "voelgoed_scan_scans_total";
const SCAN_SECONDS: &str = "voelgoed_scan_scan_duration_seconds";
const RATE_LIMITED: &str = "voelgoed_scan_rate_limited_total";
const CLOCK_SKEW: &str = "voelgoed_scan_clock_skew_total";
const LOG_DROPPED: &str = "voelgoed_scan_log_lines_dropped_total";

/// Upper ends of the histograms' buckets, in seconds: from a cache hit to a database in trouble.
const BUCKETS: [f64; 13] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
];

/// The counters of this process: several servers in one process share them, as they share its memory.
static PROCESS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// What is counted and timed under one set of labels; kept, because to look it up by name costs more than to count.
struct Series {
    count: Counter,
    seconds: Histogram,
}

/// Series by what their labels are made of.
struct Kept<K>(RwLock<HashMap<K, Series>>);

impl<K: Eq + Hash> Kept<K> {
    fn new() -> Self {
        Self(RwLock::new(HashMap::default()))
    }

    fn count(&self, key: K, took: Duration, make: impl FnOnce(&K) -> Series) {
        let add = |series: &Series| {
            series.count.increment(1);
            series.seconds.record(took);
        };
        if let Some(series) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return add(series);
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let series = make(&key);
        add(all.entry(key).or_insert(series));
    }
}

/// The counters of a server.
pub(crate) struct Measures {
    handle: Option<PrometheusHandle>,
    /// By method, route and status.
    requests: Kept<(&'static str, &'static str, StatusCode)>,
    scans: Kept<(ScanResult, DecidedBy)>,
    connections: Gauge,
    rate_limited: Counter,
    clock_skew: Counter,
    log_dropped: Counter,
}

impl Measures {
    /// Takes up the process's counters, and makes them where they are missing.
    pub(crate) fn new() -> Self {
        let handle = PROCESS.get_or_init(install).clone();
        Self {
            handle,
            requests: Kept::new(),
            scans: Kept::new(),
            connections: metrics::gauge!(CONNECTIONS),
            rate_limited: metrics::counter!(RATE_LIMITED),
            clock_skew: metrics::counter!(CLOCK_SKEW),
            log_dropped: metrics::counter!(LOG_DROPPED),
        }
    }

    /// The text that Prometheus reads: what the process counted, and how this node is doing.
    pub(crate) fn render(&self, health: &NodeHealth, database: &'static str) -> String {
        self.log_dropped.absolute(log::dropped());
        let mut text = self
            .handle
            .as_ref()
            .map(PrometheusHandle::render)
            .unwrap_or_default();
        health::render(&mut text, health, database);
        text
    }

    /// Sums up what was measured since the last time, so that it takes no more memory while nobody reads it.
    pub(crate) fn sum_up(&self) {
        if let Some(handle) = &self.handle {
            handle.run_upkeep();
        }
    }

    /// A request was answered.
    pub(crate) fn answered(&self, method: &Method, route: &'static str, status: StatusCode, took: Duration) {
        let labels = (method_name(method), route, status);
        self.requests
            .count(labels, took, |&(method, route, status)| Series {
                count: metrics::counter!(
                    REQUESTS, "method" => method, "route" => route, "status" => status_text(status)
                ),
                seconds: metrics::histogram!(REQUEST_SECONDS, "method" => method, "route" => route),
            });
    }

    /// A scan was decided.
    pub(crate) fn scanned(&self, answer: &ScanAnswer, took: Duration) {
        self.scans.count(
            (answer.result, answer.decided_by),
            took,
            |(result, decided_by)| Series {
                count: metrics::counter!(
                    SCANS, "result" => result.as_str(), "decided_by" => decided_by.as_str()
                ),
                seconds: metrics::histogram!(SCAN_SECONDS, "decided_by" => decided_by.as_str()),
            },
        );
        if answer.warnings.contains(&Warning::ClockSkew) {
            self.clock_skew.increment(1);
        }
    }

    /// A device called too often.
    pub(crate) fn limited(&self) {
        self.rate_limited.increment(1);
    }

    /// A connection was opened; it counts until what is returned is dropped.
    pub(crate) fn connected(&self) -> Connected {
        self.connections.increment(1);
        Connected(self.connections.clone())
    }
}

/// A connection that is open.
pub(crate) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

fn install() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .inspect_err(|error| tracing::error!(%error, "no histograms"))
        .ok()?;
    let recorder: PrometheusRecorder = builder.build_recorder();
    let handle = recorder.handle();
    // A program that embeds the server may count by itself; then its recorder gets these counters too.
    metrics::set_global_recorder(recorder).ok()?;
    metrics::describe_counter!(
        REQUESTS,
        Unit::Count,
        "Requests answered, by method, route and status."
    );
    metrics::describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "Time from the request's head to the answer's, by method and route."
    );
    metrics::describe_gauge!(CONNECTIONS, Unit::Count, "Connections that are open.");
    metrics::describe_counter!(
        SCANS,
        Unit::Count,
        "Scans answered, by result and by who decided."
    );
    metrics::describe_histogram!(
        SCAN_SECONDS,
        Unit::Seconds,
        "Time to decide a scan and, where a person came in, to record it, by who decided."
    );
    metrics::describe_counter!(
        RATE_LIMITED,
        Unit::Count,
        "Calls refused because their device called too often."
    );
    metrics::describe_counter!(
        CLOCK_SKEW,
        Unit::Count,
        "Scans whose device's clock was more than 300 s away from this node's."
    );
    metrics::describe_counter!(
        LOG_DROPPED,
        Unit::Count,
        "Lines of the log that were dropped because nobody read those before them."
    );
    Some(handle)
}

/// The name of a method; methods that no route has share one, so that callers cannot make series.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn status_text(status: StatusCode) -> String {
    status.as_u16().to_string()
}

/// Milliseconds with three decimals, as the log shows them.
#[expect(clippy::cast_precision_loss, reason = "a request does not take 285 years")]
pub(crate) fn millis(elapsed: Duration) -> f64 {
    elapsed.as_micros() as f64 / 1000.0
}

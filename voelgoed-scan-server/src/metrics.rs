//! Metrics for Prometheus: counters of requests, scans and connections, and the health of the node.
//!
//! Invariants: labels come from fixed sets, so that clients cannot create time series.

mod health;
mod live;
mod token;
mod uploads;
mod webhooks;

use std::hash::Hash;
use std::sync::OnceLock;
use std::time::Duration;

use foldhash::HashMap;
use hyper::{Method, StatusCode};
use metrics::{Counter, Gauge, Histogram, Unit};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::RwLock;
use voelgoed_scan_core::model::{DecidedBy, ScanAnswer, ScanResult, Warning};
use voelgoed_scan_core::node::NodeHealth;
use voelgoed_scan_core::sync::SyncAnswer;

use crate::log;
pub(crate) use live::{LiveCounts, LiveReader};
pub(crate) use token::MetricsToken;
use uploads::UploadCounts;
pub(crate) use webhooks::WebhookMetrics;

const REQUESTS: &str = "voelgoed_scan_http_requests_total";
const REQUEST_SECONDS: &str = "voelgoed_scan_http_request_duration_seconds";
const CONNECTIONS: &str = "voelgoed_scan_http_connections";
const SCANS: &str = "voelgoed_scan_scans_total";
const SCAN_SECONDS: &str = "voelgoed_scan_scan_duration_seconds";
const RATE_LIMITED: &str = "voelgoed_scan_rate_limited_total";
const CLOCK_SKEW: &str = "voelgoed_scan_clock_skew_total";
const LOG_DROPPED: &str = "voelgoed_scan_log_lines_dropped_total";

/// Upper bounds of the histogram buckets, in seconds: from a cache hit to an overloaded database.
const BUCKETS: [f64; 13] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
];

/// The recorder of this process. Several servers in one process share it.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// The counter and the histogram of one set of labels.
struct Series {
    total: Counter,
    seconds: Histogram,
}

/// The series by their labels. Looking a series up in the recorder by name costs more than counting.
struct SeriesCache<K>(RwLock<HashMap<K, Series>>);

impl<K: Eq + Hash> SeriesCache<K> {
    fn new() -> Self {
        Self(RwLock::new(HashMap::default()))
    }

    fn record(&self, key: K, duration: Duration, create: impl FnOnce(&K) -> Series) {
        let record = |series: &Series| {
            series.total.increment(1);
            series.seconds.record(duration);
        };
        if let Some(series) = self.0.read().get(&key) {
            return record(series);
        }
        let series = create(&key);
        record(self.0.write().entry(key).or_insert(series));
    }
}

/// The metrics of a server.
pub(crate) struct Metrics {
    handle: Option<PrometheusHandle>,
    /// By method, route and status.
    requests: SeriesCache<(&'static str, &'static str, StatusCode)>,
    scans: SeriesCache<(ScanResult, DecidedBy)>,
    connections: Gauge,
    rate_limited: Counter,
    clock_skew: Counter,
    log_dropped: Counter,
    uploads: UploadCounts,
    process: metrics_process::Collector,
}

impl Metrics {
    /// Uses the recorder of this process and installs it if there is none.
    pub(crate) fn new() -> Self {
        let handle = RECORDER.get_or_init(install).clone();
        Self {
            handle,
            requests: SeriesCache::new(),
            scans: SeriesCache::new(),
            connections: metrics::gauge!(CONNECTIONS),
            rate_limited: metrics::counter!(RATE_LIMITED),
            clock_skew: metrics::counter!(CLOCK_SKEW),
            log_dropped: metrics::counter!(LOG_DROPPED),
            uploads: UploadCounts::default(),
            process: metrics_process::Collector::default(),
        }
    }

    /// The metrics in the Prometheus text format: the counters of the process, the health of this node, and the live counts.
    pub(crate) fn render(
        &self,
        health: &NodeHealth,
        database: &'static str,
        live: &LiveCounts,
        with_organizations: bool,
    ) -> String {
        self.log_dropped.absolute(log::dropped_lines());
        self.process.collect();
        let mut text = self
            .handle
            .as_ref()
            .map(PrometheusHandle::render)
            .unwrap_or_default();
        health::render(&mut text, health, database);
        self.uploads.render(&mut text);
        live::render(&mut text, live, with_organizations);
        text
    }

    /// Moves new samples into the histograms. Without it they take memory until the next scrape.
    pub(crate) fn aggregate(&self) {
        if let Some(handle) = &self.handle {
            handle.run_upkeep();
        }
    }

    /// Records a request and the time until its response.
    pub(crate) fn record_request(
        &self,
        method: &Method,
        route: &'static str,
        status: StatusCode,
        duration: Duration,
    ) {
        let labels = (method_name(method), route, status);
        self.requests
            .record(labels, duration, |&(method, route, status)| Series {
                total: metrics::counter!(
                    REQUESTS, "method" => method, "route" => route, "status" => status_text(status)
                ),
                seconds: metrics::histogram!(REQUEST_SECONDS, "method" => method, "route" => route),
            });
    }

    /// Records a scan and the time until its decision.
    pub(crate) fn record_scan(&self, answer: &ScanAnswer, duration: Duration) {
        self.scans.record(
            (answer.result, answer.decided_by),
            duration,
            |(result, decided_by)| Series {
                total: metrics::counter!(
                    SCANS, "result" => result.as_str(), "decided_by" => decided_by.as_str()
                ),
                seconds: metrics::histogram!(SCAN_SECONDS, "decided_by" => decided_by.as_str()),
            },
        );
        if answer.warnings.contains(&Warning::ClockSkew) {
            self.clock_skew.increment(1);
        }
    }

    /// Counts the scans of an upload by their status.
    pub(crate) fn count_upload(&self, answer: &SyncAnswer) {
        self.uploads.record(answer);
    }

    /// Counts a request that exceeded a rate limit.
    pub(crate) fn count_rate_limited(&self) {
        self.rate_limited.increment(1);
    }

    /// Counts a connection until the returned guard is dropped.
    pub(crate) fn connection_opened(&self) -> ConnectionGuard {
        self.connections.increment(1);
        ConnectionGuard(self.connections.clone())
    }
}

/// Counts a connection as open until it is dropped.
pub(crate) struct ConnectionGuard(Gauge);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

fn install() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .inspect_err(|error| tracing::error!(%error, "the histogram buckets are invalid"))
        .ok()?;
    let recorder: PrometheusRecorder = builder.build_recorder();
    let handle = recorder.handle();
    // A program that embeds the server may have a recorder already, which then receives these metrics.
    metrics::set_global_recorder(recorder).ok()?;
    metrics::describe_counter!(
        REQUESTS,
        Unit::Count,
        "Requests answered, by method, route and status."
    );
    metrics::describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "Time from the head of the request to the head of the response, by method and route."
    );
    metrics::describe_gauge!(CONNECTIONS, Unit::Count, "Open connections.");
    metrics::describe_counter!(
        SCANS,
        Unit::Count,
        "Scans answered, by result and by the tier that decided."
    );
    metrics::describe_histogram!(
        SCAN_SECONDS,
        Unit::Seconds,
        "Time to decide a scan and to record an admission, by the tier that decided."
    );
    metrics::describe_counter!(
        RATE_LIMITED,
        Unit::Count,
        "Requests refused because a device or an address exceeded its rate limit."
    );
    metrics::describe_counter!(
        CLOCK_SKEW,
        Unit::Count,
        "Scans from devices whose clock differs from the clock of this node by more than 300 s."
    );
    metrics_process::Collector::default().describe();
    metrics::describe_counter!(
        LOG_DROPPED,
        Unit::Count,
        "Log lines that were dropped because the buffer was full."
    );
    webhooks::describe();
    Some(handle)
}

/// The label of a method. Methods that no route has share one label.
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

/// A duration in milliseconds with three decimals, as the log shows it.
#[expect(clippy::cast_precision_loss, reason = "a request takes less than 285 years")]
pub(crate) fn as_millis(elapsed: Duration) -> f64 {
    elapsed.as_micros() as f64 / 1000.0
}

//! Generates the load: the simulated devices scan at a fixed rate, or each as fast as it gets answers.
//!
//! Invariants: a device has at most one scan under way. At a fixed rate, the times at which scans are due are fixed
//! before the run and do not depend on the server. The latency of a scan counts from its due time, so that it includes
//! the time that the scan waited for its device (no coordinated omission).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::model::{ScanId, Timestamp};

use super::connection::{DeviceConnection, Target};
use super::event_copy::Workload;
use super::measurements::{LiveCounters, Measurements};
use super::percentage::Percentage;
use crate::env;
use crate::failure::Failure;

/// How long after the end of the run overdue scans are still sent.
const OVERDUE_LIMIT: Duration = Duration::from_secs(10);

/// How late the operating system usually wakes a sleeping thread. Sleeps are shorter by this.
const WAKE_UP_DELAY: Duration = Duration::from_micros(50);

/// The rate of the scans.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rate {
    /// A fixed number of scans a second, independent of the answers (open loop).
    Open(NonZeroU32),
    /// Each device scans again as soon as it has its answer (closed loop).
    Closed,
}

/// The settings of a run.
pub(super) struct LoadPlan {
    pub(super) target: Arc<Target>,
    pub(super) workload: Arc<Workload>,
    pub(super) rate: Rate,
    pub(super) duplicates: Percentage,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
}

/// The body of a scan request.
#[derive(Serialize)]
struct ScanBody<'a> {
    qr: &'a str,
    scan_id: ScanId,
    scanned_at: Timestamp,
}

/// The source of payloads: each unscanned ticket once, the scanned tickets repeatedly.
struct Payloads {
    workload: Arc<Workload>,
    duplicates: Percentage,
    scans: AtomicU64,
    unscanned: AtomicU64,
}

impl Payloads {
    /// The payload of the next scan; `None` where all unscanned tickets are used up.
    fn next(&self) -> Option<&str> {
        let n = self.scans.fetch_add(1, Ordering::Relaxed);
        let scanned = &self.workload.scanned;
        if self.duplicates.selects(n) && !scanned.is_empty() {
            let index = usize::try_from(n).unwrap_or(usize::MAX) % scanned.len();
            return scanned.get(index).map(String::as_str);
        }
        let index = self.unscanned.fetch_add(1, Ordering::Relaxed);
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.workload.unscanned.get(index).map(String::as_str)
    }
}

/// A simulated device.
struct Device {
    connection: DeviceConnection,
    target: Arc<Target>,
    measurements: Measurements,
    counters: Arc<LiveCounters>,
}

impl Device {
    /// Scans once. The latency counts from `start`.
    async fn scan(&mut self, payload: &str, start: Instant, counts: bool) {
        let now = env::now();
        let body = ScanBody {
            qr: payload,
            scan_id: ScanId::generate(now),
            scanned_at: now,
        };
        let Ok(body) = serde_json::to_vec(&body).map(Bytes::from) else {
            return;
        };
        let mut outcome = self.connection.scan(&self.target, body.clone()).await;
        if outcome.is_err() {
            // The server may have closed an idle connection. The scan id makes a second attempt safe.
            outcome = self.connection.scan(&self.target, body).await;
        }
        let latency = env::monotonic_now().saturating_duration_since(start);
        let is_decided = self.measurements.record(outcome.as_ref(), latency, counts);
        self.counters.add(is_decided);
    }
}

/// Runs a load test to its end, or until `stop`. Returns the measurements of all devices together.
pub(super) async fn run(
    plan: LoadPlan,
    bar: &ProgressBar,
    stop: CancellationToken,
) -> Result<Measurements, Failure> {
    let counters = Arc::new(LiveCounters::default());
    let mut devices = Vec::with_capacity(plan.workload.tokens.len());
    for token in &plan.workload.tokens {
        let mut connection = DeviceConnection::new(token)?;
        // An error is not reported here: the first scan reports it.
        let _ = connection.open(&plan.target).await;
        devices.push(Device {
            connection,
            target: Arc::clone(&plan.target),
            measurements: Measurements::new(),
            counters: Arc::clone(&counters),
        });
    }
    let payloads = Arc::new(Payloads {
        workload: Arc::clone(&plan.workload),
        duplicates: plan.duplicates,
        scans: AtomicU64::new(0),
        unscanned: AtomicU64::new(0),
    });
    let start = env::monotonic_now();
    let count_from = start + plan.warm_up;
    let end = count_from + plan.duration;
    let progress_task = tokio::spawn(counters.show(bar.clone(), plan.warm_up + plan.duration));
    let mut tasks = match plan.rate {
        Rate::Closed => closed_loop(devices, &payloads, count_from, end, &stop),
        Rate::Open(rate) => {
            let (tasks, due_times) = open_loop(devices, &payloads, count_from, end, &stop);
            let stop = stop.clone();
            tokio::task::spawn_blocking(move || send_due_times(rate, start, end, &due_times, &stop));
            tasks
        }
    };
    let mut measurements = Measurements::new();
    while let Some(device) = tasks.join_next().await {
        if let Ok(device) = device {
            measurements.add(&device);
        }
    }
    progress_task.abort();
    // The measurement lasts until the last answer, which may arrive after `end`.
    measurements.seconds = env::monotonic_now()
        .saturating_duration_since(count_from)
        .as_secs_f64();
    Ok(measurements)
}

fn closed_loop(
    devices: Vec<Device>,
    payloads: &Arc<Payloads>,
    count_from: Instant,
    end: Instant,
    stop: &CancellationToken,
) -> JoinSet<Measurements> {
    let mut tasks = JoinSet::new();
    for mut device in devices {
        let (payloads, stop) = (Arc::clone(payloads), stop.clone());
        tasks.spawn(async move {
            loop {
                let now = env::monotonic_now();
                if now >= end || stop.is_cancelled() {
                    break;
                }
                let Some(payload) = payloads.next() else {
                    device.measurements.tickets_ran_out = true;
                    break;
                };
                device.scan(payload, now, now >= count_from).await;
            }
            device.measurements
        });
    }
    tasks
}

/// One channel for each device; it carries the due times of the device's scans.
type DueTimes = Vec<mpsc::UnboundedSender<Instant>>;

fn open_loop(
    devices: Vec<Device>,
    payloads: &Arc<Payloads>,
    count_from: Instant,
    end: Instant,
    stop: &CancellationToken,
) -> (JoinSet<Measurements>, DueTimes) {
    let mut tasks = JoinSet::new();
    let mut senders = Vec::with_capacity(devices.len());
    for mut device in devices {
        let (sender, mut due_times) = mpsc::unbounded_channel::<Instant>();
        senders.push(sender);
        let (payloads, stop) = (Arc::clone(payloads), stop.clone());
        tasks.spawn(async move {
            while let Some(due) = due_times.recv().await {
                let now = env::monotonic_now();
                if stop.is_cancelled() {
                    break;
                }
                if now > end + OVERDUE_LIMIT {
                    device.measurements.record_not_sent();
                    continue;
                }
                let Some(payload) = payloads.next() else {
                    device.measurements.tickets_ran_out = true;
                    break;
                };
                // The thread can wake up slightly before the due time. The latency then counts from now.
                device.scan(payload, due.min(now), due >= count_from).await;
            }
            device.measurements
        });
    }
    (tasks, senders)
}

/// Sends each due time to the next device in turn, when it is reached.
///
/// Runs on a thread of its own, because the runtime's timers have a resolution of one millisecond.
fn send_due_times(
    rate: NonZeroU32,
    start: Instant,
    end: Instant,
    senders: &DueTimes,
    stop: &CancellationToken,
) {
    for (n, sender) in (0_u32..).zip(senders.iter().cycle()) {
        let due =
            start + Duration::from_secs(1) * (n / rate) + Duration::from_secs(1) * (n % rate) / rate.get();
        loop {
            let wait = due.saturating_duration_since(env::monotonic_now());
            if wait <= WAKE_UP_DELAY || stop.is_cancelled() {
                break;
            }
            std::thread::sleep(wait.saturating_sub(WAKE_UP_DELAY).min(Duration::from_millis(100)));
        }
        if due >= end || stop.is_cancelled() {
            break;
        }
        // Sending fails for a device that ended because the tickets ran out.
        let _ = sender.send(due);
    }
}

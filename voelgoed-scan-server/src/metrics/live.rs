//! What the database and the manifest cache say of the events and devices of all organizations.
//!
//! Invariants:
//! - Reading costs at most two bounded queries in [`MAX_AGE`], however often somebody asks, and no scan waits for it.
//! - A label set names an event of an organization only for [`MAX_SERIES`] of them, those that changed last.
//! - What is older than [`MAX_SHOWN_AGE`], because the database does not answer, is not shown.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use voelgoed_scan_core::model::{EventId, OrganizationId, Timestamp};
use voelgoed_scan_core::node::{Admin, Scanner};
use voelgoed_scan_core::store::{DeviceCounts, LiveEvent, StoreError};

use super::health::Exposition;

const INSIDE: &str = "voelgoed_scan_inside";
const CAPACITY: &str = "voelgoed_scan_capacity";
const DEVICES: &str = "voelgoed_scan_devices";
const UNSENT: &str = "voelgoed_scan_unsent_scans";
const MANIFEST_AGE: &str = "voelgoed_scan_manifest_age_seconds";

/// The maximum number of series of each name that are about events.
const MAX_SERIES: u16 = 200;

/// For how long a reading is used.
const MAX_AGE: Duration = Duration::from_secs(5);

/// For how long the last reading is shown while the next ones fail.
const MAX_SHOWN_AGE: Duration = Duration::from_mins(1);

/// The time limit of a reading. Prometheus gives up after ten seconds.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// What was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveCounts {
    devices: Option<DeviceCounts>,
    events: Vec<LiveEvent>,
    manifests: Vec<((OrganizationId, EventId), Duration)>,
}

/// The last reading, and when the last attempt began.
#[derive(Debug, Default)]
struct LastReading {
    attempted_at: Option<Instant>,
    read_at: Option<Instant>,
    counts: LiveCounts,
}

/// Reads the counts for the metrics.
#[derive(Debug, Default)]
pub(crate) struct LiveReader(Mutex<LastReading>);

impl LiveReader {
    /// The counts of at most [`MAX_AGE`] ago; those of events only `with_organizations`. Concurrent calls share a reading.
    pub(crate) async fn counts(
        &self,
        scanner: &Scanner,
        admin: &Admin,
        now: Timestamp,
        with_organizations: bool,
    ) -> LiveCounts {
        let mut last = self.0.lock().await;
        if last.attempted_at.is_none_or(|at| at.elapsed() >= MAX_AGE) {
            last.attempted_at = Some(Instant::now());
            match timeout(READ_TIMEOUT, read(scanner, now, with_organizations)).await {
                Ok(Ok(counts)) => {
                    last.counts = counts;
                    last.read_at = Some(Instant::now());
                }
                Ok(Err(error)) => tracing::debug!(%error, "the counts for the metrics could not be read"),
                Err(_) => tracing::debug!("the counts for the metrics took too long"),
            }
        }
        let is_recent = last.read_at.is_some_and(|at| at.elapsed() < MAX_SHOWN_AGE);
        let counts = if is_recent {
            last.counts.clone()
        } else {
            LiveCounts::default()
        };
        LiveCounts {
            manifests: admin.manifest_ages(now, usize::from(MAX_SERIES)),
            ..counts
        }
    }
}

async fn read(scanner: &Scanner, now: Timestamp, with_organizations: bool) -> Result<LiveCounts, StoreError> {
    let store = scanner.store();
    let events = if with_organizations {
        store.live_events(now, MAX_SERIES).await?
    } else {
        Vec::new()
    };
    Ok(LiveCounts {
        devices: Some(store.device_counts(now).await?),
        events,
        manifests: Vec::new(),
    })
}

/// Appends the counts to a text; those that name an organization only `with_organizations`.
pub(super) fn render(text: &mut String, counts: &LiveCounts, with_organizations: bool) {
    let output = &mut Exposition(text);
    if let Some(devices) = counts.devices {
        let help = "Active devices of all organizations, by when they were last heard of: online within 60 s, idle within \
                    300 s, silent, never. All nodes show the same numbers.";
        output.family(DEVICES, "gauge", help);
        for (state, count) in [
            ("online", devices.online),
            ("idle", devices.idle),
            ("silent", devices.silent),
            ("never", devices.never),
        ] {
            output.line(format_args!("{DEVICES}{{state=\"{state}\"}} {count}"));
        }
        output.metric(
            UNSENT,
            "gauge",
            "Scans that devices heard of within a day said that they have not uploaded. All nodes show the same number.",
            devices.unsent_scans,
        );
    }
    if with_organizations {
        places(output, &counts.events);
        manifests(output, &counts.manifests);
    }
}

/// The labels of a gate. The event itself has an empty gate, which Prometheus takes as none.
fn labels(event: &LiveEvent, gate: &str) -> String {
    let LiveEvent {
        organization_id,
        event_id,
        ..
    } = event;
    format!("{{organization=\"{organization_id}\",event=\"{event_id}\",gate=\"{gate}\"}}")
}

fn places(output: &mut Exposition<'_>, events: &[LiveEvent]) {
    let limit = usize::from(MAX_SERIES);
    output.family(
        INSIDE,
        "gauge",
        "People inside a live event who entered through the gate. All nodes show the same numbers.",
    );
    let inside = events.iter().flat_map(|event| {
        let gates = event.gates.iter();
        gates.map(move |(gate, count)| (labels(event, &gate.to_string()), count.inside))
    });
    for (labels, inside) in inside.take(limit) {
        output.line(format_args!("{INSIDE}{labels} {inside}"));
    }
    output.family(
        CAPACITY,
        "gauge",
        "Capacity of a gate of a live event; with an empty gate, of the event. One without a limit has no series.",
    );
    let capacities = events.iter().flat_map(|event| {
        let of_event = event.capacity.map(|capacity| (labels(event, ""), capacity));
        let of_gates = event
            .gates
            .iter()
            .filter_map(move |(gate, count)| Some((labels(event, &gate.to_string()), count.capacity?)));
        of_event.into_iter().chain(of_gates)
    });
    for (labels, capacity) in capacities.take(limit) {
        output.line(format_args!("{CAPACITY}{labels} {capacity}"));
    }
}

fn manifests(output: &mut Exposition<'_>, manifests: &[((OrganizationId, EventId), Duration)]) {
    output.family(
        MANIFEST_AGE,
        "gauge",
        "Age of what this node hands out to phones of an event, since it was read from the database.",
    );
    for ((organization, event), age) in manifests {
        output.line(format_args!(
            "{MANIFEST_AGE}{{organization=\"{organization}\",event=\"{event}\"}} {}",
            age.as_secs_f64()
        ));
    }
}

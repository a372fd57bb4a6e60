//! The report of a replay: counts and latencies by result, event, gate and device. The latency of a scan is that of its batch.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use comfy_table::Cell;
use serde::Serialize;
use voelgoed_scan_core::model::{EventId, GateId, ScanResult};
use voelgoed_scan_core::sync::{RawSyncScan, SyncResult, SyncStatus};

use super::super::latency::{Latencies, Summary, latency_table};
use super::comparison::{Change, Comparison, Now};
use super::past_scan::SkipReason;
use crate::output::{TextStyle, status_cell, styled};

/// The counts and latencies of a running replay.
pub(super) struct Counts {
    /// Lines that earlier runs had sent.
    before: u64,
    statuses: BTreeMap<SyncStatus, u64>,
    /// Lines that were not sent because they are invalid.
    invalid: u64,
    conflicts: u64,
    comparison: Comparison,
    skipped: BTreeMap<SkipReason, u64>,
    latencies: Latencies,
    results: BTreeMap<ScanResult, Latencies>,
    /// Those of the lines that name their event.
    events: BTreeMap<EventId, Latencies>,
    gates: BTreeMap<GateId, Latencies>,
    devices: BTreeMap<String, Latencies>,
}

/// The results of a replay.
#[derive(Debug, Serialize)]
pub(super) struct ReplayReport {
    /// Whether the end of the file was reached.
    #[serde(rename = "whole")]
    is_complete: bool,
    /// Lines that earlier runs had sent.
    before: u64,
    recorded: u64,
    replayed: u64,
    quarantined: u64,
    pub(super) rejected: u64,
    skipped: BTreeMap<&'static str, u64>,
    conflicts: u64,
    /// The scans by their result in the file and their result now.
    changes: Vec<Change>,
    /// The entries that the file admits and that are no admissions now.
    pub(super) lost_admissions: u64,
    seconds: f64,
    scans_per_second: f64,
    latency_ms: Summary,
    results: BTreeMap<ScanResult, Summary>,
    events: BTreeMap<EventId, Summary>,
    gates: BTreeMap<GateId, Summary>,
    devices: BTreeMap<String, Summary>,
    rejected_file: Option<PathBuf>,
    #[serde(skip)]
    comparison: Comparison,
}

impl Counts {
    pub(super) fn new(before: u64) -> Self {
        Self {
            before,
            statuses: BTreeMap::new(),
            invalid: 0,
            conflicts: 0,
            comparison: Comparison::default(),
            skipped: BTreeMap::new(),
            latencies: Latencies::coarse(),
            results: BTreeMap::new(),
            events: BTreeMap::new(),
            gates: BTreeMap::new(),
            devices: BTreeMap::new(),
        }
    }

    /// Records the result of a scan that was sent. `recorded` is its result in the file.
    pub(super) fn record(
        &mut self,
        scan: &RawSyncScan,
        recorded: Option<ScanResult>,
        device: Option<&str>,
        result: &SyncResult,
        latency: Duration,
    ) {
        if let Some(recorded) = recorded {
            self.comparison.add(recorded, Now::of(result), scan.direction);
        }
        *self.statuses.entry(result.status).or_default() += 1;
        self.conflicts += u64::from(result.conflict.is_some());
        self.latencies.record(latency);
        if let Some(result) = result.result {
            self.results
                .entry(result)
                .or_insert_with(Latencies::coarse)
                .record(latency);
        }
        if let Some(event) = scan.event_id {
            self.events
                .entry(event)
                .or_insert_with(Latencies::coarse)
                .record(latency);
        }
        self.gates
            .entry(scan.gate_id)
            .or_insert_with(Latencies::coarse)
            .record(latency);
        if let Some(device) = device {
            if let Some(latencies) = self.devices.get_mut(device) {
                latencies.record(latency);
            } else {
                let mut latencies = Latencies::coarse();
                latencies.record(latency);
                self.devices.insert(device.to_owned(), latencies);
            }
        }
    }

    /// Counts a skipped line.
    pub(super) fn skip(&mut self, reason: SkipReason) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    /// Counts an invalid line.
    pub(super) fn reject(&mut self) {
        self.invalid += 1;
    }

    fn status(&self, status: SyncStatus) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    fn rejected(&self) -> u64 {
        self.invalid + self.status(SyncStatus::Rejected)
    }

    /// The counts on one line, for the progress bar.
    pub(super) fn progress_line(&self) -> String {
        let mut parts: Vec<String> = self
            .results
            .iter()
            .map(|(result, latencies)| format!("{result} {}", latencies.count()))
            .collect();
        let skipped = self.skipped.values().sum::<u64>();
        for (name, count) in [("rejected", self.rejected()), ("skipped", skipped)] {
            if count > 0 {
                parts.push(format!("{name} {count}"));
            }
        }
        parts.join("  ")
    }

    pub(super) fn summary(
        &self,
        seconds: f64,
        is_complete: bool,
        rejected_file: Option<PathBuf>,
    ) -> ReplayReport {
        let latency_ms = self.latencies.summary();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let scans_per_second = latency_ms.count as f64 / seconds.max(0.001);
        ReplayReport {
            is_complete,
            before: self.before,
            recorded: self.status(SyncStatus::Recorded),
            replayed: self.status(SyncStatus::Replayed),
            quarantined: self.status(SyncStatus::Quarantined),
            rejected: self.rejected(),
            skipped: self
                .skipped
                .iter()
                .map(|(reason, count)| (reason.as_str(), *count))
                .collect(),
            conflicts: self.conflicts,
            changes: self.comparison.changes(),
            lost_admissions: self.comparison.lost_admissions(),
            comparison: self.comparison.clone(),
            seconds,
            scans_per_second,
            latency_ms,
            results: summaries(&self.results),
            events: summaries(&self.events),
            gates: summaries(&self.gates),
            devices: summaries(&self.devices),
            rejected_file,
        }
    }
}

fn summaries<K: Ord + Clone>(latencies: &BTreeMap<K, Latencies>) -> BTreeMap<K, Summary> {
    latencies
        .iter()
        .map(|(key, latencies)| (key.clone(), latencies.summary()))
        .collect()
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!(
            "{} scans in {:.1} s, {:.0}/s",
            self.latency_ms.count, self.seconds, self.scans_per_second
        );
        writeln!(f, "{}\n", styled(TextStyle::Heading, &title))?;
        let results = self
            .results
            .iter()
            .map(|(result, summary)| (status_cell(result), summary))
            .chain([(Cell::new("all"), &self.latency_ms)]);
        writeln!(f, "{}\n", latency_table("RESULT", results))?;
        if !self.events.is_empty() {
            let events = self
                .events
                .iter()
                .map(|(event, summary)| (Cell::new(event), summary));
            writeln!(f, "{}\n", latency_table("EVENT", events))?;
        }
        let gates = self
            .gates
            .iter()
            .map(|(gate, summary)| (Cell::new(gate), summary));
        writeln!(f, "{}\n", latency_table("GATE", gates))?;
        if !self.devices.is_empty() {
            let devices = self
                .devices
                .iter()
                .map(|(device, summary)| (Cell::new(device), summary));
            writeln!(f, "{}\n", latency_table("DEVICE", devices))?;
        }
        if self.comparison.scans() > 0 {
            writeln!(f, "{}\n", self.comparison.table())?;
        }
        if self.lost_admissions > 0 {
            let text = format!("{} admissions of the file are none now", self.lost_admissions);
            writeln!(f, "{}", styled(TextStyle::Error, &text))?;
        }
        write!(
            f,
            "{} recorded, {} already recorded, {} conflicts",
            self.recorded, self.replayed, self.conflicts
        )?;
        if self.before > 0 {
            write!(f, ", {} lines sent by earlier runs", self.before)?;
        }
        if self.quarantined > 0 {
            write!(f, "\n{} quarantined: the device is revoked", self.quarantined)?;
        }
        for (reason, count) in &self.skipped {
            write!(f, "\n{count} skipped: {}", reason.replace('_', " "))?;
        }
        if self.rejected > 0 {
            let file = self
                .rejected_file
                .as_ref()
                .map_or_else(String::new, |path| format!(": see {}", path.display()));
            write!(
                f,
                "\n{}",
                styled(TextStyle::Error, &format!("{} rejected{file}", self.rejected))
            )?;
        }
        Ok(())
    }
}

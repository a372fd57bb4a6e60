//! What came of it? Scans by result, gate and device, each with how long its batch took.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use comfy_table::{Cell, CellAlignment};
use serde::Serialize;
use voelgoed_scan_core::model::{GateId, ScanResult};
use voelgoed_scan_core::sync::{SyncResult, SyncStatus};

use super::super::latency::{Latencies, Summary};
use super::line::Skipped;
use crate::output::{Tone, paint, status_cell, table, trimmed};

/// What is counted.
pub(super) struct Count {
    before: u64,
    statuses: BTreeMap<SyncStatus, u64>,
    rejected_here: u64,
    conflicts: u64,
    skipped: BTreeMap<Skipped, u64>,
    latencies: Latencies,
    results: BTreeMap<ScanResult, Latencies>,
    gates: BTreeMap<GateId, Latencies>,
    devices: BTreeMap<String, Latencies>,
}

/// The whole replay, as it is told.
#[derive(Debug, Serialize)]
pub(super) struct Replayed {
    /// Whether the end of the file was reached.
    whole: bool,
    /// Lines that earlier runs had noted.
    before: u64,
    recorded: u64,
    replayed: u64,
    quarantined: u64,
    pub(super) rejected: u64,
    skipped: BTreeMap<&'static str, u64>,
    conflicts: u64,
    seconds: f64,
    scans_per_second: f64,
    latency_ms: Summary,
    results: BTreeMap<ScanResult, Summary>,
    gates: BTreeMap<GateId, Summary>,
    devices: BTreeMap<String, Summary>,
    rejected_file: Option<PathBuf>,
}

impl Count {
    pub(super) fn new(before: u64) -> Self {
        Self {
            before,
            statuses: BTreeMap::new(),
            rejected_here: 0,
            conflicts: 0,
            skipped: BTreeMap::new(),
            latencies: Latencies::coarse(),
            results: BTreeMap::new(),
            gates: BTreeMap::new(),
            devices: BTreeMap::new(),
        }
    }

    pub(super) fn take(
        &mut self,
        gate: GateId,
        device: Option<&str>,
        result: &SyncResult,
        latency: Duration,
    ) {
        *self.statuses.entry(result.status).or_default() += 1;
        self.conflicts += u64::from(result.conflict.is_some());
        self.latencies.take(latency);
        if let Some(result) = result.result {
            self.results
                .entry(result)
                .or_insert_with(Latencies::coarse)
                .take(latency);
        }
        self.gates
            .entry(gate)
            .or_insert_with(Latencies::coarse)
            .take(latency);
        if let Some(device) = device {
            if let Some(latencies) = self.devices.get_mut(device) {
                latencies.take(latency);
            } else {
                let mut latencies = Latencies::coarse();
                latencies.take(latency);
                self.devices.insert(device.to_owned(), latencies);
            }
        }
    }

    pub(super) fn skip(&mut self, why: Skipped) {
        *self.skipped.entry(why).or_default() += 1;
    }

    pub(super) fn reject(&mut self) {
        self.rejected_here += 1;
    }

    fn status(&self, status: SyncStatus) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    fn rejected(&self) -> u64 {
        self.rejected_here + self.status(SyncStatus::Rejected)
    }

    /// The counts on one line, beside a bar.
    pub(super) fn line(&self) -> String {
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

    pub(super) fn summary(&self, seconds: f64, whole: bool, rejected_file: Option<PathBuf>) -> Replayed {
        let latency_ms = self.latencies.summary();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let scans_per_second = latency_ms.count as f64 / seconds.max(0.001);
        Replayed {
            whole,
            before: self.before,
            recorded: self.status(SyncStatus::Recorded),
            replayed: self.status(SyncStatus::Replayed),
            quarantined: self.status(SyncStatus::Quarantined),
            rejected: self.rejected(),
            skipped: self
                .skipped
                .iter()
                .map(|(why, count)| (why.as_str(), *count))
                .collect(),
            conflicts: self.conflicts,
            seconds,
            scans_per_second,
            latency_ms,
            results: summaries(&self.results),
            gates: summaries(&self.gates),
            devices: summaries(&self.devices),
            rejected_file,
        }
    }
}

fn summaries<K: Ord + Clone>(of: &BTreeMap<K, Latencies>) -> BTreeMap<K, Summary> {
    of.iter()
        .map(|(key, latencies)| (key.clone(), latencies.summary()))
        .collect()
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = format!(
            "{} scans in {:.1} s, {:.0}/s",
            self.latency_ms.count, self.seconds, self.scans_per_second
        );
        writeln!(f, "{}\n", paint(Tone::Head, &title))?;
        let results = self
            .results
            .iter()
            .map(|(result, summary)| (status_cell(result), summary));
        rows(f, "RESULT", results.chain([(Cell::new("all"), &self.latency_ms)]))?;
        rows(
            f,
            "GATE",
            self.gates
                .iter()
                .map(|(gate, summary)| (Cell::new(gate), summary)),
        )?;
        if !self.devices.is_empty() {
            let devices = self
                .devices
                .iter()
                .map(|(device, summary)| (Cell::new(device), summary));
            rows(f, "DEVICE", devices)?;
        }
        write!(
            f,
            "{} recorded, {} known before, {} conflicts",
            self.recorded, self.replayed, self.conflicts
        )?;
        if self.before > 0 {
            write!(f, ", {} lines by earlier runs", self.before)?;
        }
        if self.quarantined > 0 {
            write!(f, "\n{} quarantined: the device is revoked", self.quarantined)?;
        }
        for (why, count) in &self.skipped {
            write!(f, "\n{count} skipped: {}", why.replace('_', " "))?;
        }
        if self.rejected > 0 {
            let place = self
                .rejected_file
                .as_ref()
                .map_or_else(String::new, |path| format!(": see {}", path.display()));
            write!(
                f,
                "\n{}",
                paint(Tone::Bad, &format!("{} rejected{place}", self.rejected))
            )?;
        }
        Ok(())
    }
}

fn rows<'a>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    lines: impl Iterator<Item = (Cell, &'a Summary)>,
) -> fmt::Result {
    let head = [[what].as_slice(), Summary::HEAD.as_slice()].concat();
    let mut rows = table(&head);
    for (name, summary) in lines {
        let mut row = vec![name];
        row.extend(summary.cells());
        rows.add_row(row);
    }
    for column in 1..head.len() {
        if let Some(column) = rows.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    writeln!(f, "{}\n", trimmed(&rows))
}

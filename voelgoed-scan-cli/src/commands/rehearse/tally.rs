//! How did it go? Latencies in a histogram, answers by result, errors by code.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use comfy_table::{Cell, CellAlignment};
use hyper::StatusCode;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use voelgoed_scan_core::model::{DecidedBy, ScanResult};

use super::super::latency::{Latencies, Summary};
use super::stage::Left;
use super::wire::Broken;
use crate::output::{Tone, paint, table, trimmed};

/// How often the line on the terminal changes.
const TICK: Duration = Duration::from_millis(250);

/// As much of an answer as is counted.
#[derive(Deserialize)]
struct Answer {
    result: ScanResult,
    decided_by: DecidedBy,
}

/// As much of a problem as is counted.
#[derive(Deserialize)]
struct Refusal {
    code: String,
}

/// What a device saw.
#[derive(Debug, Clone)]
pub(super) struct Score {
    latencies: Latencies,
    by_result: BTreeMap<ScanResult, Latencies>,
    decided_by: BTreeMap<&'static str, u64>,
    errors: BTreeMap<String, u64>,
    /// Whether there were fewer tickets than scans.
    pub(super) ran_out: bool,
    /// How long was counted.
    pub(super) seconds: f64,
}

impl Score {
    pub(super) fn new() -> Self {
        Self {
            latencies: Latencies::new(),
            by_result: BTreeMap::new(),
            decided_by: BTreeMap::new(),
            errors: BTreeMap::new(),
            ran_out: false,
            seconds: 0.0,
        }
    }

    /// Takes in what became of a scan; whether it was decided. What does not count is looked at all the same, so that
    /// a scan costs as much.
    pub(super) fn take(
        &mut self,
        answer: Result<&(StatusCode, Bytes), &Broken>,
        latency: Duration,
        counts: bool,
    ) -> bool {
        let decided = match answer {
            Ok((StatusCode::OK, body)) => {
                serde_json::from_slice::<Answer>(body).map_err(|_| "unreadable".to_owned())
            }
            Ok((status, body)) => Err(serde_json::from_slice::<Refusal>(body)
                .map_or_else(|_| status.as_u16().to_string(), |refusal| refusal.code)),
            Err(Broken) => Err("out_of_reach".to_owned()),
        };
        let good = decided.is_ok();
        if !counts {
            return good;
        }
        match decided {
            Ok(Answer { result, decided_by }) => {
                self.latencies.take(latency);
                self.by_result
                    .entry(result)
                    .or_insert_with(Latencies::new)
                    .take(latency);
                *self.decided_by.entry(decided_by.as_str()).or_default() += 1;
            }
            Err(code) => *self.errors.entry(code).or_default() += 1,
        }
        good
    }

    /// Counts a scan that was due and that nobody came round to.
    pub(super) fn miss(&mut self) {
        *self.errors.entry("not_sent".to_owned()).or_default() += 1;
    }

    /// Adds what another device saw.
    pub(super) fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies);
        for (result, latencies) in &other.by_result {
            self.by_result
                .entry(*result)
                .or_insert_with(Latencies::new)
                .add(latencies);
        }
        for (who, count) in &other.decided_by {
            *self.decided_by.entry(who).or_default() += count;
        }
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
        self.ran_out |= other.ran_out;
    }
}

/// What is seen while it goes on.
#[derive(Debug, Default)]
pub(super) struct Live {
    decided: AtomicU64,
    failed: AtomicU64,
}

impl Live {
    pub(super) fn add(&self, good: bool) {
        let count = if good { &self.decided } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows the counts on a bar until it is dropped.
    pub(super) async fn show(self: Arc<Self>, bar: ProgressBar, total: Duration) {
        let mut ticks = tokio::time::interval(TICK);
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
            passed += TICK;
        }
    }
}

/// The whole run, as it is told.
#[derive(Debug, Serialize)]
pub(super) struct Outlook {
    /// `open`: at a fixed rate; `closed`: as fast as answers came.
    mode: &'static str,
    clients: u32,
    /// Scans a second that were asked for.
    rate: Option<u32>,
    /// How long was counted.
    seconds: f64,
    /// Scans a second that were decided.
    scans_per_second: f64,
    latency_ms: Summary,
    results: BTreeMap<ScanResult, Summary>,
    decided_by: BTreeMap<&'static str, u64>,
    /// Errors by code.
    pub(super) errors: BTreeMap<String, u64>,
    left: Left,
}

impl Outlook {
    pub(super) fn new(score: &Score, clients: u32, rate: Option<u32>, left: Left) -> Self {
        let latency_ms = score.latencies.summary();
        let results = score
            .by_result
            .iter()
            .map(|(result, latencies)| (*result, latencies.summary()))
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let scans_per_second = latency_ms.count as f64 / score.seconds.max(0.001);
        Self {
            mode: if rate.is_some() { "open" } else { "closed" },
            clients,
            rate,
            seconds: score.seconds,
            scans_per_second,
            latency_ms,
            results,
            decided_by: score.decided_by.clone(),
            errors: score.errors.clone(),
            left,
        }
    }
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self
            .rate
            .map_or_else(String::new, |rate| format!(" of {rate} asked for"));
        writeln!(
            f,
            "{}\n",
            paint(
                Tone::Head,
                &format!(
                    "{:.0} scans/s{asked}, {} devices, {:.0} s",
                    self.scans_per_second, self.clients, self.seconds
                )
            )
        )?;
        let head = [&["RESULT"], Summary::HEAD.as_slice()].concat();
        let mut rows = table(&head);
        let lines = self
            .results
            .iter()
            .map(|(result, summary)| (result.as_str(), summary))
            .chain([("all", &self.latency_ms)]);
        for (name, summary) in lines {
            let mut row = vec![Cell::new(name)];
            row.extend(summary.cells());
            rows.add_row(row);
        }
        for column in 1..head.len() {
            if let Some(column) = rows.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(f, "{}\n", trimmed(&rows))?;
        let told = |counts: Vec<(&str, u64)>| {
            counts
                .iter()
                .map(|(name, count)| format!("{name} {count}"))
                .collect::<Vec<_>>()
                .join("  ")
        };
        let by = told(
            self.decided_by
                .iter()
                .map(|(who, count)| (*who, *count))
                .collect(),
        );
        writeln!(f, "decided by  {by}")?;
        let errors = told(
            self.errors
                .iter()
                .map(|(code, count)| (code.as_str(), *count))
                .collect(),
        );
        if errors.is_empty() {
            writeln!(f, "errors      {}", paint(Tone::Good, "none"))?;
        } else {
            writeln!(f, "errors      {}", paint(Tone::Bad, &errors))?;
        }
        write!(
            f,
            "left        {}",
            paint(
                Tone::Faint,
                &format!(
                    "archived event {}, {} revoked devices, {} tickets",
                    self.left.event_id, self.left.devices, self.left.tickets
                )
            )
        )
    }
}

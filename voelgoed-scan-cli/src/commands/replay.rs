//! `replay`: sends past scans again with their own ids and times, each exactly once.

mod batcher;
mod comparison;
mod journal;
mod past_scan;
mod reader;
mod rejected;
mod report;
mod sender;
mod tokens;
mod what_if;

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::model::EventId;

use self::journal::Journal;
use self::reader::Reader;
use self::rejected::RejectedLines;
use self::report::Counts;
use self::sender::Sender;
use self::tokens::Tokens;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::names::NamedEvent;
use crate::output::Report;
use crate::{env, progress};

/// The arguments of `replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads the output of `scans export`, and any NDJSON or CSV with the columns gate_id, scanned_at and either qr or \
ticket_code. The columns event_id, scan_id, device_id, direction, result, reason, override and metadata are optional. A \
line without an event_id is a scan of --event; without that, of the only event with its gate, or else of the event at which its device had a \
session at that time. A line without a scan_id gets one that is derived from its number and text, so that it is the same scan when it is sent \
again. A line with a result is recorded with this result. A line without one is decided now, as of its time.

Needs a device token, not an API key. This device sends all scans, and metadata.replayed_device names the original device. \
With --tokens (a CSV file of device_id,token or a JSON object), the devices in it send their own scans. The events and gates \
must exist with the same ids.

A journal beside the file (FILE.journal) records which lines the server has acknowledged. After Ctrl-C or a crash, \
--resume continues from it; it is removed at the end. Rejected lines are written to FILE.rejected.ndjson with their \
number and the reason, and the command exits 1. Lines without qr and ticket_code, and scans that were undone, are \
skipped.

The report has a table with a row for each result in the file and a column for each result now. The command exits 1 if an \
entry that the file admitted is not admitted now.

--what-if decides the scans under other settings instead, as if every gate had been online, and sends nothing. It reads events, \
gates and tickets with an owner's or admin's key. What the settings do not touch stays as it is in the file: invalid codes, \
closed gates, voided tickets. The lines must be in the order of their times. Each difference is a line (with --output json an object with \
scan_id, recorded and now), and a table sums up. The settings are reentry, capacity, gate_capacity, entry_limit, dedup_window \
(default 300s), time_zone, day_starts_at, doors_open_at and doors_close_at; capacities and doors may be `none`.

Examples:
  voelgoed-scan replay scans.ndjson
  voelgoed-scan replay scans.csv --tokens tokens.csv --rate 2000
  voelgoed-scan replay scans.ndjson --resume
  voelgoed-scan replay scans.ndjson --what-if reentry=daily,capacity=500
  voelgoed-scan scans export --server https://old.example.org | voelgoed-scan replay -")]
pub(crate) struct Replay {
    /// The file with the scans; `-` is standard input
    file: PathBuf,
    /// The event of the lines that name none
    #[arg(long, env = env::EVENT)]
    event: Option<NamedEvent>,
    /// The file with device tokens: CSV with `device_id,token` or a JSON object
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// The maximum number of scans a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// The number of batches that are sent concurrently, each of another device
    #[arg(long, value_name = "N", default_value = "4")]
    concurrency: NonZeroUsize,
    /// The number of scans in a batch
    #[arg(long, value_name = "N", default_value = "500", value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch: u16,
    /// Continue where an earlier run stopped
    #[arg(long)]
    resume: bool,
    /// Decide the scans under other settings, send nothing and show what differs (owner's or admin's key)
    #[arg(long, value_name = "NAME=VALUE,...", conflicts_with_all = ["tokens", "rate", "resume"])]
    what_if: Option<what_if::Settings>,
    /// Format of the file [default: csv where the name ends in .csv or the first line names columns, else ndjson]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// The formats of a file of scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values; the first line has the names of the columns.
    Csv,
}

/// What happened so far. The sender's tasks share it.
struct ReplayState {
    counts: Counts,
    /// `None` for standard input, which cannot be resumed.
    journal: Option<Journal>,
    rejected: RejectedLines,
}

impl Replay {
    pub(super) async fn run(self, context: &Context) -> Result<Report, Failure> {
        if let Some(settings) = self.what_if.clone() {
            let reader = Reader::open(&self.file, self.format)?;
            let event = self.event(context).await?;
            return what_if::run(reader.with_event(event), settings, context);
        }
        let from_stdin = self.file == Path::new("-");
        if from_stdin && self.resume {
            return Err(Failure::Usage {
                reason: "standard input cannot be resumed".to_owned(),
                hint: "write it to a file first",
            });
        }
        let event = self.event(context).await?;
        let tokens = Tokens::new(context.client()?, self.tokens.as_deref())?;
        let journal = (!from_stdin)
            .then(|| Journal::open(&with_extension(&self.file, "journal"), &self.file, self.resume))
            .transpose()?;
        let done = journal.as_ref().map(Journal::done).unwrap_or_default();
        let name = if from_stdin {
            Path::new("replay")
        } else {
            &self.file
        };
        let state = Arc::new(Mutex::new(ReplayState {
            counts: Counts::new(done.count()),
            journal,
            rejected: RejectedLines::new(with_extension(name, "rejected.ndjson"), self.resume),
        }));
        let stop = CancellationToken::new();
        let signal_task = {
            let stop = stop.clone();
            tokio::spawn(async move {
                env::shutdown_signal().await;
                stop.cancel();
            })
        };
        let reader = Reader::open(&self.file, self.format)?.with_event(event);
        let bar = progress::replay(reader.length(), context.quiet);
        let started = env::monotonic_now();
        let sender = Sender {
            tokens: Arc::new(tokens),
            state: Arc::clone(&state),
            bar: bar.clone(),
            rate: self.rate,
            concurrency: self.concurrency.get(),
            batch_size: usize::from(self.batch),
            stop: stop.clone(),
        };
        let sent = sender.send(reader, done).await;
        bar.finish_and_clear();
        signal_task.abort();
        let is_complete = sent?;
        let seconds = env::monotonic_now()
            .saturating_duration_since(started)
            .as_secs_f64();
        finish(&mut state.lock(), seconds, is_complete)
    }

    /// The event of the lines that name none.
    async fn event(&self, context: &Context) -> Result<Option<EventId>, Failure> {
        match &self.event {
            Some(event) => event.id(&context.client()?).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Closes the files and builds the report. The journal is removed where the end of the file was reached.
fn finish(state: &mut ReplayState, seconds: f64, is_complete: bool) -> Result<Report, Failure> {
    let rejected_file = state.rejected.finish()?;
    if is_complete && let Some(journal) = state.journal.take() {
        journal.remove()?;
    }
    let summary = state.counts.summary(seconds, is_complete, rejected_file);
    let report = Report::one(&summary, summary.to_string())?;
    Ok(if !is_complete {
        report
            .with_exit(Exit::Failed)
            .with_note("the replay stopped before the end of the file: continue it with --resume")
    } else if summary.rejected > 0 || summary.lost_admissions > 0 {
        report.with_exit(Exit::Failed)
    } else {
        report
    })
}

/// The path of a companion file: the whole name of `file` with one more extension.
fn with_extension(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

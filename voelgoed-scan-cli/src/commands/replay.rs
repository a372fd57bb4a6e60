//! `replay`: scans of the past, handed in again with their own ids and times, each exactly once.

mod journal;
mod line;
mod read;
mod report;
mod send;
mod tokens;

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use self::journal::Journal;
use self::read::{Reader, Refused};
use self::report::Count;
use self::send::Sender;
use self::tokens::Tokens;
use crate::desk::Desk;
use crate::failure::{Exit, Failure};
use crate::output::Report;
use crate::{progress, world};

/// What `replay` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Reads what `scans export` writes, and any NDJSON or CSV with the columns qr or ticket_code, gate_id and \
scanned_at; scan_id, device_id, direction, result, reason, override and metadata are taken where they are there. \
A line without a scan_id gets one that follows from its number and text: sent again, it is the same scan. A line \
with a result is recorded as what was decided then, one without is decided now, as of its time.

Needs a device token, which sends all and keeps the original device in metadata.replayed_device; --tokens gives \
devices their own: a CSV file of device_id,token or a JSON object. The gates must be there under the same ids.

Beside the file a journal (FILE.journal) keeps which lines the server has taken. After Ctrl-C or a crash --resume \
goes on from it; it is removed at the end. Lines that cannot be taken are written to FILE.rejected.ndjson with \
their number and the reason, and then it exits 1. Lines without qr and ticket_code, and scans that were undone, \
are skipped.

Examples:
  voelgoed-scan replay scans.ndjson
  voelgoed-scan replay scans.csv --tokens tokens.csv --rate 2000
  voelgoed-scan replay scans.ndjson --resume
  voelgoed-scan scans export --server https://old.example.org | voelgoed-scan replay -")]
pub(crate) struct Replay {
    /// The file; `-` is standard input
    file: PathBuf,
    /// Devices and their tokens: CSV with `device_id,token` or a JSON object
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// At most so many scans a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// How many batches are under way at once
    #[arg(long, value_name = "N", default_value = "4")]
    concurrency: NonZeroUsize,
    /// How many scans go together
    #[arg(long, value_name = "N", default_value = "500", value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch: u16,
    /// Go on where an earlier run ended
    #[arg(long)]
    resume: bool,
    /// What the file is; without it, its name says so, and NDJSON where it does not
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// What a file of scans is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A JSON object a line.
    Ndjson,
    /// Comma-separated, its first line the names of the columns.
    Csv,
}

/// What is known so far, shared by those who read and those who send.
#[derive(Clone)]
struct Ledger(Arc<Mutex<Open>>);

struct Open {
    count: Count,
    journal: Option<Journal>,
    refused: Refused,
}

impl Ledger {
    fn with<T>(&self, act: impl FnOnce(&mut Open) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Replay {
    pub(super) async fn run(self, desk: &Desk) -> Result<Report, Failure> {
        let from_stdin = self.file == Path::new("-");
        if from_stdin && self.resume {
            return Err(Failure::Usage {
                reason: "standard input cannot be resumed".to_owned(),
                hint: "write it to a file first",
            });
        }
        let tokens = Tokens::new(desk.client()?, self.tokens.as_deref())?;
        let journal = (!from_stdin)
            .then(|| Journal::open(&beside(&self.file, "journal"), &self.file, self.resume))
            .transpose()?;
        let done = journal.as_ref().map(Journal::done).unwrap_or_default();
        let name = if from_stdin {
            Path::new("replay")
        } else {
            &self.file
        };
        let ledger = Ledger(Arc::new(Mutex::new(Open {
            count: Count::new(done.count()),
            journal,
            refused: Refused::new(beside(name, "rejected.ndjson"), self.resume),
        })));
        let stop = CancellationToken::new();
        let watching = {
            let stop = stop.clone();
            tokio::spawn(async move {
                world::enough().await;
                stop.cancel();
            })
        };
        let reader = Reader::open(&self.file, self.format())?;
        let bar = progress::replayed(reader.length(), desk.quiet);
        let began = world::stopwatch();
        let sender = Sender {
            tokens: Arc::new(tokens),
            ledger: ledger.clone(),
            bar: bar.clone(),
            rate: self.rate,
            concurrency: self.concurrency.get(),
            batch: usize::from(self.batch),
            stop: stop.clone(),
        };
        let sent = sender.send(reader, done).await;
        bar.finish_and_clear();
        watching.abort();
        let whole = sent?;
        let seconds = world::stopwatch().saturating_duration_since(began).as_secs_f64();
        ledger.with(|open| {
            let rejected_file = open.refused.finish()?;
            if whole && let Some(journal) = open.journal.take() {
                journal.remove()?;
            }
            let summary = open.count.summary(seconds, whole, rejected_file);
            let clean = whole && summary.rejected == 0;
            let report = Report::one(&summary, summary.to_string())?;
            Ok(if whole {
                report.ending(if clean { Exit::Done } else { Exit::Failed })
            } else {
                report
                    .ending(Exit::Failed)
                    .noted("ended before the end of the file: --resume goes on from here")
            })
        })
    }

    fn format(&self) -> Format {
        self.format.unwrap_or_else(|| {
            let csv = self
                .file
                .extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
            if csv { Format::Csv } else { Format::Ndjson }
        })
    }
}

/// A file beside another: its whole name with an extension more.
fn beside(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

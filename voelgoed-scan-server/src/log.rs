//! The log: lines on standard error, as text or as JSON, filtered by level and module.
//!
//! Invariants: logging never blocks a request. A separate thread writes the lines. While it is blocked, at most
//! [`MAX_BUFFERED_LINES`] are buffered; further lines are dropped and counted.

use std::io::{self, BufWriter, IsTerminal, Stderr, Write};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};
use voelgoed_scan_core::SPAN_TARGET;

use crate::traces::Traces;

/// The maximum number of lines that wait to be written, about 2 MB.
const MAX_BUFFERED_LINES: usize = 8192;

/// How long the thread collects lines after each write. Waking it for each line would cost more than the line.
const FLUSH_INTERVAL: Duration = Duration::from_millis(20);

/// The counter of dropped lines of this process.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// The log filter is invalid.
#[derive(Debug, thiserror::Error)]
#[error("--log {filter:?} is not a log filter such as info or voelgoed_scan_server=debug")]
pub struct InvalidFilter {
    /// The given filter.
    pub filter: String,
}

/// Keeps the log of a process running. When it is dropped, it writes the buffered lines, for at most one second.
#[must_use = "the log stops when it is dropped"]
pub struct LogGuard(#[expect(dead_code, reason = "dropping it flushes the log")] WorkerGuard);

/// Starts the log of this process, and the export of its spans. A second start has no effect.
pub fn init(filter: &str, format: LogFormat, traces: Option<&Traces>) -> Result<LogGuard, InvalidFilter> {
    let env_filter = EnvFilter::builder().parse(filter).map_err(|_| InvalidFilter {
        filter: filter.to_owned(),
    })?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(MAX_BUFFERED_LINES)
        .thread_name("log")
        .finish(BatchingWriter(BufWriter::new(io::stderr())));
    let dropped = writer.error_counter();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let registry = tracing_subscriber::registry();
    let started = match traces {
        // One filter for all costs less than one for each layer.
        None => registry.with(lines).with(env_filter).try_init(),
        Some(traces) => {
            let spans = Targets::new().with_target(SPAN_TARGET, LevelFilter::TRACE);
            registry
                .with(lines.with_filter(env_filter))
                .with(traces.layer().with_filter(spans))
                .try_init()
        }
    };
    // An embedding program may have its own log, which stays in place.
    if started.is_ok() {
        DROPPED.get_or_init(|| dropped);
    }
    Ok(LogGuard(guard))
}

/// Writes to standard error. After each flush it sleeps, so that the next write contains many lines; the thread has no
/// other work.
struct BatchingWriter(BufWriter<Stderr>);

impl Write for BatchingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::sleep(FLUSH_INTERVAL);
        Ok(())
    }
}

/// The number of log lines that were dropped because the buffer was full.
pub(crate) fn dropped_lines() -> u64 {
    DROPPED.get().map_or(0, |dropped| {
        u64::try_from(dropped.dropped_lines()).unwrap_or(u64::MAX)
    })
}

//! Where do the lines go? To the standard error stream, as text or as JSON, filtered by level.
//!
//! Invariants: nobody waits for whoever reads them. A thread of their own writes them; where it cannot, at most
//! [`MOST_LINES`] are kept, and those after them are dropped and counted.

use std::io::{self, BufWriter, IsTerminal, Stderr, Write};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// The most lines that wait to be written: about 2 MB of them.
const MOST_LINES: usize = 8192;

/// How long lines gather after some were written: to wake a thread for each costs more than the line.
const REST: Duration = Duration::from_millis(20);

/// The lines of this process that were dropped.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// A filter that is none.
#[derive(Debug, thiserror::Error)]
#[error("--log {filter:?} is not a log filter such as info or voelgoed_scan_server=debug")]
pub struct InvalidFilter {
    /// What was given.
    pub filter: String,
}

/// The log of a process. What waits to be written at its end is, for as long as a second.
#[must_use = "the log ends with it"]
pub struct Log(#[expect(dead_code, reason = "kept for what its end does")] WorkerGuard);

/// Starts the log of this process; a second start changes nothing.
pub fn init(filter: &str, format: LogFormat) -> Result<Log, InvalidFilter> {
    let wanted = EnvFilter::builder().parse(filter).map_err(|_| InvalidFilter {
        filter: filter.to_owned(),
    })?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(MOST_LINES)
        .thread_name("log")
        .finish(Lines(BufWriter::new(io::stderr())));
    let dropped = writer.error_counter();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(wanted)
        .with_writer(writer)
        .with_ansi(io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    // An embedding program may have its own log: then its settings rule.
    if started.is_ok() {
        DROPPED.get_or_init(|| dropped);
    }
    Ok(Log(guard))
}

/// The standard error stream, written to by a thread that has nothing else to do and may rest.
struct Lines(BufWriter<Stderr>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::sleep(REST);
        Ok(())
    }
}

/// How many lines of this process's log were dropped, because nobody read those before them.
pub(crate) fn dropped() -> u64 {
    DROPPED.get().map_or(0, |dropped| {
        u64::try_from(dropped.dropped_lines()).unwrap_or(u64::MAX)
    })
}

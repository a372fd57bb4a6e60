//! Where do the lines go? To the standard error stream, as text or as JSON, filtered by level.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

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

/// Starts the log of this process; a second start changes nothing.
pub fn init(filter: &str, format: LogFormat) -> Result<(), InvalidFilter> {
    let wanted = EnvFilter::builder().parse(filter).map_err(|_| InvalidFilter {
        filter: filter.to_owned(),
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(wanted)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    // An embedding program may have its own log: then its settings rule.
    drop(started);
    Ok(())
}

//! The server program.

use std::io::{self, Write as _};
use std::process::ExitCode;

use voelgoed_scan_core::store::{AppliedMigration, Migrated};
use voelgoed_scan_server::config::Config;
use voelgoed_scan_server::{Signals, Traces, log, migrate_database, start};

#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match run(Config::from_arguments()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let traces = match &config.otlp_endpoint {
        Some(endpoint) => Some(Traces::start(endpoint, runtime.handle().clone())?),
        None => None,
    };
    let _log = log::init(&config.log, config.log_format, traces.as_ref())?;
    let result = runtime.block_on(async {
        let mut signals = Signals::install()?;
        if config.migrate_only {
            let Some(migrated) = signals.unless_stopped(migrate_database(&config)).await else {
                return Err(
                    "stopped before the database was migrated; the migration under way was undone".into(),
                );
            };
            return Ok(report_migrations(&migrated?)?);
        }
        if let Some(started) = signals.unless_stopped(start(config)).await {
            started?.wait(signals).await;
        }
        Ok(())
    });
    // Sends the last spans, for which it needs the runtime.
    drop(traces);
    // All writes are flushed. Name lookups that are still running would only delay the exit.
    runtime.shutdown_background();
    result
}

/// Writes what migrating did to standard output: a line for each migration, and the result.
fn report_migrations(migrated: &Migrated) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for AppliedMigration { version, name } in &migrated.applied {
        writeln!(out, "applied {version:04} {name}")?;
    }
    let AppliedMigration { version, name } = &migrated.latest;
    match migrated.applied.len() {
        0 => writeln!(
            out,
            "the database is up to date, at migration {version:04} {name}"
        ),
        1 => writeln!(out, "1 migration applied, the database is at {version:04} {name}"),
        count => writeln!(
            out,
            "{count} migrations applied, the database is at {version:04} {name}"
        ),
    }
}

/// Prints why the server did not start, in one line.
#[expect(
    clippy::print_stderr,
    reason = "the one place that reports an error to the user"
)]
fn report(error: &dyn std::error::Error) {
    eprintln!("voelgoed-scan-server: {error}");
}

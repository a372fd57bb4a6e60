//! The server program.

use std::process::ExitCode;

use voelgoed_scan_server::config::Config;
use voelgoed_scan_server::{Signals, Traces, log, start};

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

/// Prints why the server did not start, in one line.
#[expect(
    clippy::print_stderr,
    reason = "the one place that reports an error to the user"
)]
fn report(error: &dyn std::error::Error) {
    eprintln!("voelgoed-scan-server: {error}");
}

//! The server as a program.

use std::process::ExitCode;

use clap::Parser as _;
use voelgoed_scan_server::config::Config;
use voelgoed_scan_server::{log, start};

fn main() -> ExitCode {
    match run(Config::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&*error);
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let _log = log::init(&config.log, config.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        start(config).await?.wait().await;
        Ok(())
    });
    // Everything is written; a lookup of a name that still waits has nothing to say any more.
    runtime.shutdown_background();
    ended
}

/// Why the server did not start, in one line.
#[expect(clippy::print_stderr, reason = "the one line that a start that failed leaves")]
fn say(error: &dyn std::error::Error) {
    eprintln!("voelgoed-scan-server: {error}");
}

//! The gate at a prompt: what the platform pushes and what a scanner asks, by hand.
//!
//! A command returns a [`output::Report`] or a [`failure::Failure`]; [`output::Printer`] alone writes them.

mod args;
mod client;
mod commands;
mod desk;
mod failure;
mod output;
mod progress;
mod qr;
mod world;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::desk::Desk;
use crate::output::Printer;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let printer = Printer::new(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return printer.failure(&error.into()),
    };
    let outcome = runtime.block_on(async {
        let desk = Desk::new(&cli.global);
        let report = cli.command.run(&desk).await?;
        printer.print(report).await
    });
    let code = match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => printer.failure(&failure),
    };
    // Whatever still waits on standard input or on a lookup has nothing to say any more.
    runtime.shutdown_background();
    code
}

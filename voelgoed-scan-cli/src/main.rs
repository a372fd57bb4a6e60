//! The command line `voelgoed-scan`: sets up events, gates, tickets and devices, and scans tickets.
//!
//! Invariants: a command returns an [`output::Report`] or a [`failure::Failure`]. Only [`output::Printer`] prints
//! results and failures. Progress bars and the usage errors of clap go to standard error directly.

mod args;
mod client;
mod commands;
mod completion;
mod context;
mod env;
mod failure;
mod names;
mod output;
mod pdf;
mod private_file;
mod progress;
mod qr;
mod view;

use std::process::ExitCode;
use std::sync::Arc;

use crate::args::Cli;
use crate::context::Context;
use crate::output::Printer;

fn main() -> ExitCode {
    // Answers a shell that completes a command line, and ends the process then.
    let shell = env::completed_shell().map(Arc::from);
    clap_complete::CompleteEnv::with_factory(|| Cli::completed(shell.as_ref())).complete();
    let cli = Cli::read();
    let printer = Printer::new(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return printer.print_failure(&error.into()),
    };
    let outcome = runtime.block_on(async {
        let context = Context::new(&cli.global);
        let report = cli.command.run(&context).await?;
        printer.print(report).await
    });
    let code = match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => printer.print_failure(&failure),
    };
    // Do not wait for blocking reads of standard input or name lookups that are still pending.
    runtime.shutdown_background();
    code
}

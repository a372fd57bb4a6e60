//! What may be typed? The whole command line; each command's own arguments stand with the command.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

use crate::commands::Command;
use crate::world;

const ABOUT: &str = "Scan tickets, and set up the gates that do";

const LONG_ABOUT: &str = "\
Scan tickets, and set up the gates that do.

Talks to a voelgoed-scan-server over HTTP, save for init, verify and demo. To see all of it at work first:

  voelgoed-scan demo";

const AFTER_HELP: &str = "\
The credential is never an argument, because arguments can be seen by every user of the machine. \
VOELGOED_SCAN_TOKEN or the --token-file holds an API key (vgk_...) to set things up and to read, or a device token \
(vgd_...) to scan.

Exit codes:
  0  done                     3  a scan was denied
  1  failed                   4  not allowed (401, 403)
  2  wrong usage              5  the server is out of reach

Results go to standard output; errors, notes and progress go to standard error as text, in either mode. With \
--output json standard output has compact JSON and nothing else: one value on one line, and for a list or several \
scans one value a line (NDJSON).

Examples:
  voelgoed-scan demo
  voelgoed-scan init --database-url sqlite://gate.db --organization Club
  voelgoed-scan event list --server https://gate.example.org --token-file owner.key";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "voelgoed-scan", version, about = ABOUT, long_about = LONG_ABOUT, after_help = AFTER_HELP)]
#[command(propagate_version = true, max_term_width = 100, arg_required_else_help = true)]
#[command(infer_subcommands = false, disable_help_subcommand = false)]
pub(crate) struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The server to talk to
    #[arg(long, global = true, value_name = "URL", env = world::SERVER, default_value = "http://127.0.0.1:8080")]
    pub(crate) server: String,
    /// Read the credential from this file instead of `VOELGOED_SCAN_TOKEN`
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Believe https servers whose certificates this PEM file vouches for, and no others
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// What results look like
    #[arg(long, global = true, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    pub(crate) output: Form,
    /// No notes, no progress: results and errors only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// When to colour; `auto` colours on a terminal unless `NO_COLOR` is set
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Colour::Auto)]
    pub(crate) color: Colour,
}

/// What results look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does_and_shows_how() {
        fn check(command: &clap::Command, path: &str) {
            for inner in command
                .get_subcommands()
                .filter(|inner| inner.get_name() != "help")
            {
                let path = format!("{path} {}", inner.get_name());
                assert!(inner.get_about().is_some(), "{path} says nothing");
                if inner.has_subcommands() {
                    check(inner, &path);
                } else {
                    let help = inner
                        .get_after_help()
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    let shown = help.lines().any(|line| {
                        line.split(&path)
                            .nth(1)
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                    });
                    assert!(shown, "{path} shows no example: {help}");
                }
            }
        }
        check(&Cli::command(), "voelgoed-scan");
    }
}

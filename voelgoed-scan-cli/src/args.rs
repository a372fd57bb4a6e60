//! The command line: the global options and the help. The arguments of each command are in the command's file.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

use crate::commands::Command;
use crate::{completion, env};

const ABOUT: &str = "Scan tickets, and set up the gates that do";

const LONG_ABOUT: &str = "\
Scan tickets, and set up the gates that do.

Talks to a voelgoed-scan-server over HTTP. No server is needed by demo, init, verify, audit verify, completions and man, nor \
by messages without a credential. To see everything at work:

  voelgoed-scan demo";

const AFTER_HELP: &str = "\
The credential is never an argument, because every user of the machine can see arguments. Put it in \
VOELGOED_SCAN_TOKEN or in a --token-file: an API key (vgk_...) to set things up and to read, or a device token \
(vgd_...) to scan.

Exit codes:
  0  done                     3  a scan was denied
  1  failed                   4  not allowed (401, 403)
  2  wrong usage              5  the server is out of reach

Results go to standard output. Errors, notes and progress go to standard error, always as text. With --output json, \
standard output contains compact JSON only: one value on one line, or one value a line for lists and several scans \
(NDJSON).

An event, a gate, a device or a session is named by its UUID, by its exact name (gates also by their code, devices by \
their textual id) without regard to case and accents, or by the start or the end of its UUID, 4 characters or more. \
VOELGOED_SCAN_EVENT names the event where a command does not. Times may be local to the event: '2026-11-29 19:00'.

Examples:
  voelgoed-scan demo
  voelgoed-scan init --database-url sqlite://gate.db --organization Club
  voelgoed-scan event list --server https://gate.example.org --token-file owner.key";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "voelgoed-scan", version = voelgoed_scan_server::VERSION, about = ABOUT, long_about = LONG_ABOUT, after_help = AFTER_HELP)]
#[command(propagate_version = true, max_term_width = 100, arg_required_else_help = true)]
#[command(infer_subcommands = false, disable_help_subcommand = false)]
pub(crate) struct Cli {
    /// The global options.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The command as a shell completes it.
    pub(crate) fn completed(shell: Option<&Arc<str>>) -> clap::Command {
        completion::with_names(Self::command(), shell)
    }

    /// Parses the command line. An empty variable counts as unset. Ends the process where the command line is wrong.
    pub(crate) fn read() -> Self {
        let matches = without_empty_variables(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// The command without the variables that are empty, and so its subcommands.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| {
            if argument.get_env().is_some_and(env::is_empty) {
                argument.env(None::<&'static str>)
            } else {
                argument
            }
        })
        .mut_subcommands(without_empty_variables)
}

/// The options that every command accepts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The server to talk to
    #[arg(long, global = true, value_name = "URL", env = env::SERVER, default_value = env::DEFAULT_SERVER)]
    pub(crate) server: String,
    /// Read the credential from this file instead of `VOELGOED_SCAN_TOKEN`
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Trust the certificate authorities in this PEM file, and no others, for https
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Format of the results
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
    /// Print results and errors only: no notes, no progress
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Show ids in tables, not names
    #[arg(long, global = true)]
    pub(crate) ids: bool,
    /// Show times in tables in UTC, not in the event's time zone
    #[arg(long, global = true)]
    pub(crate) utc: bool,
    /// Show whole ticket codes in tables, which owner and admin may
    #[arg(long, global = true)]
    pub(crate) codes: bool,
    /// When to use colours; `auto` uses them on a terminal unless `NO_COLOR` is set
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorMode::Auto)]
    pub(crate) color: ColorMode,
}

/// The format of results on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorMode {
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
    fn every_command_has_a_description_and_an_example() {
        fn check(command: &clap::Command, path: &str) {
            for inner in command
                .get_subcommands()
                .filter(|inner| inner.get_name() != "help")
            {
                let path = format!("{path} {}", inner.get_name());
                assert!(inner.get_about().is_some(), "{path} has no description");
                let help = inner
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let has_example = help.lines().any(|line| {
                    line.split(&path)
                        .nth(1)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                });
                assert!(has_example, "{path} has no example: {help}");
                check(inner, &path);
            }
        }
        check(&Cli::command(), "voelgoed-scan");
    }

    /// A value for a word that stands for one.
    fn value_for(word: String) -> String {
        match word.as_str() {
            "WEBHOOK" | "DELIVERY" => "0192f0c1-7a4e-7000-8000-000000000001".to_owned(),
            shortened if shortened.ends_with("...") => "9407f867bcd6e745".repeat(4),
            _ => word,
        }
    }

    /// The commands of an example, which may be a pipeline with redirections.
    fn commands_of(example: &str) -> Vec<Vec<String>> {
        let words = shlex::split(example).expect("an example has closed quotation marks");
        let words: Vec<_> = words.into_iter().map(value_for).collect();
        let commands = words.split(|word| word == "|");
        commands
            .filter_map(|command| {
                let begin = command.iter().position(|word| word == "voelgoed-scan")?;
                let end = command.iter().position(|word| word == ">" || word == "<");
                Some(command[begin..end.unwrap_or(command.len())].to_vec())
            })
            .collect()
    }

    #[test]
    fn every_example_is_accepted() {
        fn check(command: &clap::Command, checked: &mut usize) {
            for inner in command.get_subcommands() {
                let help = inner
                    .get_after_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                for line in help.replace("\\\n", " ").lines().map(str::trim) {
                    if !line.contains("voelgoed-scan ") || line.ends_with('.') {
                        continue;
                    }
                    for example in commands_of(line) {
                        if let Err(error) = Cli::try_parse_from(&example) {
                            panic!("{line}: {error}");
                        }
                        *checked += 1;
                    }
                }
                check(inner, checked);
            }
        }
        let mut checked = 0;
        check(&Cli::command(), &mut checked);
        assert!(checked > 100, "only {checked} examples were found");
    }
}

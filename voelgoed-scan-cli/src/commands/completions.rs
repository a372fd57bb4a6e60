//! `completions`: prints the completion script of a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::output::Report;

/// The arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voelgoed-scan completions bash > ~/.local/share/bash-completion/completions/voelgoed-scan
  voelgoed-scan completions zsh > ~/.zfunc/_voelgoed-scan
  voelgoed-scan completions fish > ~/.config/fish/completions/voelgoed-scan.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Report {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "voelgoed-scan", &mut script);
        Report::bytes(script)
    }
}

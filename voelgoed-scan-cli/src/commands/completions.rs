//! `completions`: prints the completion script of a shell.

use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use crate::failure::Failure;
use crate::output::Report;

/// The arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
The script asks this program for what fits, and the program asks the server of VOELGOED_SCAN_SERVER, with VOELGOED_SCAN_TOKEN, \
for the names of events, gates and devices. Without a server there are no names.

Examples:
  voelgoed-scan completions bash > ~/.local/share/bash-completion/completions/voelgoed-scan
  voelgoed-scan completions zsh > ~/.zfunc/_voelgoed-scan
  voelgoed-scan completions fish > ~/.config/fish/completions/voelgoed-scan.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// The shells with a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Completions {
    pub(super) fn run(self) -> Result<Report, Failure> {
        let shell: &dyn EnvCompleter = match self.shell {
            Shell::Bash => &Bash,
            Shell::Elvish => &Elvish,
            Shell::Fish => &Fish,
            Shell::Powershell => &Powershell,
            Shell::Zsh => &Zsh,
        };
        let name = "voelgoed-scan";
        let mut script = Vec::new();
        shell.write_registration("COMPLETE", name, name, name, &mut script)?;
        Ok(Report::bytes(script))
    }
}

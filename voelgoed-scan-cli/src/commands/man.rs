//! `man`: prints the manual page as roff, or writes a page for each command and for the server.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;
use serde::Serialize;

use crate::args::Cli;
use crate::failure::Failure;
use crate::output::Report;

/// The arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  voelgoed-scan man | man -l -
  voelgoed-scan man --dir /usr/local/share/man/man1")]
pub(crate) struct Man {
    /// Write one page for each command, and one for the server, into this folder instead
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Serialize)]
struct Written {
    dir: PathBuf,
    pages: usize,
}

impl Man {
    pub(super) fn run(self) -> Result<Report, Failure> {
        let mut command = Cli::command();
        command.build();
        let Some(dir) = self.dir else {
            let mut page = Vec::new();
            Page::new(command).render(&mut page)?;
            return Ok(Report::bytes(page));
        };
        std::fs::create_dir_all(&dir).map_err(|error| Failure::file(&dir, error))?;
        let pages = write(command, &dir)? + write(voelgoed_scan_server::Config::command(), &dir)?;
        Report::object(&Written { dir, pages })
    }
}

/// Writes the pages of a command and of all its subcommands. Returns their number.
fn write(command: clap::Command, dir: &Path) -> Result<usize, Failure> {
    let mut pages = 1;
    for inner in command
        .get_subcommands()
        .filter(|inner| inner.get_name() != "help")
    {
        pages += write(inner.clone(), dir)?;
    }
    let page = Page::new(command);
    let path = dir.join(page.get_filename());
    let mut roff = Vec::new();
    page.render(&mut roff)?;
    std::fs::write(&path, roff).map_err(|error| Failure::file(&path, error))?;
    Ok(pages)
}

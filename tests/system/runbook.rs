//! Runs every command of `docs/event-day.md` in an empty folder against the built programs, as somebody would who copies them
//! into a shell.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use voelgoed_scan_suite::services::free_port;

const RUNBOOK: &str = include_str!("../../docs/event-day.md");

/// The commands of the page: its blocks with the language `sh`, in their order.
fn blocks() -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = RUNBOOK.lines();
    while let Some(line) = lines.next() {
        if line == "```sh" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push(block.join("\n"));
        }
    }
    found
}

/// The folder of the built programs.
fn programs() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("a test is in target/PROFILE/deps")
        .to_owned();
    for program in ["voelgoed-scan", "voelgoed-scan-server"] {
        assert!(folder.join(program).exists(), "{program} is not built");
    }
    folder
}

/// Runs the commands in one shell, in a folder of their own. What they start in the background ends with the shell.
fn run(folder: &Path, script: &str) -> Output {
    let port = free_port();
    let path = std::env::var_os("PATH").expect("a PATH");
    let path = std::env::join_paths(std::iter::once(programs()).chain(std::env::split_paths(&path)))
        .expect("a PATH");
    let script = format!("set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n{script}\n");
    Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        // Another server may listen at the usual port. The page names no address.
        .env("VOELGOED_SCAN_LISTEN", format!("127.0.0.1:{port}"))
        .env("VOELGOED_SCAN_SERVER", format!("http://127.0.0.1:{port}"))
        .output()
        .expect("bash runs")
}

#[test]
fn every_command_of_the_runbook_works_in_an_empty_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let blocks = blocks();
    assert!(blocks.len() > 15, "{}", blocks.len());
    let script = blocks
        .iter()
        .enumerate()
        .map(|(number, block)| format!("{block}\necho 'block {number} is done'"))
        .collect::<Vec<_>>()
        .join("\n");
    let output = run(folder.path(), &script);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    let last = format!("block {} is done", blocks.len() - 1);
    assert!(stdout.contains(&last), "{stdout}");
    // The evening went as the page says.
    for shown in [
        "duplicate",
        "guest of the director",
        "archived",
        "Arrivals by quarter of an hour",
        "nothing sent",
    ] {
        assert!(stdout.contains(shown), "{shown}: {stdout}");
    }
    let pdf = fs::read(folder.path().join("report.pdf")).expect("a report");
    assert!(pdf.starts_with(b"%PDF-"));
    let csv = fs::read_to_string(folder.path().join("report.csv")).expect("a report");
    assert!(csv.contains("\r\nclasses,VIP,1,1,0,"), "{csv}");
}

#[test]
fn a_command_that_fails_stops_the_runbook() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), "voelgoed-scan event list\necho 'went on'");
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

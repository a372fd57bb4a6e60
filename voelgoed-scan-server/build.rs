//! Tells the program which commit it was built from.
//!
//! The commit is `VOELGOED_SCAN_COMMIT` where a packager sets it, otherwise that of the Git working tree. Without both, as in
//! an unpacked archive, the program has a version and no commit.

use std::path::Path;
use std::process::Command;

/// The variable by which a build outside a working tree gets its commit.
const VARIABLE: &str = "VOELGOED_SCAN_COMMIT";

#[expect(
    clippy::disallowed_methods,
    reason = "cargo configures a build script by its environment"
)]
fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let given = std::env::var(VARIABLE).ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(commit_of_working_tree);
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let version = match commit {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    };
    println!("cargo::rustc-env=VOELGOED_SCAN_VERSION={version}");
}

/// The short id of the commit that is checked out. The build runs again when another one is.
fn commit_of_working_tree() -> Option<String> {
    // A repository around an unpacked archive is another project's.
    let is_own = Path::new("../.git").exists();
    let commit = is_own
        .then(|| git(&["rev-parse", "--short=12", "HEAD"]))
        .flatten()?;
    let reference = git(&["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(reference.as_deref()) {
        let path = git(&["rev-parse", "--git-path", name])?;
        // Cargo would run the build again each time for a file that is not there.
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    Some(commit)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

//! What `--version` says, wherever the programs are built: the build script of the server runs in trees of every kind.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const VERSION: &str = "1.2.3";

/// The build script as a program. Cargo compiles it in the same way, but runs it only in this repository.
fn build_script(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("voelgoed-scan-server/build.rs");
    let program = folder.join("build-script");
    let compiled = Command::new("rustc")
        .args(["--edition", "2024", "--crate-name", "build_script", "-o"])
        .arg(&program)
        .arg(source)
        .status()
        .expect("rustc");
    assert!(compiled.success());
    program
}

/// The version that a build in a tree has, with these variables.
fn version(script: &Path, tree: &Path, variables: &[(&str, &str)]) -> String {
    let package = tree.join("voelgoed-scan-server");
    std::fs::create_dir_all(&package).expect("a folder");
    let output = Command::new(script)
        .current_dir(package)
        .env_remove("VOELGOED_SCAN_COMMIT")
        .env("CARGO_PKG_VERSION", VERSION)
        .envs(variables.iter().copied())
        .output()
        .expect("the build script");
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let version = printed
        .lines()
        .find_map(|line| line.strip_prefix("cargo::rustc-env=VOELGOED_SCAN_VERSION="));
    version.expect("a version").to_owned()
}

fn git(tree: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(tree)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
        .args(arguments)
        .output()
        .expect("git");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// A repository with two commits, and the short id of the second one.
fn repository(tree: &Path) -> String {
    std::fs::create_dir_all(tree).expect("a folder");
    git(tree, &["init", "--quiet"]);
    for number in ["1", "2"] {
        std::fs::write(tree.join("file"), number).expect("a file");
        git(tree, &["add", "file"]);
        git(tree, &["commit", "--quiet", "--message", number]);
    }
    git(tree, &["rev-parse", "--short=12", "HEAD"])
}

#[test]
fn a_build_from_git_has_its_commit_and_any_other_build_says_that_it_is_unknown() {
    let folder = TempDir::new().expect("a folder");
    let script = build_script(folder.path());
    let with_commit = |commit: &str| format!("{VERSION} ({commit})");
    let unknown = with_commit("commit unknown");

    let tree = folder.path().join("clone");
    let commit = repository(&tree);
    assert_eq!(version(&script, &tree, &[]), with_commit(&commit));
    assert_eq!(
        version(&script, &tree, &[("PATH", "")]),
        unknown,
        "git is not installed"
    );

    let shallow = folder.path().join("shallow");
    let url = format!("file://{}", tree.display());
    git(
        folder.path(),
        &["clone", "--quiet", "--depth", "1", &url, "shallow"],
    );
    assert_eq!(version(&script, &shallow, &[]), with_commit(&commit));

    let archive = tree.join("unpacked-archive");
    assert_eq!(
        version(&script, &archive, &[]),
        unknown,
        "the repository around it is another one"
    );
    let given = [("VOELGOED_SCAN_COMMIT", "5e2dd1ec62f0")];
    assert_eq!(version(&script, &archive, &given), with_commit("5e2dd1ec62f0"));
    let empty = [("VOELGOED_SCAN_COMMIT", "")];
    assert_eq!(version(&script, &archive, &empty), unknown);
}

//! A test of the layers: each module uses only those above it in the table of `lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the table in `lib.rs`, in its order.
fn layers() -> Vec<String> {
    let front_page = include_str!("lib.rs");
    front_page
        .lines()
        .skip_while(|line| !line.starts_with("//! | module | purpose |"))
        .skip(2)
        .map_while(|line| line.strip_prefix("//! | "))
        .filter_map(|row| row.split('`').nth(1))
        .map(str::to_owned)
        .collect()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The modules that the code of a file names after `crate::`, without its comments and the tests at its end.
fn used_modules(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .filter_map(|path| {
            path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .next()
        })
}

#[test]
fn modules_use_only_those_above_them() {
    let layers = layers();
    assert!(layers.len() > 10, "{layers:?}");
    let position = |module: &str| layers.iter().position(|layer| layer == module);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let mut uses = 0;
    for file in files {
        let path = file
            .strip_prefix(&root)
            .expect("below src")
            .to_string_lossy()
            .into_owned();
        let module = path.split(['/', '.']).next().unwrap_or_default();
        let is_test = path.split('/').any(|part| part == "tests" || part == "tests.rs");
        let Some(own) = position(module).filter(|_| !is_test) else {
            continue;
        };
        let text = fs::read_to_string(&file).expect("the file can be read");
        for used in used_modules(&text).filter(|used| *used != module) {
            let Some(other) = position(used) else { continue };
            uses += 1;
            let is_peer = (module, used) == ("client", "node");
            assert!(other < own && !is_peer, "{path} uses {used}");
        }
    }
    assert!(uses > 400, "only {uses} uses were found");
}

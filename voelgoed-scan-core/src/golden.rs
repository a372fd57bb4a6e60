//! Golden files: bytes that former versions wrote (`tests/golden/`). Tests compare them with what this version writes, and
//! read them with this version. A format that changes by accident, such as by a reordered enum, differs from them.
//!
//! `VOELGOED_SCAN_GOLDEN=write cargo test -p voelgoed-scan-core --all-features golden` writes the files anew, after a change
//! of a format on purpose. The tests then fail once, so that a run that only writes never counts as a passed one.

use std::fs;
use std::path::{Path, PathBuf};

/// When golden files are written instead of compared.
const WRITE: &str = "VOELGOED_SCAN_GOLDEN";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// The golden files of these names. Writes them first, from what this version writes, if that is asked for.
pub(crate) fn load<const N: usize>(written: [(&str, &[u8]); N]) -> [Vec<u8>; N] {
    if std::env::var_os(WRITE).is_some_and(|value| value == "write") {
        for (name, bytes) in &written {
            fs::write(file(name), bytes).expect("the golden file is written");
        }
        let names = written.map(|(name, _)| name);
        panic!("written: {names:?}. Review the difference, and run the tests again without {WRITE}.");
    }
    written.map(|(name, _)| fs::read(file(name)).expect("the golden file is there"))
}

/// Compares what this version writes with the golden files of these names, and returns the golden files.
pub(crate) fn check<const N: usize>(written: [(&str, &[u8]); N]) -> [Vec<u8>; N] {
    let golden = load(written);
    for ((name, written), golden) in written.iter().zip(&golden) {
        let first = golden.iter().zip(*written).position(|(one, other)| one != other);
        let first = first.unwrap_or(golden.len().min(written.len()));
        assert!(
            golden == written,
            "{name} differs from the golden file from byte {first} on: {} and {} bytes. Apps, phones and servers of \
             former versions hold bytes of the former format.",
            golden.len(),
            written.len()
        );
    }
    golden
}

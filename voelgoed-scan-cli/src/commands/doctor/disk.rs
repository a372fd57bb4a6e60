//! How much space is free where the database is, if it is a file on this machine.

use std::path::{Path, PathBuf};

use super::Finding;

const CHECK: &str = "disk";

const GIB: u64 = 1 << 30;

/// Below this many free bytes the next big import or a busy event may fill the disk.
const LOW: u64 = 5 * GIB;

/// Below this many free bytes scans may fail soon.
const TOO_LOW: u64 = GIB;

/// Checks the folder of the database at this URL.
pub(super) fn check(database_url: &str) -> Finding {
    let Some(file) = file_of(database_url) else {
        return Finding::passed(
            CHECK,
            "the database is no file of this machine: watch the disk of its server",
        );
    };
    if !file.exists() {
        return Finding::problem(
            CHECK,
            format!("there is no database {}", file.display()),
            "give --database-url as the server has it, on the server's machine".to_owned(),
        );
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match free_bytes(folder) {
        Ok(free) => finding(folder, free),
        Err(error) => Finding::problem(
            CHECK,
            format!("{}: {error}", folder.display()),
            "run doctor as a user that may read the folder of the database".to_owned(),
        ),
    }
}

/// The file of an SQLite URL.
fn file_of(database_url: &str) -> Option<PathBuf> {
    let path = database_url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    (!path.is_empty() && path != ":memory:").then(|| PathBuf::from(path))
}

#[cfg(unix)]
fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let space = rustix::fs::statvfs(folder)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> std::io::Result<u64> {
    Err(std::io::ErrorKind::Unsupported.into())
}

fn finding(folder: &Path, free: u64) -> Finding {
    let detail = format!("{:.1} GiB free in {}", as_gib(free), folder.display());
    let hint =
        || "free some space, or move the database to a larger disk: a full one records no scans".to_owned();
    match free {
        LOW.. => Finding::passed(CHECK, detail),
        TOO_LOW.. => Finding::warning(CHECK, detail, hint()),
        _ => Finding::problem(CHECK, detail, hint()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn as_gib(bytes: u64) -> f64 {
    bytes as f64 / GIB as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_a_problem() {
        let folder = Path::new("/var/lib/voelgoed-scan");
        assert!(finding(folder, LOW).ok && finding(folder, LOW).hint.is_none());
        let low = finding(folder, LOW - 1);
        assert!(low.ok && low.hint.is_some());
        let full = finding(folder, TOO_LOW - 1);
        assert!(
            !full.ok && full.detail == "1.0 GiB free in /var/lib/voelgoed-scan",
            "{}",
            full.detail
        );
    }

    #[test]
    fn the_file_of_a_database_is_found_in_its_url() {
        for (url, file) in [
            ("sqlite://gate.db", Some("gate.db")),
            ("sqlite:///var/lib/gate.db?mode=rwc", Some("/var/lib/gate.db")),
            ("sqlite:gate.db", Some("gate.db")),
            ("sqlite::memory:", None),
            ("postgres://localhost/gate", None),
        ] {
            assert_eq!(file_of(url), file.map(PathBuf::from), "{url}");
        }
        assert!(check("postgres://localhost/gate").ok);
        assert!(!check("sqlite:///no/such/folder/gate.db").ok);
    }

    #[cfg(unix)]
    #[test]
    fn the_free_space_of_a_folder_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(free_bytes(folder.path()).expect("a figure") > 0);
        assert!(free_bytes(&folder.path().join("missing")).is_err());
    }
}

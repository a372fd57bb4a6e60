//! Where does the master secret come from? A file, a variable, or, beside an SQLite database, a file made on the first
//! start.
//!
//! Invariants: a secret is never an argument that `ps` shows; a file made here is readable by its owner alone and is
//! complete before it has its name.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use voelgoed_scan_core::token::{InvalidMasterSecret, MasterSecret};
use zeroize::Zeroizing;

/// What an SQLite address starts with.
const SQLITE: &str = "sqlite:";

/// Why there is no master secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// PostgreSQL is shared by many machines: no file beside it.
    #[error(
        "with PostgreSQL a master secret is required: --secret-key-file, VOELGOED_SCAN_SECRET_KEY or \
         VOELGOED_SCAN_SECRET_KEY_FILE"
    )]
    Missing,
    /// Two sources, and no way to tell which is meant.
    #[error("{first} and {second} are both given; one of them is due")]
    Twice {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file or variable holds no secret.
    #[error("{origin}: {source}")]
    Invalid {
        /// The file's or the variable's name.
        origin: String,
        /// What is wrong with it.
        source: InvalidMasterSecret,
    },
}

/// The file that keeps the master secret of an SQLite database; nothing for another database or one in memory.
#[must_use]
pub fn beside(database_url: &str) -> Option<PathBuf> {
    let rest = database_url.strip_prefix(SQLITE)?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    (!path.is_empty() && path != ":memory:").then(|| PathBuf::from(format!("{path}.secret")))
}

/// Reads the master secret of a file.
pub(crate) fn from_file(path: &Path) -> Result<MasterSecret, SecretError> {
    let text = read(path)?;
    MasterSecret::from_hex(&text).map_err(|source| SecretError::Invalid {
        origin: path.display().to_string(),
        source,
    })
}

/// The text of a file that holds a secret.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(file_error(path))
}

/// Reads the secret beside an SQLite database; makes it where it is missing.
pub(crate) fn beside_or_new(database_url: &str) -> Result<MasterSecret, SecretError> {
    let Some(path) = beside(database_url) else {
        // A database in memory keeps nothing that a lost secret could make useless.
        return if database_url.starts_with(SQLITE) {
            Ok(MasterSecret::generate())
        } else {
            Err(SecretError::Missing)
        };
    };
    match from_file(&path) {
        Err(SecretError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => make(&path),
        read => read,
    }
}

/// Makes the file. Of two processes that make it at once, one does, and both read what it wrote.
fn make(path: &Path) -> Result<MasterSecret, SecretError> {
    let error = file_error(path);
    let secret = MasterSecret::generate();
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let written = write(&draft, &secret).and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match written {
        Ok(()) => removed.map_err(error).map(|()| secret),
        Err(found) if found.kind() == io::ErrorKind::AlreadyExists => from_file(path),
        Err(failed) => Err(error(failed)),
    }
}

fn write(path: &Path, secret: &MasterSecret) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(secret.to_hex().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> SecretError {
    let path = path.to_owned();
    move |source| SecretError::File {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_stands_beside_the_database_file() {
        for (url, file) in [
            ("sqlite://voelgoed-scan.db", Some("voelgoed-scan.db.secret")),
            (
                "sqlite:///var/lib/gate.db?mode=rwc",
                Some("/var/lib/gate.db.secret"),
            ),
            ("sqlite:gate.db", Some("gate.db.secret")),
            ("sqlite://:memory:", None),
            ("sqlite::memory:", None),
            ("postgres://localhost/gate", None),
        ] {
            assert_eq!(beside(url), file.map(PathBuf::from), "{url}");
        }
        assert!(matches!(
            beside_or_new("postgres://localhost/gate"),
            Err(SecretError::Missing)
        ));
    }

    #[test]
    fn a_missing_secret_is_made_once_and_read_afterwards() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("gate.db").display());
        let made = beside_or_new(&url).expect("a new secret");
        let read = beside_or_new(&url).expect("the same secret");
        assert_eq!(*made.to_hex(), *read.to_hex());
        let path = beside(&url).expect("a path");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(
            fs::read_dir(folder.path()).expect("a folder").count(),
            1,
            "no draft is left"
        );
        fs::write(&path, "short").expect("written");
        assert!(matches!(beside_or_new(&url), Err(SecretError::Invalid { .. })));
    }
}

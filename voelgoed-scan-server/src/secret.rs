//! Loads the master secret from a file or, with SQLite, creates a file next to the database at the first start.
//!
//! Invariants: a secret is never a command-line argument, which `ps` would show; only the owner can read a created file; a
//! created file is complete before it gets its name.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use voelgoed_scan_core::token::{InvalidMasterSecret, MasterSecret};
use zeroize::Zeroizing;

/// The scheme of SQLite URLs.
const SQLITE_SCHEME: &str = "sqlite:";

/// The schemes of PostgreSQL URLs.
const POSTGRES_SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The master secret cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No secret is given, and a PostgreSQL database has no default file, because many machines share it.
    #[error(
        "with PostgreSQL a master secret is required: --secret-key-file, VOELGOED_SCAN_SECRET_KEY or \
         VOELGOED_SCAN_SECRET_KEY_FILE"
    )]
    Missing,
    /// The database file is gone, but the secret that was created with it is there.
    #[error(
        "{} is missing or empty, but {} exists: the database was probably moved or deleted. Restore it, or start with \
         --create to begin with an empty one",
        database.display(), secret.display()
    )]
    DatabaseMissing {
        /// The database file.
        database: PathBuf,
        /// The secret file.
        secret: PathBuf,
    },
    /// The text is a path or a URL of another kind.
    #[error("--database-url is not a database: give {suggestion}")]
    NotADatabase {
        /// What was probably meant.
        suggestion: String,
    },
    /// Two sources are given.
    #[error("{first} and {second} are both given; give only one of them")]
    Twice {
        /// One source.
        first: &'static str,
        /// The other source.
        second: &'static str,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file does not contain a token.
    #[error("{} does not contain a token: one line of visible ASCII characters", path.display())]
    NotAToken {
        /// The file.
        path: PathBuf,
    },
    /// The file or variable does not contain a valid secret.
    #[error("{origin}: {source}")]
    Invalid {
        /// The name of the file or the variable.
        origin: String,
        /// The cause.
        source: InvalidMasterSecret,
    },
}

/// The file next to an SQLite database that contains its master secret; `None` for other databases and for those in
/// memory.
#[must_use]
pub fn default_file(database_url: &str) -> Option<PathBuf> {
    let rest = database_url.strip_prefix(SQLITE_SCHEME)?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    (!path.is_empty() && path != ":memory:").then(|| PathBuf::from(format!("{path}.secret")))
}

/// Fails if an SQLite database is missing or empty although its secret file exists. A new database would hide that all
/// tickets and scans are gone.
pub(crate) fn check_database(database_url: &str) -> Result<(), SecretError> {
    let Some(secret) = default_file(database_url).filter(|secret| secret.exists()) else {
        return Ok(());
    };
    let database = secret.with_extension("");
    match fs::metadata(&database) {
        Ok(metadata) if metadata.len() > 0 => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error(&database)(error)),
        _ => Err(SecretError::DatabaseMissing { database, secret }),
    }
}

/// Reads the master secret from a file.
pub(crate) fn from_file(path: &Path) -> Result<MasterSecret, SecretError> {
    let text = read_text(path)?;
    MasterSecret::from_hex(&text).map_err(|source| SecretError::Invalid {
        origin: path.display().to_string(),
        source,
    })
}

/// Reads the text of a file that contains a secret.
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(file_error(path))
}

/// Reads the master secret next to an SQLite database, and creates it if it is missing.
pub(crate) fn load_or_create(database_url: &str) -> Result<MasterSecret, SecretError> {
    let Some(path) = default_file(database_url) else {
        // A database in memory is lost at the end of the process, and its secret may be lost with it.
        return if database_url.starts_with(SQLITE_SCHEME) {
            Ok(MasterSecret::generate())
        } else if POSTGRES_SCHEMES
            .iter()
            .any(|scheme| database_url.starts_with(scheme))
        {
            Err(SecretError::Missing)
        } else {
            Err(not_a_database(database_url))
        };
    };
    match from_file(&path) {
        Err(SecretError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => create(&path),
        result => result,
    }
}

/// A text that is no URL is probably a file. A URL of another kind may contain a password and is not repeated.
fn not_a_database(database_url: &str) -> SecretError {
    let is_path = !database_url.is_empty() && !database_url.contains(['@', ':', '?']);
    SecretError::NotADatabase {
        suggestion: if is_path {
            format!("sqlite://{database_url} for this file, or postgres://USER@HOST/DATABASE")
        } else {
            "sqlite://FILE or postgres://USER@HOST/DATABASE".to_owned()
        },
    }
}

/// Creates the file. If two processes create it at once, one succeeds and both use its secret.
fn create(path: &Path) -> Result<MasterSecret, SecretError> {
    let error = file_error(path);
    let secret = MasterSecret::generate();
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let created = write(&draft, &secret).and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match created {
        Ok(()) => removed.map_err(error).map(|()| secret),
        Err(exists) if exists.kind() == io::ErrorKind::AlreadyExists => from_file(path),
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
    fn the_secret_file_is_next_to_the_sqlite_file() {
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
            assert_eq!(default_file(url), file.map(PathBuf::from), "{url}");
        }
        assert!(matches!(
            load_or_create("postgres://localhost/gate"),
            Err(SecretError::Missing)
        ));
    }

    #[test]
    fn a_database_that_is_gone_is_noticed_by_its_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("gate.db");
        let url = format!("sqlite://{}?mode=rwc", database.display());
        check_database(&url).expect("the first start");
        load_or_create(&url).expect("a new secret");
        let refused = |url: &str| matches!(check_database(url), Err(SecretError::DatabaseMissing { .. }));
        assert!(refused(&url), "missing");
        fs::write(&database, "").expect("written");
        assert!(refused(&url), "empty");
        fs::write(&database, "SQLite format 3").expect("written");
        check_database(&url).expect("the database is there");
        check_database("postgres://gate@db/gate").expect("not a file");
    }

    #[test]
    fn a_path_in_place_of_a_url_is_told_the_url() {
        let told = |url: &str| load_or_create(url).expect_err(url).to_string();
        for path in ["gate.db", "/var/lib/gate.db", "./data/gate.sqlite"] {
            assert!(
                told(path).contains(&format!("sqlite://{path} ")),
                "{}",
                told(path)
            );
        }
        for url in [
            "",
            "mysql://root:hunter2@localhost/gate",
            "root:hunter2@localhost",
        ] {
            let text = told(url);
            assert!(
                text.contains("sqlite://FILE") && !text.contains("hunter2"),
                "{text}"
            );
        }
        assert!(told("postgres://gate@db/gate").contains("master secret"));
        assert!(told("postgresql://gate@db/gate").contains("master secret"));
    }

    #[test]
    fn a_missing_secret_is_created_once_and_then_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("gate.db").display());
        let created = load_or_create(&url).expect("a new secret");
        let read = load_or_create(&url).expect("the same secret");
        assert_eq!(*created.to_hex(), *read.to_hex());
        let path = default_file(&url).expect("a path");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(
            fs::read_dir(folder.path()).expect("a folder").count(),
            1,
            "the temporary file is removed"
        );
        fs::write(&path, "short").expect("written");
        assert!(matches!(load_or_create(&url), Err(SecretError::Invalid { .. })));
    }
}

//! The files of a SQLite database: who may use them, and whether they are still there.
//!
//! SQLite keeps writing to a file that was deleted or replaced, and every commit succeeds. What was written is lost with
//! the process. So each write checks that the names still lead to the open files.
//!
//! Invariants: at most one server holds [`ServerLock`]. Only the owner can read the files: they contain personal data.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// What SQLite adds to the name of a database for its write-ahead log and for the index of the log.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// The path of a file beside the database.
pub(crate) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// The identity of a file, whatever its name.
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(metadata: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

/// Without an identity, only a missing file is noticed.
#[cfg(not(unix))]
fn file_id(_: &Metadata) -> FileId {
    (0, 0)
}

/// The open files of a database by name.
#[derive(Debug)]
pub(crate) struct DatabaseFiles(Vec<(PathBuf, FileId)>);

impl DatabaseFiles {
    /// Remembers the files. A connection must be open and must stay open, so that SQLite does not replace them.
    pub(crate) fn of(file: &Path) -> io::Result<Self> {
        let mut files = vec![(file.to_owned(), file_id(&fs::metadata(file)?))];
        for suffix in COMPANIONS {
            let path = beside(file, suffix);
            if let Ok(metadata) = fs::metadata(&path) {
                files.push((path, file_id(&metadata)));
            }
        }
        Ok(Self(files))
    }

    /// Fails with [`StoreError::Unavailable`] if one of the names no longer leads to the open file.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        for (path, id) in &self.0 {
            let is_same = fs::metadata(path).is_ok_and(|metadata| file_id(&metadata) == *id);
            if !is_same {
                return Err(StoreError::unavailable(format!(
                    "{} was deleted or replaced while it was in use",
                    path.display()
                )));
            }
        }
        Ok(())
    }
}

/// Creates a missing database file for its owner alone, and takes the access of others from a file that exists. SQLite
/// gives its other files the mode of the database.
pub(crate) fn restrict_access(file: &Path, create: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    // SQLite's locks would be lost if this process closed a descriptor of a database that it has open. So a file that
    // exists is changed by its name.
    if create && !file.exists() {
        match options.create_new(true).open(file) {
            // Another process may create it at the same moment.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    #[cfg(unix)]
    for path in std::iter::once(file.to_owned()).chain(COMPANIONS.map(|suffix| beside(file, suffix))) {
        use std::os::unix::fs::PermissionsExt as _;
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        let mode = metadata.permissions().mode();
        if mode & 0o077 != 0 {
            // Where the file belongs to somebody else, its owner decides.
            if let Err(error) = fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o700)) {
                tracing::warn!(%error, file = %path.display(), "others may read the database");
            }
        }
    }
    Ok(())
}

/// Why a server does not get a database file for itself.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another server uses the database.
    #[error(
        "{} is in use by another voelgoed-scan-server, process {holder}: stop it first; several servers share a \
         PostgreSQL database, never an SQLite file",
        file.display()
    )]
    InUse {
        /// The database file.
        file: PathBuf,
        /// The process id of the other server.
        holder: String,
    },
    /// The lock file cannot be used.
    #[error("{}: {source}", file.display())]
    Io {
        /// The lock file.
        file: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// The lock of the one server that uses a database file. It ends with the value, or with the process, however it ends.
#[derive(Debug)]
pub(crate) struct ServerLock {
    _file: File,
}

impl ServerLock {
    /// Takes the lock, which is a file beside the database. The database must exist.
    pub(crate) fn take(database: &Path) -> Result<Self, LockError> {
        // A link to the database leads to the same lock.
        let database = fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
        let path = beside(&database, ".lock");
        let failed = |source| LockError::Io {
            file: path.clone(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let is_known = read.is_ok() && !holder.is_empty();
                return Err(LockError::InUse {
                    file: database,
                    holder: if is_known {
                        holder.to_owned()
                    } else {
                        "unknown".to_owned()
                    },
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

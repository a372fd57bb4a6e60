//! Keeps a second scanner away from a database file.
//!
//! Invariant: the lock belongs to an open file, so the operating system releases it when the scanner is dropped or its
//! process dies, and no thread of the app loses it. The lock file stays: deleting it would let two scanners lock two files
//! of the same name.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::client::OfflineError;

/// The lock on a database file.
#[derive(Debug)]
pub(super) struct DatabaseLock {
    /// `None` where the file system has no locks or no room for the file. The exclusive mode of SQLite then remains.
    _file: Option<File>,
}

impl DatabaseLock {
    /// Locks a database file. Fails if another scanner of this or another process has it.
    pub(super) fn acquire(database: &Path) -> Result<Self, OfflineError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let opened = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path);
        let file = match opened {
            Ok(file) => match file.try_lock() {
                Ok(()) => Some(file),
                Err(TryLockError::WouldBlock) => return Err(OfflineError::DatabaseInUse),
                Err(TryLockError::Error(_)) => None,
            },
            Err(_) => None,
        };
        Ok(Self { _file: file })
    }
}

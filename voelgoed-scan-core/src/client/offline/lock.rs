//! Keeps a second scanner away from a database file.
//!
//! Invariant: the lock belongs to an open file, so the operating system releases it when the scanner is dropped or its
//! process dies, and no thread of the app loses it. The lock file stays: deleting it would let two scanners lock two files
//! of the same name.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::client::OfflineError;

/// How often the lock is tried, and the time between. A scanner that was just dropped may still close its database, and a
/// child process that is being started holds the lock for a moment.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// The lock on a database file.
#[derive(Debug)]
pub(super) struct DatabaseLock {
    /// `None` where the file system has no locks or no room for the file. The exclusive mode of SQLite then remains.
    _file: Option<File>,
}

impl DatabaseLock {
    /// Locks a database file. Fails if another scanner of this or another process keeps it.
    pub(super) async fn acquire(database: &Path) -> Result<Self, OfflineError> {
        for _ in 1..TRIES {
            match Self::try_acquire(database) {
                Err(OfflineError::DatabaseInUse) => tokio::time::sleep(PAUSE).await,
                result => return result,
            }
        }
        Self::try_acquire(database)
    }

    fn try_acquire(database: &Path) -> Result<Self, OfflineError> {
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

//! Replaces a database that cannot be used any more: it is damaged, or a newer version of the app wrote it.
//!
//! Invariants:
//! - The old files are renamed and never deleted. A marker names the new path before the first file moves, so that a kill
//!   in between leaves no half of a database behind.
//! - The new log continues the old one. If its end cannot be read, the new log starts far beyond it: the server then sees
//!   a gap, never one number for two scans.
//! - What can be read of the old database is taken over. What cannot is reported: a verdict carries a warning until a
//!   manifest contains what the phone had uploaded.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::client::offline::OfflineScannerSetup;
use crate::client::offline::log::{DeviceLog, LogTail, Rescue};
use crate::client::{Clock, OfflineError, OfflineScanner};
use crate::model::Timestamp;
use crate::sync::LinkHash;

/// A database that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageReplacement {
    /// The file set aside.
    pub path: PathBuf,
    /// When, by the device's clock.
    pub replaced_at: Timestamp,
    /// Why: `damaged_database` or `newer_database`.
    pub code: String,
    /// The number of scans waiting for upload that were taken over.
    pub rescued: u64,
    /// Whether all of the old database could be read. Otherwise this phone may have admitted tickets of which it no longer
    /// knows.
    pub complete: bool,
}

/// What could be read of the databases that were set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RescueReport {
    /// The number of scans waiting for upload that were taken over. They are uploaded like all others.
    pub scans: u64,
    /// Whether everything could be read.
    pub complete: bool,
}

impl OfflineScanner {
    /// Reads the databases that were set aside once more and takes over what they have and this one lacks. Opening has
    /// done that before; a repetition helps if the disk was full then.
    pub async fn rescued_scans(&self) -> Result<RescueReport, OfflineError> {
        let state = &mut *self.state.lock().await;
        let mut report = RescueReport {
            scans: 0,
            complete: true,
        };
        for replacement in state.log.replacements().await? {
            let rescue = state.log.rescue_from(&replacement.path).await?;
            report.scans += rescue.scans;
            report.complete &= rescue.complete;
            state.log.record_rescue(&replacement.path, rescue).await?;
        }
        state.replaced = state.log.replacements().await?;
        state.lost_at = state.log.lost_at().await?;
        Ok(report)
    }

    /// Marks the databases that were set aside as shown to a person. They leave the state; their files stay.
    pub async fn confirm_replacements(&self) -> Result<(), OfflineError> {
        let state = &mut *self.state.lock().await;
        state.log.confirm_replacements().await?;
        state.replaced = state.log.replacements().await?;
        Ok(())
    }

    /// Replaces a database that turned out to be unusable while it was in use.
    pub(super) async fn replace_database(
        &self,
        state: &mut super::State,
        error: OfflineError,
    ) -> Result<(), OfflineError> {
        state.log.disconnect().await;
        state.log = replace(&self.setup, self.clock(), &error).await?;
        state.replaced = state.log.replacements().await?;
        state.lost_at = state.log.lost_at().await?;
        Ok(())
    }
}

/// Opens the database of a device. Replaces it if it is unusable.
pub(super) async fn open_or_replace(
    setup: &OfflineScannerSetup,
    clock: Option<&dyn Clock>,
) -> Result<DeviceLog, OfflineError> {
    finish_move(&setup.file)?;
    match DeviceLog::open(&setup.file, setup).await {
        Err(error) if error.is_unusable_database() => replace(setup, clock, &error).await,
        opened => opened,
    }
}

async fn replace(
    setup: &OfflineScannerSetup,
    clock: Option<&dyn Clock>,
    error: &OfflineError,
) -> Result<DeviceLog, OfflineError> {
    let replaced_at = match clock {
        Some(clock) => clock.now(),
        None => modified_at(&setup.file)?,
    };
    let path = unused_path(&setup.file, replaced_at);
    tracing::error!(
        code = error.replacement_code(),
        "the database of this device is set aside"
    );
    fs::write(marker(&setup.file), path.as_os_str().as_encoded_bytes())?;
    finish_move(&setup.file)?;
    let mut log = DeviceLog::open(&setup.file, setup).await?;
    let tail = match DeviceLog::tail_of(&path).await {
        Some(tail) => tail,
        None => beyond_every_log(replaced_at),
    };
    let rescue = log.rescue_from(&path).await.unwrap_or_else(|error| {
        tracing::warn!(code = error.code(), "the old database was not taken over");
        Rescue::default()
    });
    let replacement = StorageReplacement {
        path,
        replaced_at,
        code: error.replacement_code().to_owned(),
        rescued: rescue.scans,
        complete: rescue.complete,
    };
    log.begin_after(&replacement, &tail).await?;
    Ok(log)
}

/// The start of a log whose predecessor cannot be read. No phone makes a scan a second for as long as the epoch lasts.
fn beyond_every_log(now: Timestamp) -> LogTail {
    let mut link = [0; 32];
    crate::model::random::fill(&mut link);
    LogTail {
        sequence: u64::try_from(now.as_seconds()).unwrap_or(0).max(1 << 31),
        link: Some(LinkHash::new(link)),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The file that names where the database is being moved to.
fn marker(file: &Path) -> PathBuf {
    with_suffix(file, ".replacing")
}

/// The path for a database that is set aside, such as `device.db.20261129T014200Z.replaced`.
fn unused_path(file: &Path, now: Timestamp) -> PathBuf {
    let time: String = now
        .to_string()
        .chars()
        .filter(|character| !matches!(character, '-' | ':' | '.'))
        .collect();
    let mut path = with_suffix(file, &format!(".{time}.replaced"));
    let mut number = 1;
    while path.exists() {
        number += 1;
        path = with_suffix(file, &format!(".{time}-{number}.replaced"));
    }
    path
}

/// Moves the files of the database to the path in the marker, if there is one.
fn finish_move(file: &Path) -> Result<(), OfflineError> {
    let marker = marker(file);
    let Ok(target) = fs::read(&marker) else {
        return Ok(());
    };
    let name = PathBuf::from(String::from_utf8_lossy(&target).into_owned());
    // The app's directory may have moved with an update of the app: only the name counts.
    let target = match name.file_name() {
        Some(name) => file.with_file_name(name),
        None => unused_path(file, modified_at(file)?),
    };
    for suffix in ["-wal", "-shm", ""] {
        let from = with_suffix(file, suffix);
        if from.exists() {
            fs::rename(from, with_suffix(&target, suffix))?;
        }
    }
    Ok(fs::remove_file(marker)?)
}

/// When the file was last written.
fn modified_at(file: &Path) -> Result<Timestamp, OfflineError> {
    let modified = fs::metadata(file)?.modified()?;
    let since_epoch = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp::from_millis(
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX),
    ))
}

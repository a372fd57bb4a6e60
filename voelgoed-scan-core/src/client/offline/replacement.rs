//! Replaces a database that cannot be used any more: it is damaged, or a newer version of the app wrote it.
//!
//! Invariants:
//! - The old files are renamed and never deleted. A marker names the new path before the first file moves, and stays until
//!   the new database has taken over the old one. So a kill in between leaves no half of a database, and no new log that
//!   starts again at 1.
//! - The new log continues the old one. If its end cannot be read, the new log starts far beyond it: the server then sees
//!   a gap, never one number for two scans.
//! - What can be read of the old database is taken over, and what a scanner in use knows of the device: whether the server
//!   refuses it, its session, scope, permission and clock. Scans that cannot be read are reported: a verdict carries a
//!   warning until a manifest contains what the phone had uploaded.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::client::offline::OfflineScannerSetup;
use crate::client::offline::log::{DeviceLog, LogTail};
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
        // Of this the new database has at most what could be read of the old one.
        let stored = state.log.device().await?;
        state.stored_session = stored.session;
        state.stored_refusal = stored.refusal;
        state.stored_can_override = stored.can_override;
        state.stored_scope = state.log.scope().await?;
        Self::store_device(state).await?;
        state.log.set_clock(&state.clock).await
    }
}

/// Opens the database of a device. Replaces it if it is unusable.
pub(super) async fn open_or_replace(
    setup: &OfflineScannerSetup,
    clock: Option<&dyn Clock>,
) -> Result<DeviceLog, OfflineError> {
    if let Some(marker) = Marker::read(&setup.file) {
        return marker.complete(setup).await;
    }
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
    let marker = Marker {
        target: unused_path(&setup.file, replaced_at),
        replaced_at,
        code: error.replacement_code().to_owned(),
    };
    tracing::error!(code = marker.code, "the database of this device is set aside");
    marker.write(&setup.file)?;
    marker.complete(setup).await
}

/// A replacement that was begun.
struct Marker {
    target: PathBuf,
    replaced_at: Timestamp,
    code: String,
}

impl Marker {
    fn path(file: &Path) -> PathBuf {
        with_suffix(file, ".replacing")
    }

    fn write(&self, file: &Path) -> Result<(), OfflineError> {
        let name = self.target.file_name().unwrap_or_default().to_string_lossy();
        let text = format!("{} {} {name}", self.code, self.replaced_at.as_millis());
        // Completely or not at all.
        let unfinished = with_suffix(file, ".replacing-new");
        let mut marker = fs::File::create(&unfinished)?;
        marker.write_all(text.as_bytes())?;
        // Also after a power failure.
        marker.sync_all()?;
        fs::rename(unfinished, Self::path(file))?;
        if let Some(Ok(folder)) = file.parent().map(fs::File::open) {
            // Not every file system can sync a folder.
            let _ = folder.sync_all();
        }
        Ok(())
    }

    /// Reads the marker of a replacement that was interrupted.
    fn read(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(Self::path(file)).ok()?;
        let mut words = text.splitn(3, ' ');
        Some(Self {
            code: words.next()?.to_owned(),
            replaced_at: Timestamp::from_millis(words.next()?.parse().ok()?),
            // The app's directory may have moved with an update of the app, so the marker has only the name.
            target: file.with_file_name(words.next()?),
        })
    }

    /// Moves the files that have not been moved, opens a new database and takes over the old one.
    async fn complete(&self, setup: &OfflineScannerSetup) -> Result<DeviceLog, OfflineError> {
        // The database itself moves last. Once it has moved, what is in its place is the new one.
        if !self.target.exists() {
            for suffix in ["-wal", "-shm", ""] {
                let from = with_suffix(&setup.file, suffix);
                if from.exists() {
                    fs::rename(from, with_suffix(&self.target, suffix))?;
                }
            }
        }
        let mut log = DeviceLog::open(&setup.file, setup).await?;
        let tail = match DeviceLog::tail_of(&self.target).await {
            Some(tail) => tail,
            None => beyond_every_log(self.replaced_at),
        };
        log.take_over(setup, &self.target, self.replaced_at, &self.code, &tail)
            .await?;
        fs::remove_file(Self::path(&setup.file))?;
        Ok(log)
    }
}

/// The start of a log whose predecessor cannot be read: no phone makes a scan a millisecond for as long as the epoch lasts.
fn beyond_every_log(now: Timestamp) -> LogTail {
    let mut random = [0; 32];
    crate::model::random::fill(&mut random);
    let sequence = match u64::try_from(now.as_millis()) {
        Ok(millis) if now >= RIGHT_CLOCK => millis,
        // The clock is wrong, so a later start might have the same time. 2^52 and 40 random bits.
        _ => (1 << 52) | u64::from_be_bytes([0, 0, 0, random[0], random[1], random[2], random[3], random[4]]),
    };
    LogTail {
        sequence,
        link: Some(LinkHash::new(random)),
    }
}

/// A clock that shows an earlier time is certainly wrong.
const RIGHT_CLOCK: Timestamp = Timestamp::from_seconds(1_700_000_000);

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
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

/// When the file was last written.
fn modified_at(file: &Path) -> Result<Timestamp, OfflineError> {
    let modified = fs::metadata(file)?.modified()?;
    let since_epoch = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp::from_millis(
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX),
    ))
}

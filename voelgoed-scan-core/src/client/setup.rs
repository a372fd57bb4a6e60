//! What the app provides to a client: clocks, a directory, a transport, a secret store, timeouts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{SecretStore, Transport};
use crate::model::{App, DeviceId, Language, Timestamp};

/// The device's own clocks. The wall clock may be wrong: the client measures its offset from the server's clock.
pub trait Clock: Send + Sync {
    /// Returns the current time of the wall clock.
    fn now(&self) -> Timestamp;

    /// Returns the milliseconds since some moment of this boot, by a clock that nobody can set and that goes on while the
    /// device sleeps (Linux, Android: `CLOCK_BOOTTIME`; Apple: `mach_continuous_time`). `None` if the platform has none:
    /// then nobody notices a clock that was set ahead.
    fn monotonic_ms(&self) -> Option<u64> {
        None
    }

    /// Returns an id of this boot. The monotonic clock counts only within one boot.
    fn boot_id(&self) -> Option<String> {
        None
    }

    /// Returns a time for measuring intervals: that of the monotonic clock, if there is one. It is not a time of day.
    fn steady(&self) -> Timestamp {
        match self.monotonic_ms() {
            Some(millis) => Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)),
            None => self.now(),
        }
    }
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// Timeouts, retry intervals and batch size of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// How long a scan waits for the server before the phone decides it.
    pub scan_timeout: Duration,
    /// Timeout of a small request.
    pub call_timeout: Duration,
    /// Timeout of an upload batch or of a part of a manifest. The download of a manifest has no timeout as long as parts
    /// arrive.
    pub transfer_timeout: Duration,
    /// Wait after the first failed request. The wait doubles with each further failure.
    pub initial_backoff: Duration,
    /// Upper bound of the wait between attempts.
    pub max_backoff: Duration,
    /// How often [`ScannerClient::run`](crate::client::ScannerClient::run) refreshes the manifest and reports the health
    /// of the device.
    pub refresh_interval: Duration,
    /// The maximum number of scans in one upload batch.
    pub batch_size: usize,
    /// How many events' manifests the phone holds. The least recently used one is dropped first.
    pub manifests_held: usize,
    /// Whether `http://` addresses are allowed. For tests, and for a server on the same machine.
    pub allow_plain_http: bool,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            scan_timeout: Duration::from_millis(800),
            call_timeout: Duration::from_secs(10),
            transfer_timeout: Duration::from_mins(1),
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_mins(1),
            refresh_interval: Duration::from_mins(1),
            batch_size: 500,
            manifests_held: crate::client::offline::DEFAULT_MANIFESTS_HELD,
            allow_plain_http: false,
        }
    }
}

/// What the app provides to a client.
#[derive(Clone)]
pub struct ClientSetup {
    /// A directory of the app for the databases. It must not be backed up to another device.
    pub directory: PathBuf,
    /// The name and version of the app.
    pub app: App,
    /// Sends HTTP requests.
    pub transport: Arc<dyn Transport>,
    /// Stores the credentials.
    pub secrets: Arc<dyn SecretStore>,
    /// The device's clock.
    pub clock: Arc<dyn Clock>,
    /// The language of the steward's messages. [`ScannerClient::set_language`](crate::client::ScannerClient::set_language)
    /// changes it.
    pub language: Language,
    /// Timeouts and intervals.
    pub settings: ClientSettings,
}

impl ClientSetup {
    /// The path of a device's database.
    pub(super) fn database(&self, device: DeviceId) -> PathBuf {
        self.directory.join(format!("{device}.db"))
    }
}

//! What the app provides to a client.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use voelgoed_scan_core as core;
use voelgoed_scan_core::client::{ClientError, HttpTransport};
pub use voelgoed_scan_core::model::App;

use crate::callbacks::{AppSecrets, AppTransport};
use crate::clock::PlatformClock;
use crate::text::language_of;
use crate::{Name, ScannerError, SecretStore, Transport};

/// The app that embeds the library.
#[uniffi::remote(Record)]
pub struct App {
    /// The name.
    pub name: Name,
    /// The version.
    pub version: Name,
    /// The platform, such as `android` or `ios`.
    pub platform: Name,
}

/// Timeouts, retry intervals and batch size. `default_client_settings` returns the defaults.
#[derive(Debug, Clone, uniffi::Record)]
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
    /// How often `run` refreshes the manifest and reports the device's health.
    pub refresh_interval: Duration,
    /// The maximum number of scans in one upload batch.
    pub batch_size: u32,
    /// How many events' manifests the phone holds. The least recently used one is dropped first.
    pub manifests_held: u32,
    /// Whether `http://` addresses are allowed. For tests, and for a server on the same machine.
    pub allow_plain_http: bool,
}

/// Returns the defaults, such as 800 ms for a scan.
#[uniffi::export]
pub fn default_client_settings() -> ClientSettings {
    let core::client::ClientSettings {
        scan_timeout,
        call_timeout,
        transfer_timeout,
        initial_backoff,
        max_backoff,
        refresh_interval,
        batch_size,
        manifests_held,
        allow_plain_http,
    } = core::client::ClientSettings::default();
    ClientSettings {
        scan_timeout,
        call_timeout,
        transfer_timeout,
        initial_backoff,
        max_backoff,
        refresh_interval,
        batch_size: u32::try_from(batch_size).unwrap_or(u32::MAX),
        manifests_held: u32::try_from(manifests_held).unwrap_or(u32::MAX),
        allow_plain_http,
    }
}

/// What the app provides to a client.
#[derive(uniffi::Record)]
pub struct ClientSetup {
    /// A directory of the app for the databases. It must not be backed up to another device.
    pub directory: String,
    /// The name and version of the app.
    pub app: App,
    /// Stores the credentials.
    pub secrets: Arc<dyn SecretStore>,
    /// Sends HTTP requests. The default uses hyper and rustls with Mozilla's root certificates.
    #[uniffi(default = None)]
    pub transport: Option<Arc<dyn Transport>>,
    /// Timeouts and intervals. The default is `default_client_settings`.
    #[uniffi(default = None)]
    pub settings: Option<ClientSettings>,
    /// The languages that the steward reads, the preferred one first: BCP 47 tags such as `af-ZA`, separated by commas. The
    /// messages are in the first one that the library has, otherwise in English. `set_language` changes it.
    #[uniffi(default = None)]
    pub language: Option<String>,
}

impl ClientSetup {
    pub(super) fn into_core(self) -> Result<core::client::ClientSetup, ScannerError> {
        let transport: Arc<dyn core::client::Transport> = match self.transport {
            Some(transport) => Arc::new(AppTransport(transport)),
            None => Arc::new(HttpTransport::new().map_err(ClientError::from)?),
        };
        let settings = self.settings.unwrap_or_else(default_client_settings);
        Ok(core::client::ClientSetup {
            directory: PathBuf::from(self.directory),
            app: self.app,
            transport,
            secrets: Arc::new(AppSecrets(self.secrets)),
            clock: Arc::new(PlatformClock),
            language: language_of(self.language.as_deref()),
            settings: core::client::ClientSettings {
                scan_timeout: settings.scan_timeout,
                call_timeout: settings.call_timeout,
                transfer_timeout: settings.transfer_timeout,
                initial_backoff: settings.initial_backoff,
                max_backoff: settings.max_backoff,
                refresh_interval: settings.refresh_interval,
                batch_size: usize::try_from(settings.batch_size).unwrap_or(usize::MAX),
                manifests_held: usize::try_from(settings.manifests_held).unwrap_or(usize::MAX),
                allow_plain_http: settings.allow_plain_http,
            },
        })
    }
}

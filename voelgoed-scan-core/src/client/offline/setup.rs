//! What an offline scanner is opened with.

use std::path::PathBuf;
use std::sync::Arc;

use crate::client::Clock;
use crate::client::offline::DeviceSecret;
use crate::model::{DeviceId, Language, OrganizationId};

/// How many events' manifests a phone holds unless the app sets another number.
pub(crate) const DEFAULT_MANIFESTS_HELD: usize = 4;

/// What an offline scanner needs.
#[derive(Debug, Clone)]
pub struct OfflineScannerSetup {
    /// The database file, one for each device.
    pub file: PathBuf,
    /// The device's organization.
    pub organization_id: OrganizationId,
    /// The device.
    pub device_id: DeviceId,
    /// The device's display name.
    pub device_name: String,
    /// Whether the device may override. Used when the database is created; later changes come from
    /// [`crate::client::OfflineScanner::set_can_override`].
    pub can_override: bool,
    /// The organization's manifest key, pinned at enrolment.
    pub manifest_key: [u8; 32],
    /// The key that signs uploads, if the device enrolled with one.
    pub device_secret: Option<DeviceSecret>,
}

/// What an offline scanner can have besides its setup.
#[derive(Clone)]
pub struct OfflineScannerOptions {
    /// The device's clocks. Without them, times of scans rest on the wall clock alone.
    pub clock: Option<Arc<dyn Clock>>,
    /// How many events' manifests are held, at least one.
    pub manifests_held: usize,
    /// The SHA-256 of the device token. A refusal by the server belongs to the token that it refused.
    pub token_sha256: [u8; 32],
    /// The language of the steward's messages. [`crate::client::OfflineScanner::set_language`] changes it.
    pub language: Language,
}

impl Default for OfflineScannerOptions {
    fn default() -> Self {
        Self {
            clock: None,
            manifests_held: DEFAULT_MANIFESTS_HELD,
            token_sha256: [0; 32],
            language: Language::English,
        }
    }
}

impl std::fmt::Debug for OfflineScannerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OfflineScannerOptions")
            .field("manifests_held", &self.manifests_held)
            .finish_non_exhaustive()
    }
}

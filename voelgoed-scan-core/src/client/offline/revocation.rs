//! The server refuses this device: it was revoked, or its token was replaced.
//!
//! Invariants: a refusal is stored and survives a restart; it belongs to the refused token, so that enrolling again ends
//! it; it stops scans, and never the upload of scans that were made before.

use crate::client::{OfflineError, OfflineScanner};
use crate::model::Timestamp;
use crate::model::text::string_enum;

string_enum! {
    /// Why the server refuses this device.
    pub enum DeviceRefusal {
        /// The device was revoked, or it is inactive.
        Inactive = "device_inactive",
        /// The server does not know the token: it was replaced by an enrolment elsewhere.
        InvalidToken = "invalid_token",
    }
}

/// A refusal with what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredRefusal {
    pub(super) code: DeviceRefusal,
    pub(super) since: Timestamp,
    /// The SHA-256 of the refused token.
    pub(super) token: [u8; 32],
}

impl OfflineScanner {
    /// Stores that the server refused this device. From now on no scan is decided, until the server accepts the device
    /// again or the phone is enrolled again. Returns whether that is new. `now` is the device's clock.
    pub async fn refuse_device(&self, code: DeviceRefusal, now: Timestamp) -> Result<bool, OfflineError> {
        let mut state = self.state.lock().await;
        if state.refusal.as_ref().is_some_and(|known| known.code == code) {
            return Ok(false);
        }
        let refusal = StoredRefusal {
            code,
            since: now,
            token: self.options.token_sha256,
        };
        // In force at once, even if the disk is full.
        state.refusal = Some(refusal.clone());
        state.log.set_refusal(Some(&refusal)).await?;
        state.stored_refusal = Some(refusal);
        Ok(true)
    }

    /// Stores that the server accepts this device. Returns whether it refused it before.
    ///
    /// An accepted upload does not prove that: a revoked device may still upload.
    pub async fn accept_device(&self) -> Result<bool, OfflineError> {
        let mut state = self.state.lock().await;
        if state.refusal.is_none() {
            return Ok(false);
        }
        state.log.set_refusal(None).await?;
        state.stored_refusal = None;
        state.refusal = None;
        Ok(true)
    }

    /// Returns why and since when the server refuses this device.
    pub async fn device_refusal(&self) -> Option<(DeviceRefusal, Timestamp)> {
        let state = self.state.lock().await;
        state
            .refusal
            .as_ref()
            .map(|refusal| (refusal.code, refusal.since))
    }
}

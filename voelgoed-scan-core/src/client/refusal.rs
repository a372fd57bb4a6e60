//! Heeds a server that refuses this device, and one that accepts it again.

use crate::client::{ClientError, DeviceRefusal, OfflineError, ScannerClient};

impl ScannerClient {
    /// Fails if the server refuses this device. The phone then decides no scan: it stays refused offline and after a
    /// restart, until it is enrolled again or a maintenance round finds that the server accepts it.
    pub(super) async fn check_not_refused(&self) -> Result<(), ClientError> {
        match self.offline.device_refusal().await {
            Some((code, _)) => Err(OfflineError::DeviceRefused { code }.into()),
            None => Ok(()),
        }
    }

    /// Stores a refusal of this device by the server. Any other error changes nothing.
    pub(super) async fn heed_refusal(&self, error: &ClientError) {
        let ClientError::Refused {
            status: 401, code, ..
        } = error
        else {
            return;
        };
        let Ok(code) = code.parse::<DeviceRefusal>() else {
            return;
        };
        match self.offline.refuse_device(code, self.setup.clock.now()).await {
            Ok(true) => self.bump_revision(),
            Ok(false) => {}
            Err(error) => tracing::warn!(code = error.code(), "the refusal of this device was not stored"),
        }
    }

    /// Ends a refusal, because the server has accepted the device.
    pub(super) async fn heed_acceptance(&self) -> Result<(), ClientError> {
        if self.offline.accept_device().await? {
            self.bump_revision();
        }
        Ok(())
    }
}

//! How does an operator make a phone a device? A code from the back office, good once and for five minutes.

use std::time::Duration;

use crate::model::{
    DeviceId, DeviceToken, EnrollAnswer, EnrollRequest, EnrollmentCode, IssuedToken, ManifestKey,
    OrganizationId, Timestamp,
};
use crate::node::Admin;
use crate::store::{PutOutcome, StoreError};

/// How long a code works.
const LIFETIME: Duration = Duration::from_mins(5);

impl Admin {
    /// Makes a code that enrols a phone as this device, and says when it expires; the code that the device had works no
    /// longer. It is shown this once.
    pub async fn new_enrollment(
        &self,
        organization: OrganizationId,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<PutOutcome<(EnrollmentCode, Timestamp)>, StoreError> {
        let code = EnrollmentCode::generate();
        let expires_at = now.plus(LIFETIME);
        let put = self
            .store
            .put_enrollment(organization, device, &code, expires_at)
            .await?;
        Ok(put.map(|()| (code, expires_at)))
    }

    /// Enrols a phone; `None` where the code is unknown, used, expired or burnt: which of them is nobody's to know.
    pub async fn enroll(
        &self,
        request: &EnrollRequest,
        now: Timestamp,
    ) -> Result<Option<EnrollAnswer>, StoreError> {
        let token = DeviceToken::generate();
        let Some(device) = self.store.enroll(request, &token.hash(), now).await? else {
            return Ok(None);
        };
        self.changes.facts(device.organization_id);
        let manifest_key = self.manifest_key(device.organization_id).await?;
        Ok(Some(EnrollAnswer {
            device,
            token: IssuedToken(token),
            server_time: now,
            manifest_key: ManifestKey::new(manifest_key),
        }))
    }
}

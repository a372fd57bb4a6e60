//! Enrols phones as devices. An operator gets a code, which is valid once and for five minutes.

use std::time::Duration;

use super::Admin;
use crate::model::{
    AuditContext, DeviceId, DeviceToken, EnrollAnswer, EnrollRequest, EnrollmentCode, IssuedToken,
    ManifestKey, OrganizationId, Timestamp,
};
use crate::store::{PutOutcome, StoreError};

/// How long an enrolment code is valid.
const CODE_LIFETIME: Duration = Duration::from_mins(5);

impl Admin {
    /// Creates a code that enrols a phone as this device, and returns it with its expiry. An earlier code of the device is
    /// no longer valid. The code is returned only here.
    pub async fn new_enrollment(
        &self,
        organization: OrganizationId,
        device: DeviceId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<PutOutcome<(EnrollmentCode, Timestamp)>, StoreError> {
        let code = EnrollmentCode::generate();
        let expires_at = now.plus(CODE_LIFETIME);
        let put = self
            .store
            .put_enrollment(organization, device, &code, expires_at, self.audit(by, now))
            .await?;
        Ok(put.map(|()| (code, expires_at)))
    }

    /// Enrols a phone. The audit log names the device as the actor of the call. `None` where the code is unknown, used, expired or locked after too many attempts: callers must not
    /// learn which of these applies.
    pub async fn enroll(
        &self,
        request: &EnrollRequest,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<Option<EnrollAnswer>, StoreError> {
        let token = DeviceToken::generate();
        let audit = self.audit(by, now);
        let Some(device) = self.store.enroll(request, &token.hash(), now, audit).await? else {
            return Ok(None);
        };
        self.invalidator.facts_changed(device.organization_id);
        let manifest_key = self.manifest_key(device.organization_id).await?;
        Ok(Some(EnrollAnswer {
            device,
            token: IssuedToken(token),
            server_time: now,
            manifest_key: ManifestKey::new(manifest_key),
        }))
    }
}

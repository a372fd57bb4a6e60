//! Registers, changes and revokes devices.

use super::Admin;
use crate::model::{
    AuditContext, Device, DeviceHealth, DeviceId, DevicePatch, DeviceRegister, DeviceToken, OrganizationId,
    Timestamp,
};
use crate::store::{PutOutcome, StoreError};

impl Admin {
    /// Registers a device. Its token is returned only here.
    pub async fn register_device(
        &self,
        organization: OrganizationId,
        device: &DeviceRegister,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<PutOutcome<(Device, DeviceToken)>, StoreError> {
        let token = DeviceToken::generate();
        let id = DeviceId::generate(now);
        let put = self
            .store
            .register_device(organization, id, device, &token.hash(), now, self.audit(by, now))
            .await?;
        Ok(put.map(|device| (device, token)))
    }

    /// Changes a device.
    pub async fn patch_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        patch: &DevicePatch,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<PutOutcome<Device>, StoreError> {
        let put = self
            .store
            .patch_device(organization, id, patch, now, self.audit(by, now))
            .await?;
        self.invalidator.facts_changed(organization);
        Ok(put)
    }

    /// Replaces the token of a device. The new token is returned only here; the old one is no longer valid.
    pub async fn rotate_device_token(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<PutOutcome<(Device, DeviceToken)>, StoreError> {
        let token = DeviceToken::generate();
        let put = self
            .store
            .rotate_device_token(organization, id, &token.hash(), now, self.audit(by, now))
            .await?;
        self.invalidator.facts_changed(organization);
        Ok(put.map(|device| (device, token)))
    }

    /// Revokes a device permanently. Returns whether it existed.
    pub async fn revoke_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let revoked = self
            .store
            .revoke_device(organization, id, now, self.audit(by, now))
            .await?;
        self.invalidator.facts_changed(organization);
        Ok(revoked)
    }

    /// Records that a device called, and the health that it reports, if any.
    pub async fn report_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        health: Option<&DeviceHealth>,
        now: Timestamp,
    ) -> Result<Option<Device>, StoreError> {
        self.store.report_device(organization, id, health, now).await
    }
}

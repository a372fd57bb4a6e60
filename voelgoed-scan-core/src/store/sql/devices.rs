//! Devices and their tokens. A revoked device is never deleted, because records refer to it. The hash of a token is a
//! row of `credentials`.

use async_trait::async_trait;

use crate::model::{
    Device, DeviceHealth, DeviceId, DeviceLabel, DevicePatch, DeviceRegister, DeviceScope, DeviceStatus,
    Name, OrganizationId, Timestamp, TokenHash,
};
use crate::store::sql::bounded_list::{BoundedList, ROWS_PER_READ};
use crate::store::sql::change_counters::raise_change_counter;
use crate::store::sql::sessions::end_active;
use crate::store::sql::{Dialect, Sql, mapping, query, statement};
use crate::store::{Cursor, Devices, Page, PageRequest, PutOutcome, StoreError};

/// The rule that forbids changes of a revoked device.
pub(super) const REVOKED: &str = "this device was revoked for good";

#[async_trait]
impl<D: Dialect> Devices for Sql<D> {
    async fn register_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        device: &DeviceRegister,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<PutOutcome<Device>, StoreError> {
        let mut transaction = self.write().await?;
        let inserted = query::<D>(statement!("devices/insert.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .text(device.device_id.as_str())
            .text(device.name.as_str())
            .text(device.device_type.as_str())
            .json(&device.settings)
            .time(now)
            .opt_json(Some(&device.scope).filter(|scope| !scope.is_any()))
            .execute(&mut transaction)
            .await?;
        if inserted == 0 {
            return Ok(PutOutcome::Conflict("this device_id is taken"));
        }
        insert_token::<D>(organization, id, token, &mut transaction).await?;
        raise_change_counter::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        Ok(PutOutcome::Created(Device {
            id,
            organization_id: organization,
            device_id: device.device_id.clone(),
            name: device.name.clone(),
            device_type: device.device_type,
            status: DeviceStatus::Active,
            last_seen_at: None,
            settings: device.settings.clone(),
            scope: device.scope.clone(),
            app: None,
            battery: None,
            waiting: None,
            inserted_at: now,
            updated_at: now,
        }))
    }

    async fn device(&self, organization: OrganizationId, id: DeviceId) -> Result<Option<Device>, StoreError> {
        let mut connection = self.read().await?;
        find_device::<D>(organization, id, &mut connection).await
    }

    async fn devices(
        &self,
        organization: OrganizationId,
        label: Option<&str>,
        status: Option<DeviceStatus>,
        page: &PageRequest,
    ) -> Result<Page<Device>, StoreError> {
        if label.is_some_and(|label| label.parse::<DeviceLabel>().is_err()) {
            return Ok(Page::empty());
        }
        let mut list = BoundedList::new(page, Cursor::MIN);
        while let Some((after, limit)) = list.next_read() {
            let (_permit, mut connection) = self.read_bulk().await?;
            let bound = if label.is_some() || status.is_some() {
                query::<D>(statement!("devices/bound.sql"))
                    .id(organization.as_uuid())
                    .id(&after.id)
                    .int(ROWS_PER_READ - 1)
                    .fetch_optional(&mut connection)
                    .await?
            } else {
                None
            };
            let bound = bound.map(|row| row.id("id")).transpose()?.map(Cursor::of_id);
            let rows = query::<D>(statement!("devices/list.sql"))
                .id(organization.as_uuid())
                .id(&after.id)
                .opt_text(label)
                .opt_text(status.map(DeviceStatus::as_str))
                .id(&bound.unwrap_or(Cursor::MAX).id)
                .int(limit)
                .fetch_all(&mut connection)
                .await?;
            list.add(rows.iter().map(mapping::device), bound)?;
        }
        Ok(list.into_page(|device: &Device| Cursor::of_id(*device.id.as_uuid())))
    }

    async fn patch_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        patch: &DevicePatch,
        now: Timestamp,
    ) -> Result<PutOutcome<Device>, StoreError> {
        let mut transaction = self.write().await?;
        if let Some(scope) = &patch.scope {
            keep_scope::<D>(organization, id, scope, now, &mut transaction).await?;
        }
        let changed = query::<D>(statement!("devices/patch.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .opt_text(patch.name.as_ref().map(Name::as_str))
            .opt_text(patch.status.map(DeviceStatus::as_str))
            .opt_json(patch.settings.as_ref())
            .time(now)
            .opt_json(patch.scope.as_ref())
            .execute(&mut transaction)
            .await?;
        let device = find_device::<D>(organization, id, &mut transaction).await?;
        let Some(device) = device else {
            return Ok(PutOutcome::Missing);
        };
        if changed == 0 {
            return Ok(PutOutcome::Conflict(REVOKED));
        }
        raise_change_counter::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        Ok(PutOutcome::Replaced(device))
    }

    async fn rotate_device_token(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<PutOutcome<Device>, StoreError> {
        let mut transaction = self.write().await?;
        let changed = query::<D>(statement!("devices/touch_unrevoked.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .time(now)
            .execute(&mut transaction)
            .await?;
        let device = find_device::<D>(organization, id, &mut transaction).await?;
        let Some(device) = device else {
            return Ok(PutOutcome::Missing);
        };
        if changed == 0 {
            return Ok(PutOutcome::Conflict(REVOKED));
        }
        replace_token::<D>(organization, id, token, &mut transaction).await?;
        raise_change_counter::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        Ok(PutOutcome::Replaced(device))
    }

    async fn revoke_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let revoked = query::<D>(statement!("devices/revoke.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .bool(true)
            .time(now)
            .execute(&mut transaction)
            .await?;
        if revoked == 0 {
            return Ok(find_device::<D>(organization, id, &mut transaction)
                .await?
                .is_some());
        }
        // The token is kept, so that calls with it are answered with the reason: the device is inactive.
        end_active::<D>(organization, id, now, &mut transaction).await?;
        raise_change_counter::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn mark_devices_seen(
        &self,
        seen: &[(OrganizationId, DeviceId, Timestamp)],
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        // In one order on every node, so that two nodes do not wait for each other.
        let mut seen = seen.to_vec();
        seen.sort_unstable();
        for (organization, id, at) in seen {
            query::<D>(statement!("devices/mark_seen.sql"))
                .id(organization.as_uuid())
                .id(id.as_uuid())
                .time(at)
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn report_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        health: Option<&DeviceHealth>,
        now: Timestamp,
    ) -> Result<Option<Device>, StoreError> {
        // Does not raise the change counter: no decision depends on the health of a device, and every device reports
        // often.
        let mut transaction = self.write().await?;
        query::<D>(statement!("devices/mark_seen.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .time(now)
            .execute(&mut transaction)
            .await?;
        if let Some(health) = health {
            query::<D>(statement!("devices/report_health.sql"))
                .id(organization.as_uuid())
                .id(id.as_uuid())
                .opt_json(health.app.as_ref())
                .opt_float(health.battery)
                .opt_int(health.waiting.map(i64::from))
                .execute(&mut transaction)
                .await?;
        }
        let device = find_device::<D>(organization, id, &mut transaction).await?;
        transaction.commit().await?;
        Ok(device)
    }
}

pub(super) async fn find_device<D: Dialect>(
    organization: OrganizationId,
    id: DeviceId,
    connection: &mut D::Connection,
) -> Result<Option<Device>, StoreError> {
    let row = query::<D>(statement!("devices/find.sql"))
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(mapping::device).transpose()
}

/// Keeps the present scope of a device for the scans of its time, if the new one differs. Locks the row of the device.
async fn keep_scope<D: Dialect>(
    organization: OrganizationId,
    device: DeviceId,
    new: &DeviceScope,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let row = query::<D>(statement!("devices/lock.sql"))
        .id(organization.as_uuid())
        .id(device.as_uuid())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(()) };
    let present = row.opt_json::<DeviceScope>("scope")?;
    if present.clone().unwrap_or_default() == *new {
        return Ok(());
    }
    query::<D>(statement!("devices/keep_scope.sql"))
        .id(organization.as_uuid())
        .id(device.as_uuid())
        .time(now)
        .opt_json(present.as_ref())
        .execute(connection)
        .await?;
    Ok(())
}

/// Replaces the token of a device. The old token is no longer valid.
pub(super) async fn replace_token<D: Dialect>(
    organization: OrganizationId,
    device: DeviceId,
    token: &TokenHash,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>(statement!("keys/delete_device_tokens.sql"))
        .id(organization.as_uuid())
        .id(device.as_uuid())
        .execute(connection)
        .await?;
    insert_token::<D>(organization, device, token, connection).await
}

async fn insert_token<D: Dialect>(
    organization: OrganizationId,
    device: DeviceId,
    token: &TokenHash,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>(statement!("keys/insert_device_token.sql"))
        .bytes(token)
        .id(organization.as_uuid())
        .id(device.as_uuid())
        .execute(connection)
        .await?;
    Ok(())
}

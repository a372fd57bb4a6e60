//! Devices and their tokens. A revoked device is never deleted, because records refer to it. The hash of a token is a
//! row of `credentials`.

use std::collections::HashSet;

use async_trait::async_trait;

use crate::audit::{Audit, AuditedChange};
use crate::model::{
    AuditAction, AuditChanges, Device, DeviceHealth, DeviceId, DeviceLabel, DevicePatch, DeviceRegister,
    DeviceScope, DeviceSettings, DeviceStatus, Name, OrganizationId, Timestamp, TokenHash,
};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::{device_change, device_created, device_patched};
use crate::store::sql::bounded_list::{BoundedList, ROWS_PER_READ};
use crate::store::sql::change_counters::raise_change_counter;
use crate::store::sql::lookup::IdLookup;
use crate::store::sql::sessions::end_active;
use crate::store::sql::{Dialect, Row, Sql, mapping, query, statement};
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
        audit: Audit<'_>,
    ) -> Result<PutOutcome<Device>, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
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
        let created = Device {
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
        };
        append::<D>(organization, device_created(&created), audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(PutOutcome::Created(created))
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
            let (_permit, mut connection) = self.read_bulk(organization).await?;
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
        audit: Audit<'_>,
    ) -> Result<PutOutcome<Device>, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        let Some(locked) = lock_device::<D>(organization, id, &mut transaction).await? else {
            return Ok(PutOutcome::Missing);
        };
        let before = find_device::<D>(organization, id, &mut transaction).await?;
        keep_former::<D>(organization, id, &locked, patch, now, &mut transaction).await?;
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
        if let Some(change) = before.and_then(|before| device_patched(&before, &device)) {
            append::<D>(organization, change, audit, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(PutOutcome::Replaced(device))
    }

    async fn rotate_device_token(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        token: &TokenHash,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<Device>, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
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
        let change = device_change(AuditAction::DeviceRotateToken, id);
        append::<D>(organization, change, audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(PutOutcome::Replaced(device))
    }

    async fn revoke_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        let Some(locked) = lock_device::<D>(organization, id, &mut transaction).await? else {
            return Ok(false);
        };
        let status: DeviceStatus = locked.parse("status")?;
        let revoked = query::<D>(statement!("devices/revoke.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .bool(true)
            .time(now)
            .execute(&mut transaction)
            .await?;
        if revoked == 0 {
            return Ok(true);
        }
        // The token is kept, so that calls with it are answered with the reason: the device is inactive.
        end_active::<D>(organization, id, now, &mut transaction).await?;
        raise_change_counter::<D>(organization, &mut transaction).await?;
        let changes = AuditChanges::new()
            .with("status", status.as_str(), DeviceStatus::Inactive.as_str())
            .with("revoked", false, true);
        let change = AuditedChange {
            changes,
            ..device_change(AuditAction::DeviceRevoke, id)
        };
        append::<D>(organization, change, audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn mark_devices_seen(
        &self,
        organization: OrganizationId,
        seen: &[(DeviceId, Timestamp)],
    ) -> Result<Vec<DeviceId>, StoreError> {
        let mut transaction = self.write().await?;
        let ids: Vec<_> = seen.iter().map(|(id, _)| *id).collect();
        // Without waiting: the rows that are locked first would stay locked meanwhile.
        let marked = match D::SQL.lock_unlocked_devices {
            Some(sql) => lock_unlocked::<D>(sql, organization, &ids, &mut transaction).await?,
            None => ids,
        };
        let is_locked: HashSet<_> = marked.iter().collect();
        for (id, at) in seen.iter().filter(|(id, _)| is_locked.contains(id)) {
            query::<D>(statement!("devices/mark_seen.sql"))
                .id(organization.as_uuid())
                .id(id.as_uuid())
                .time(*at)
                .execute(&mut transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(marked)
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

/// Locks those of some devices that no other transaction has locked. Returns their ids.
async fn lock_unlocked<D: Dialect>(
    statement: &'static str,
    organization: OrganizationId,
    devices: &[DeviceId],
    connection: &mut D::Connection,
) -> Result<Vec<DeviceId>, StoreError> {
    let lookups: Vec<_> = devices.iter().map(|id| IdLookup::new(id.as_uuid())).collect();
    let rows = query::<D>(statement)
        .json(&lookups)
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| row.id("id")).collect()
}

/// Locks a device, and reads its status and its scope. `None` if it does not exist.
pub(super) async fn lock_device<D: Dialect>(
    organization: OrganizationId,
    device: DeviceId,
    connection: &mut D::Connection,
) -> Result<Option<Row<D>>, StoreError> {
    query::<D>(statement!("devices/lock.sql"))
        .id(organization.as_uuid())
        .id(device.as_uuid())
        .fetch_optional(connection)
        .await
}

/// Keeps the present scope and settings of a locked device for the scans of their time, if a scan of later is judged
/// differently.
async fn keep_former<D: Dialect>(
    organization: OrganizationId,
    device: DeviceId,
    locked: &Row<D>,
    patch: &DevicePatch,
    now: Timestamp,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let present = locked.opt_json::<DeviceScope>("scope")?;
    let settings: DeviceSettings = locked.json("settings")?;
    let (new_scope, new_settings) = (patch.scope.as_ref(), patch.settings.as_ref());
    let changes_scope = new_scope.is_some_and(|new| present.clone().unwrap_or_default() != *new);
    let changes_search = new_settings.is_some_and(|new| new.can_search != settings.can_search);
    if !changes_scope && !changes_search {
        return Ok(());
    }
    query::<D>(statement!("devices/keep_scope.sql"))
        .id(organization.as_uuid())
        .id(device.as_uuid())
        .time(now)
        .opt_json(present.as_ref())
        .json(&settings)
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

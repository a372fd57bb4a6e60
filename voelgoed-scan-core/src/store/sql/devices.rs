//! How are devices kept? A revoked one stays for the record; its token is a row of `credentials`, by hash.

use async_trait::async_trait;

use crate::model::{
    Device, DeviceHealth, DeviceId, DeviceLabel, DevicePatch, DeviceRegister, DeviceStatus, OrganizationId,
    Timestamp, TokenHash,
};
use crate::store::sql::change_counters::raise_generation;
use crate::store::sql::row::{self, device_columns};
use crate::store::sql::{Dialect, Sql, query};
use crate::store::{Cursor, Devices, Page, PageRequest, Put, StoreError};

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
    ) -> Result<Put<Device>, StoreError> {
        let mut transaction = self.write().await?;
        let inserted = query::<D>(
            "insert into devices (organization_id, id, label, name, device_type, status, settings, \
             inserted_at, updated_at) values ($1, $2, $3, $4, $5, 'active', $6, $7, $7) on conflict do nothing",
        )
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .text(device.device_id.as_str())
        .text(device.name.as_str())
        .text(device.device_type.as_str())
        .json(&device.settings)
        .time(now)
        .execute(&mut transaction)
        .await?;
        if inserted == 0 {
            return Ok(Put::Conflict("this device_id is taken"));
        }
        insert_token::<D>(organization, id, token, &mut transaction).await?;
        raise_generation::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        Ok(Put::Created(Device {
            id,
            organization_id: organization,
            device_id: device.device_id.clone(),
            name: device.name.clone(),
            device_type: device.device_type,
            status: DeviceStatus::Active,
            last_seen_at: None,
            settings: device.settings.clone(),
            app: None,
            battery: None,
            waiting: None,
            inserted_at: now,
            updated_at: now,
        }))
    }

    async fn device(&self, organization: OrganizationId, id: DeviceId) -> Result<Option<Device>, StoreError> {
        let mut connection = self.read().await?;
        find::<D>(organization, id, &mut connection).await
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
        let mut connection = self.read().await?;
        let rows = query::<D>(concat!(
            "select ",
            device_columns!(),
            " from devices d where d.organization_id = $1 and ($2 is null or d.id > $2) \
             and ($3 is null or d.label = $3) and ($4 is null or d.status = $4) order by d.id limit $5"
        ))
        .id(organization.as_uuid())
        .opt_id(page.after.as_ref().map(|after| &after.id))
        .opt_text(label)
        .opt_text(status.map(DeviceStatus::as_str))
        .int(i64::from(page.limit) + 1)
        .fetch_all(&mut connection)
        .await?;
        let devices = rows.iter().map(row::device).collect::<Result<_, _>>()?;
        Ok(Page::cut(devices, page.limit, |device: &Device| {
            Cursor::of_id(*device.id.as_uuid())
        }))
    }

    async fn patch_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        patch: &DevicePatch,
        now: Timestamp,
    ) -> Result<Put<Device>, StoreError> {
        let mut transaction = self.write().await?;
        let changed = query::<D>(
            "update devices set name = coalesce($3, name), status = coalesce($4, status), \
             settings = coalesce($5, settings), updated_at = $6 where organization_id = $1 and id = $2 \
             and (not revoked or coalesce($4, 'inactive') <> 'active')",
        )
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .opt_text(patch.name.as_ref().map(crate::model::Name::as_str))
        .opt_text(patch.status.map(DeviceStatus::as_str))
        .opt_json(patch.settings.as_ref())
        .time(now)
        .execute(&mut transaction)
        .await?;
        let device = find::<D>(organization, id, &mut transaction).await?;
        let Some(device) = device else {
            return Ok(Put::Missing);
        };
        if changed == 0 {
            return Ok(Put::Conflict(REVOKED));
        }
        raise_generation::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        Ok(Put::Replaced(device))
    }

    async fn rotate_device_token(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Put<Device>, StoreError> {
        let mut transaction = self.write().await?;
        let changed = query::<D>(
            "update devices set updated_at = $3 where organization_id = $1 and id = $2 and not revoked",
        )
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .time(now)
        .execute(&mut transaction)
        .await?;
        let device = find::<D>(organization, id, &mut transaction).await?;
        let Some(device) = device else {
            return Ok(Put::Missing);
        };
        if changed == 0 {
            return Ok(Put::Conflict(REVOKED));
        }
        replace_token::<D>(organization, id, token, &mut transaction).await?;
        raise_generation::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        Ok(Put::Replaced(device))
    }

    async fn revoke_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let revoked = query::<D>(
            "update devices set status = 'inactive', revoked = $3, updated_at = $4 \
             where organization_id = $1 and id = $2 and not revoked",
        )
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .bool(true)
        .time(now)
        .execute(&mut transaction)
        .await?;
        if revoked == 0 {
            return Ok(find::<D>(organization, id, &mut transaction).await?.is_some());
        }
        // Its token stays known, so that whoever still calls with it is told why that no longer helps.
        query::<D>(
            "update sessions set status = 'ended', ended_at = $3 \
             where organization_id = $1 and device_id = $2 and status = 'active'",
        )
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .time(now)
        .execute(&mut transaction)
        .await?;
        raise_generation::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn report_device(
        &self,
        organization: OrganizationId,
        id: DeviceId,
        health: Option<&DeviceHealth>,
        now: Timestamp,
    ) -> Result<Option<Device>, StoreError> {
        // Raises no generation: nobody is judged by how a device feels, and every device tells it all day long.
        let mut transaction = self.write().await?;
        query::<D>("update devices set last_seen_at = $3 where organization_id = $1 and id = $2")
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .time(now)
            .execute(&mut transaction)
            .await?;
        if let Some(health) = health {
            query::<D>(
                "update devices set app = $3, battery = $4, waiting = $5 where organization_id = $1 and id = $2",
            )
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .opt_json(health.app.as_ref())
            .opt_float(health.battery)
            .opt_int(health.waiting.map(i64::from))
            .execute(&mut transaction)
            .await?;
        }
        let device = find::<D>(organization, id, &mut transaction).await?;
        transaction.commit().await?;
        Ok(device)
    }
}

pub(super) async fn find<D: Dialect>(
    organization: OrganizationId,
    id: DeviceId,
    connection: &mut D::Connection,
) -> Result<Option<Device>, StoreError> {
    let row = query::<D>(concat!(
        "select ",
        device_columns!(),
        " from devices d where d.organization_id = $1 and d.id = $2"
    ))
    .id(organization.as_uuid())
    .id(id.as_uuid())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(row::device).transpose()
}

/// Gives a device another token: the one that it had is nobody's from then on.
pub(super) async fn replace_token<D: Dialect>(
    organization: OrganizationId,
    device: DeviceId,
    token: &TokenHash,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    query::<D>("delete from credentials where organization_id = $1 and subject_id = $2 and kind = 'device'")
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
    query::<D>(
        "insert into credentials (token_hash, organization_id, kind, subject_id) values ($1, $2, 'device', $3)",
    )
    .bytes(token)
    .id(organization.as_uuid())
    .id(device.as_uuid())
    .execute(connection)
    .await?;
    Ok(())
}

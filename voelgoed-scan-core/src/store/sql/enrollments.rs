//! How does a code enrol a device, once? The database counts the tries and settles who of several was first.
//!
//! Invariants: of a code its id is kept and the SHA-256 of its secret; a try is counted by the statement that finds the
//! code, before the secret is looked at, so that no two tries count as one. Locks are taken in one order: the code, then
//! the device.

use async_trait::async_trait;

use crate::model::{Device, DeviceId, EnrollRequest, EnrollmentCode, OrganizationId, Timestamp, TokenHash};
use crate::store::sql::change_counters::raise_generation;
use crate::store::sql::devices::{find, replace_token};
use crate::store::sql::{Dialect, Sql, query};
use crate::store::{Enrollments, Put, StoreError};

/// After so many tries a code is burnt.
const MOST_TRIES: i64 = 5;

#[async_trait]
impl<D: Dialect> Enrollments for Sql<D> {
    async fn put_enrollment(
        &self,
        organization: OrganizationId,
        device: DeviceId,
        code: &EnrollmentCode,
        expires_at: Timestamp,
    ) -> Result<Put<()>, StoreError> {
        let mut transaction = self.write().await?;
        let written = query::<D>(
            "insert into enrollments (id, organization_id, device_id, secret_hash, tries, expires_at) \
             select $3, d.organization_id, d.id, $4, 0, $5 from devices d \
             where d.organization_id = $1 and d.id = $2 and not d.revoked \
             on conflict (organization_id, device_id) do update set id = excluded.id, \
             secret_hash = excluded.secret_hash, tries = 0, expires_at = excluded.expires_at",
        )
        .id(organization.as_uuid())
        .id(device.as_uuid())
        .text(code.id())
        .bytes(&code.secret_hash())
        .time(expires_at)
        .execute(&mut transaction)
        .await?;
        if written == 0 {
            return Ok(match find::<D>(organization, device, &mut transaction).await? {
                Some(_) => Put::Conflict(super::devices::REVOKED),
                None => Put::Missing,
            });
        }
        transaction.commit().await?;
        Ok(Put::Created(()))
    }

    async fn enroll(
        &self,
        request: &EnrollRequest,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<Device>, StoreError> {
        let mut transaction = self.write().await?;
        let found = query::<D>(
            "update enrollments set tries = tries + 1 where id = $1 and tries < $2 and expires_at >= $3 \
             returning organization_id, device_id, secret_hash",
        )
        .text(request.code.id())
        .int(MOST_TRIES)
        .time(now)
        .fetch_optional(&mut transaction)
        .await?;
        let Some(row) = found else { return Ok(None) };
        if !request.code.matches(&row.bytes("secret_hash")?) {
            // The try counts.
            transaction.commit().await?;
            return Ok(None);
        }
        query::<D>("delete from enrollments where id = $1")
            .text(request.code.id())
            .execute(&mut transaction)
            .await?;
        let (organization, id): (OrganizationId, DeviceId) =
            (row.id("organization_id")?, row.id("device_id")?);
        // What the phone before it told of itself is not this one's.
        let enrolled = query::<D>(
            "update devices set device_key = $3, app = $4, may_begin_anew = $5, last_seen_at = $6, battery = null, \
             waiting = null, updated_at = $6 where organization_id = $1 and id = $2 and not revoked",
        )
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .opt_bytes(request.device_key.as_ref().map(|key| key.as_bytes().as_slice()))
        .json(&request.app)
        .bool(true)
        .time(now)
        .execute(&mut transaction)
        .await?;
        if enrolled == 0 {
            // Revoked since the code was made: the code is used up all the same.
            transaction.commit().await?;
            return Ok(None);
        }
        replace_token::<D>(organization, id, token, &mut transaction).await?;
        raise_generation::<D>(organization, &mut transaction).await?;
        let device = find::<D>(organization, id, &mut transaction).await?;
        transaction.commit().await?;
        Ok(device)
    }
}

//! Enrolment codes, each of which enrols its device once. The database counts the tries and resolves races.
//!
//! Invariants: only the public part of a code and the SHA-256 of its secret part are stored. The statement that finds a
//! code counts the try before the secret is compared, so that no two tries count as one. Locks are taken in one order:
//! the code, then the device.

use async_trait::async_trait;

use crate::audit::Audit;
use crate::model::{
    AuditAction, AuditActor, Device, DeviceId, EnrollRequest, EnrollmentCode, OrganizationId, Timestamp,
    TokenHash,
};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::{device_change, enrollment_begun};
use crate::store::sql::change_counters::raise_change_counter;
use crate::store::sql::devices::{REVOKED, find_device, replace_token};
use crate::store::sql::{Dialect, Sql, query, statement};
use crate::store::{Enrollments, PutOutcome, StoreError};

/// After this many tries a code is no longer valid.
const MAX_TRIES: i64 = 5;

#[async_trait]
impl<D: Dialect> Enrollments for Sql<D> {
    async fn put_enrollment(
        &self,
        organization: OrganizationId,
        device: DeviceId,
        code: &EnrollmentCode,
        expires_at: Timestamp,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<()>, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        let written = query::<D>(statement!("enrollments/put.sql"))
            .id(organization.as_uuid())
            .id(device.as_uuid())
            .text(code.id())
            .bytes(&code.secret_hash())
            .time(expires_at)
            .execute(&mut transaction)
            .await?;
        if written == 0 {
            return Ok(
                match find_device::<D>(organization, device, &mut transaction).await? {
                    Some(_) => PutOutcome::Conflict(REVOKED),
                    None => PutOutcome::Missing,
                },
            );
        }
        let change = enrollment_begun(device, expires_at);
        append::<D>(organization, change, audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(PutOutcome::Created(()))
    }

    async fn enroll(
        &self,
        request: &EnrollRequest,
        token: &TokenHash,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<Option<Device>, StoreError> {
        let known = query::<D>(statement!("enrollments/find_organization.sql"))
            .text(request.code.id())
            .fetch_optional(&mut *self.read().await?)
            .await?;
        let Some(known) = known else {
            return Ok(None);
        };
        let mut transaction = self.write_audited(known.id("organization_id")?).await?;
        let found = query::<D>(statement!("enrollments/count_try.sql"))
            .text(request.code.id())
            .int(MAX_TRIES)
            .time(now)
            .fetch_optional(&mut transaction)
            .await?;
        let Some(row) = found else { return Ok(None) };
        if !request.code.matches(&row.bytes("secret_hash")?) {
            // Commits the counted try.
            transaction.commit().await?;
            return Ok(None);
        }
        let (organization, id): (OrganizationId, DeviceId) =
            (row.id("organization_id")?, row.id("device_id")?);
        query::<D>(statement!("enrollments/delete.sql"))
            .id(organization.as_uuid())
            .text(request.code.id())
            .execute(&mut transaction)
            .await?;
        // Also clears what the previous phone reported about itself.
        let enrolled = query::<D>(statement!("devices/enroll.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .opt_bytes(request.device_key.as_ref().map(|key| key.as_bytes().as_slice()))
            .json(&request.app)
            .bool(true)
            .time(now)
            .execute(&mut transaction)
            .await?;
        if enrolled == 0 {
            // The device was revoked after the code was created. The code is used up nevertheless.
            transaction.commit().await?;
            return Ok(None);
        }
        replace_token::<D>(organization, id, token, &mut transaction).await?;
        raise_change_counter::<D>(organization, &mut transaction).await?;
        let device = find_device::<D>(organization, id, &mut transaction)
            .await?
            .ok_or_else(|| StoreError::failed("the enrolled device does not exist"))?;
        // The call has no credential. The code tells which device makes it.
        let context = audit.context.by(AuditActor::from(&device));
        let audit = Audit {
            context: &context,
            ..audit
        };
        let change = device_change(AuditAction::DeviceEnroll, id);
        append::<D>(organization, change, audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(Some(device))
    }
}

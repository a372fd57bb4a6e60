//! API keys and signing keys of an organization. Of an API key only the hash is stored. Of a signing key nothing secret
//! is stored.

use async_trait::async_trait;
use serde_json::json;

use crate::audit::Audit;
use crate::model::{
    ApiKey, ApiKeyId, AuditAction, KeyFormat, KeyId, KeyStatus, OrganizationId, SigningKey, TokenHash,
};
use crate::store::sql::audit::append;
use crate::store::sql::audited_changes::{api_key_change, api_key_created, signing_key_change};
use crate::store::sql::change_counters::raise_change_counter;
use crate::store::sql::{Dialect, Row, Sql, query, statement};
use crate::store::{Cursor, DeleteOutcome, Keys, Page, PageRequest, PutOutcome, StoreError};

#[async_trait]
impl<D: Dialect> Keys for Sql<D> {
    async fn create_api_key(
        &self,
        key: &ApiKey,
        hash: &TokenHash,
        audit: Audit<'_>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write_audited(key.organization_id).await?;
        query::<D>(statement!("keys/insert_api_key.sql"))
            .id(key.organization_id.as_uuid())
            .id(key.id.as_uuid())
            .text(key.name.as_str())
            .text(key.role.as_str())
            .time(key.inserted_at)
            .execute(&mut transaction)
            .await?;
        query::<D>(statement!("keys/insert_api_key_hash.sql"))
            .bytes(hash)
            .id(key.organization_id.as_uuid())
            .id(key.id.as_uuid())
            .execute(&mut transaction)
            .await?;
        raise_change_counter::<D>(key.organization_id, &mut transaction).await?;
        append::<D>(key.organization_id, api_key_created(key), audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn api_key(&self, hash: &TokenHash) -> Result<Option<ApiKey>, StoreError> {
        let mut connection = self.read().await?;
        let Some(organization) = organization_of::<D>(hash, &mut connection).await? else {
            return Ok(None);
        };
        let row = query::<D>(statement!("keys/find_api_key.sql"))
            .id(organization.as_uuid())
            .bytes(hash)
            .fetch_optional(&mut connection)
            .await?;
        row.as_ref().map(api_key).transpose()
    }

    async fn api_keys(
        &self,
        organization: OrganizationId,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>, StoreError> {
        let mut connection = self.read().await?;
        let rows = query::<D>(statement!("keys/list_api_keys.sql"))
            .id(organization.as_uuid())
            .opt_id(page.after.as_ref().map(|after| &after.id))
            .int(i64::from(page.limit) + 1)
            .fetch_all(&mut connection)
            .await?;
        let keys = rows.iter().map(api_key).collect::<Result<_, _>>()?;
        Ok(Page::truncate(keys, page.limit, |key: &ApiKey| {
            Cursor::of_id(*key.id.as_uuid())
        }))
    }

    async fn delete_api_key(
        &self,
        organization: OrganizationId,
        id: ApiKeyId,
        audit: Audit<'_>,
    ) -> Result<DeleteOutcome, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        // Locks the organization: of two deletions at once, the second one sees the first.
        raise_change_counter::<D>(organization, &mut transaction).await?;
        let deleted = query::<D>(statement!("keys/delete_api_key.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .fetch_optional(&mut transaction)
            .await?;
        let Some(deleted) = deleted else {
            let existing = query::<D>(statement!("keys/api_key_exists.sql"))
                .id(organization.as_uuid())
                .id(id.as_uuid())
                .fetch_optional(&mut transaction)
                .await?;
            return Ok(match existing {
                Some(_) => DeleteOutcome::Conflict("This is the organization's last key of an owner."),
                None => DeleteOutcome::Missing,
            });
        };
        query::<D>(statement!("keys/delete_api_key_hash.sql"))
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .execute(&mut transaction)
            .await?;
        let role = json!({ "role": deleted.text("role")? });
        let change = api_key_change(AuditAction::ApiKeyDelete, id, Some(&role), None);
        append::<D>(organization, change, audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(DeleteOutcome::Deleted)
    }

    async fn signing_keys(&self, organization: OrganizationId) -> Result<Vec<SigningKey>, StoreError> {
        let mut connection = self.read().await?;
        list_signing_keys::<D>(organization, &mut connection).await
    }

    async fn add_signing_key(
        &self,
        organization: OrganizationId,
        key: &SigningKey,
        audit: Audit<'_>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        if !insert_signing_key::<D>(organization, key, &mut transaction).await? {
            return Ok(false);
        }
        raise_change_counter::<D>(organization, &mut transaction).await?;
        append::<D>(
            organization,
            signing_key_change(None, key),
            audit,
            &mut transaction,
        )
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn set_signing_key_status(
        &self,
        organization: OrganizationId,
        format: KeyFormat,
        kid: KeyId,
        status: KeyStatus,
        audit: Audit<'_>,
    ) -> Result<PutOutcome<SigningKey>, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        // Locks the organization, so that the status before is not another one meanwhile.
        raise_change_counter::<D>(organization, &mut transaction).await?;
        let existing = query::<D>(statement!("keys/find_signing_key.sql"))
            .id(organization.as_uuid())
            .text(format.as_str())
            .text(kid.as_str())
            .fetch_optional(&mut transaction)
            .await?;
        let Some(existing) = existing else {
            return Ok(PutOutcome::Missing);
        };
        let before: KeyStatus = existing.parse("status")?;
        let changed = query::<D>(statement!("keys/set_signing_key_status.sql"))
            .id(organization.as_uuid())
            .text(format.as_str())
            .text(kid.as_str())
            .text(status.as_str())
            .fetch_optional(&mut transaction)
            .await?;
        let Some(row) = changed else {
            return Ok(PutOutcome::Conflict("a revoked key stays revoked"));
        };
        let key = signing_key(&row)?;
        if key.status != before {
            let change = signing_key_change(Some(before), &key);
            append::<D>(organization, change, audit, &mut transaction).await?;
        }
        transaction.commit().await?;
        Ok(PutOutcome::Replaced(key))
    }
}

/// The signing keys of an organization, oldest first.
pub(super) async fn list_signing_keys<D: Dialect>(
    organization: OrganizationId,
    connection: &mut D::Connection,
) -> Result<Vec<SigningKey>, StoreError> {
    let rows = query::<D>(statement!("keys/list_signing_keys.sql"))
        .id(organization.as_uuid())
        .fetch_all(connection)
        .await?;
    rows.iter().map(signing_key).collect()
}

/// Inserts a signing key. Returns false if one with this format and key id exists.
pub(crate) async fn insert_signing_key<D: Dialect>(
    organization: OrganizationId,
    key: &SigningKey,
    connection: &mut D::Connection,
) -> Result<bool, StoreError> {
    let inserted = query::<D>(statement!("keys/insert_signing_key.sql"))
        .id(organization.as_uuid())
        .text(key.format.as_str())
        .text(key.kid.as_str())
        .text(key.status.as_str())
        .opt_bytes(key.public_key.as_ref().map(<[u8; 32]>::as_slice))
        .time(key.inserted_at)
        .execute(connection)
        .await?;
    Ok(inserted == 1)
}

/// The organization of an API key or of a device token. `None` if there is no such key or token.
pub(crate) async fn organization_of<D: Dialect>(
    hash: &TokenHash,
    connection: &mut D::Connection,
) -> Result<Option<OrganizationId>, StoreError> {
    let row = query::<D>(statement!("keys/find_organization.sql"))
        .bytes(hash)
        .fetch_optional(connection)
        .await?;
    row.map(|row| row.id("organization_id")).transpose()
}

fn api_key<D: Dialect>(row: &Row<D>) -> Result<ApiKey, StoreError> {
    Ok(ApiKey {
        id: row.id("id")?,
        organization_id: row.id("organization_id")?,
        name: row.parse("name")?,
        role: row.parse("role")?,
        inserted_at: row.time("inserted_at")?,
    })
}

fn signing_key<D: Dialect>(row: &Row<D>) -> Result<SigningKey, StoreError> {
    Ok(SigningKey {
        format: row.parse("format")?,
        kid: row.parse("kid")?,
        status: row.parse("status")?,
        public_key: row.opt_bytes("public_key")?,
        inserted_at: row.time("inserted_at")?,
    })
}

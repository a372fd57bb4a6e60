//! How are the keys of an organization kept? Of those that call, a hash; of those that sign, nothing secret at all.

use async_trait::async_trait;

use crate::model::{ApiKey, ApiKeyId, KeyFormat, KeyId, KeyStatus, OrganizationId, SigningKey, TokenHash};
use crate::store::sql::change_counters::raise_generation;
use crate::store::sql::{Dialect, Row, Sql, query};
use crate::store::{Cursor, Keys, Page, PageRequest, Put, StoreError};

#[async_trait]
impl<D: Dialect> Keys for Sql<D> {
    async fn create_api_key(&self, key: &ApiKey, hash: &TokenHash) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        query::<D>(
            "insert into api_keys (organization_id, id, name, role, inserted_at) values ($1, $2, $3, $4, $5)",
        )
        .id(key.organization_id.as_uuid())
        .id(key.id.as_uuid())
        .text(key.name.as_str())
        .text(key.role.as_str())
        .time(key.inserted_at)
        .execute(&mut transaction)
        .await?;
        query::<D>(
            "insert into credentials (token_hash, organization_id, kind, subject_id) \
             values ($1, $2, 'api_key', $3)",
        )
        .bytes(hash)
        .id(key.organization_id.as_uuid())
        .id(key.id.as_uuid())
        .execute(&mut transaction)
        .await?;
        raise_generation::<D>(key.organization_id, &mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn api_key(&self, hash: &TokenHash) -> Result<Option<ApiKey>, StoreError> {
        let mut connection = self.read().await?;
        let row = query::<D>(
            "select k.organization_id, k.id, k.name, k.role, k.inserted_at from credentials c \
             join api_keys k on k.organization_id = c.organization_id and k.id = c.subject_id \
             where c.token_hash = $1 and c.kind = 'api_key'",
        )
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
        let rows = query::<D>(
            "select k.organization_id, k.id, k.name, k.role, k.inserted_at from api_keys k \
             where k.organization_id = $1 and ($2 is null or k.id > $2) order by k.id limit $3",
        )
        .id(organization.as_uuid())
        .opt_id(page.after.as_ref().map(|after| &after.id))
        .int(i64::from(page.limit) + 1)
        .fetch_all(&mut connection)
        .await?;
        let keys = rows.iter().map(api_key).collect::<Result<_, _>>()?;
        Ok(Page::cut(keys, page.limit, |key: &ApiKey| {
            Cursor::of_id(*key.id.as_uuid())
        }))
    }

    async fn delete_api_key(&self, organization: OrganizationId, id: ApiKeyId) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let deleted = query::<D>("delete from api_keys where organization_id = $1 and id = $2")
            .id(organization.as_uuid())
            .id(id.as_uuid())
            .execute(&mut transaction)
            .await?;
        if deleted == 0 {
            return Ok(false);
        }
        query::<D>(
            "delete from credentials where organization_id = $1 and subject_id = $2 and kind = 'api_key'",
        )
        .id(organization.as_uuid())
        .id(id.as_uuid())
        .execute(&mut transaction)
        .await?;
        raise_generation::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn signing_keys(&self, organization: OrganizationId) -> Result<Vec<SigningKey>, StoreError> {
        let mut connection = self.read().await?;
        signing_keys_of::<D>(organization, &mut connection).await
    }

    async fn add_signing_key(
        &self,
        organization: OrganizationId,
        key: &SigningKey,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        if !insert_signing_key::<D>(organization, key, &mut transaction).await? {
            return Ok(false);
        }
        raise_generation::<D>(organization, &mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn set_signing_key_status(
        &self,
        organization: OrganizationId,
        format: KeyFormat,
        kid: KeyId,
        status: KeyStatus,
    ) -> Result<Put<SigningKey>, StoreError> {
        let mut transaction = self.write().await?;
        let changed = query::<D>(
            "update signing_keys set status = $4 where organization_id = $1 and format = $2 and kid = $3 \
             and (status <> 'revoked' or $4 = 'revoked') \
             returning format, kid, status, public_key, inserted_at",
        )
        .id(organization.as_uuid())
        .text(format.as_str())
        .text(kid.as_str())
        .text(status.as_str())
        .fetch_optional(&mut transaction)
        .await?;
        if let Some(row) = changed {
            raise_generation::<D>(organization, &mut transaction).await?;
            transaction.commit().await?;
            return Ok(Put::Replaced(signing_key(&row)?));
        }
        let there = query::<D>(
            "select kid from signing_keys where organization_id = $1 and format = $2 and kid = $3",
        )
        .id(organization.as_uuid())
        .text(format.as_str())
        .text(kid.as_str())
        .fetch_optional(&mut transaction)
        .await?;
        Ok(match there {
            Some(_) => Put::Conflict("a revoked key stays revoked"),
            None => Put::Missing,
        })
    }
}

/// The signing keys of an organization, oldest first.
pub(super) async fn signing_keys_of<D: Dialect>(
    organization: OrganizationId,
    connection: &mut D::Connection,
) -> Result<Vec<SigningKey>, StoreError> {
    let rows = query::<D>(
        "select format, kid, status, public_key, inserted_at from signing_keys \
         where organization_id = $1 order by inserted_at, format, kid",
    )
    .id(organization.as_uuid())
    .fetch_all(connection)
    .await?;
    rows.iter().map(signing_key).collect()
}

/// Writes a signing key; false where (format, kid) is taken.
pub(crate) async fn insert_signing_key<D: Dialect>(
    organization: OrganizationId,
    key: &SigningKey,
    connection: &mut D::Connection,
) -> Result<bool, StoreError> {
    let inserted = query::<D>(
        "insert into signing_keys (organization_id, format, kid, status, public_key, inserted_at) \
         values ($1, $2, $3, $4, $5, $6) on conflict (organization_id, format, kid) do nothing",
    )
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

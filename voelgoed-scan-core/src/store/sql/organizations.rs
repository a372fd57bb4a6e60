//! Organizations in the database.

use async_trait::async_trait;
use serde_json::Value;

use crate::audit::{Audit, AuditedChange};
use crate::model::{
    AuditAction, AuditChanges, AuditSubject, AuditSubjectKind, Organization, OrganizationId, SigningKey,
};
use crate::store::sql::audit;
use crate::store::sql::keys::insert_signing_key;
use crate::store::sql::{Dialect, Sql, query, statement};
use crate::store::{Organizations, StoreError};

#[async_trait]
impl<D: Dialect> Organizations for Sql<D> {
    async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.read().await?;
        query::<D>(statement!("organizations/ping.sql"))
            .fetch_all(&mut connection)
            .await?;
        Ok(())
    }

    async fn create_organization(
        &self,
        organization: &Organization,
        signing_keys: &[SigningKey],
        audit: Audit<'_>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let inserted = query::<D>(statement!("organizations/insert.sql"))
            .id(organization.id.as_uuid())
            .text(organization.name.as_str())
            .time(organization.inserted_at)
            .execute(&mut transaction)
            .await?;
        if inserted == 0 {
            return Ok(false);
        }
        for key in signing_keys {
            insert_signing_key::<D>(organization.id, key, &mut transaction).await?;
        }
        let keys = signing_keys
            .iter()
            .map(|key| format!("{}/{}", key.format, key.kid));
        let change = AuditedChange {
            action: AuditAction::OrganizationCreate,
            subject: AuditSubject::new(AuditSubjectKind::Organization, organization.id),
            changes: AuditChanges::new().with("signing_keys", Value::Null, keys.collect::<Vec<_>>()),
        };
        audit::append::<D>(organization.id, change, audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn organizations(&self) -> Result<Vec<OrganizationId>, StoreError> {
        let mut connection = self.read().await?;
        let rows = query::<D>(statement!("organizations/list_ids.sql"))
            .fetch_all(&mut connection)
            .await?;
        rows.iter().map(|row| row.id("id")).collect()
    }

    async fn organization(&self, id: OrganizationId) -> Result<Option<Organization>, StoreError> {
        let mut connection = self.read().await?;
        let row = query::<D>(statement!("organizations/find.sql"))
            .id(id.as_uuid())
            .fetch_optional(&mut connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Organization {
            id: row.id("id")?,
            name: row.parse("name")?,
            inserted_at: row.time("inserted_at")?,
        }))
    }
}

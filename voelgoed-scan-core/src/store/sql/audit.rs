//! Writes and reads the audit log.
//!
//! Invariants: a transaction that appends locks the head of the log before any other row ([`Sql::write_audited`]), so that it
//! holds nothing that a scan, an undo, an upload or an import needs while it waits for another change. It appends its entry as its
//! last step.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::audit::{Audit, AuditHead, AuditSigner, AuditedChange, ChainedEntry, next_entry};
use crate::model::{
    AuditAction, AuditActorKind, AuditEntry, AuditSignature, AuditSubjectKind, OrganizationId, ScanId, hex,
};
use crate::store::sql::audit_acts::take_acts;
use crate::store::sql::bounded_list::{BoundedList, ROWS_PER_READ};
use crate::store::sql::{Dialect, Row, Sql, query, statement};
use crate::store::{AuditFilter, AuditStore, Cursor, Order, Page, PageRequest, StoreError};

/// How many addresses one transaction clears.
const ADDRESSES_PER_WRITE: i64 = 1000;

/// An entry to append: the change, who made it, and the scan that it was made of, if any.
pub(crate) struct NewEntry<'a> {
    pub(crate) change: AuditedChange,
    pub(crate) audit: Audit<'a>,
    pub(crate) scan: Option<ScanId>,
}

/// Appends an entry about the change of this transaction. The transaction commits next.
pub(crate) async fn append<D: Dialect>(
    organization: OrganizationId,
    change: AuditedChange,
    audit: Audit<'_>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let entry = NewEntry {
        change,
        audit,
        scan: None,
    };
    append_all::<D>(organization, vec![entry], connection).await
}

/// Appends entries. The transaction commits next.
pub(crate) async fn append_all<D: Dialect>(
    organization: OrganizationId,
    entries: Vec<NewEntry<'_>>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let row = query::<D>(statement!("audit/lock_head.sql"))
        .id(organization.as_uuid())
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| StoreError::failed("the head of the audit log is not there"))?;
    let mut head = match row.opt_bytes("hash")? {
        Some(hash) => Some(AuditHead {
            sequence: row.int("sequence")?,
            hash,
        }),
        None => None,
    };
    for entry in entries {
        let NewEntry { change, audit, scan } = entry;
        let made = next_entry(organization, head, change, audit)
            .map_err(|error| StoreError::failed(error.to_string()))?;
        insert::<D>(organization, &made, scan, connection).await?;
        head = Some(AuditHead {
            sequence: made.entry.sequence,
            hash: made.entry.hash,
        });
    }
    let Some(head) = head else { return Ok(()) };
    query::<D>(statement!("audit/set_head.sql"))
        .id(organization.as_uuid())
        .int(head.sequence)
        .bytes(&head.hash)
        .execute(connection)
        .await?;
    Ok(())
}

async fn insert<D: Dialect>(
    organization: OrganizationId,
    made: &ChainedEntry,
    scan: Option<ScanId>,
    connection: &mut D::Connection,
) -> Result<(), StoreError> {
    let ChainedEntry { entry, content } = made;
    query::<D>(statement!("audit/insert.sql"))
        .id(organization.as_uuid())
        .int(entry.sequence)
        .time(entry.at)
        .text(entry.actor.kind.as_str())
        .opt_id(entry.actor.id.as_ref())
        .text(entry.action.as_str())
        .text(entry.subject.kind.as_str())
        .text(&entry.subject.id)
        .opt_id(scan.as_ref().map(ScanId::as_uuid))
        .opt_text(entry.address.map(|address| address.to_string()).as_deref())
        .text(content)
        .bytes(&entry.hash)
        .bytes(entry.signature.as_bytes())
        .execute(connection)
        .await?;
    Ok(())
}

#[async_trait]
impl<D: Dialect> AuditStore for Sql<D> {
    async fn record_audit(
        &self,
        organization: OrganizationId,
        change: &AuditedChange,
        audit: Audit<'_>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        append::<D>(organization, change.clone(), audit, &mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn audit_entries(
        &self,
        organization: OrganizationId,
        filter: &AuditFilter,
        order: Order,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>, StoreError> {
        let position = |sequence: i64| Cursor {
            at: sequence,
            id: Uuid::nil(),
        };
        let newest = self.last_entry(organization).await?;
        let (sql, start) = match order {
            Order::Newest => (statement!("audit/list_newest.sql"), newest + 1),
            Order::Oldest => (statement!("audit/list_oldest.sql"), 0),
        };
        let rows_per_read = if *filter == AuditFilter::default() {
            i64::MAX
        } else {
            ROWS_PER_READ
        };
        let mut list = BoundedList::new(page, position(start));
        while let Some((after, limit)) = list.next_read() {
            let (first, last) = match order {
                Order::Newest => {
                    let last = after.at.saturating_sub(1).min(newest);
                    (last.saturating_sub(rows_per_read).max(1), last)
                }
                Order::Oldest => {
                    let first = after.at.max(0).saturating_add(1);
                    (first, first.saturating_add(rows_per_read).min(newest))
                }
            };
            let (_permit, mut connection) = self.read_bulk(organization).await?;
            let on = filter.action_on.map(|subject| format!("{subject}.%"));
            let rows = query::<D>(sql)
                .id(organization.as_uuid())
                .int(first)
                .int(last)
                .opt_text(filter.actor_kind.map(AuditActorKind::as_str))
                .opt_id(filter.actor_id.as_ref())
                .opt_text(filter.action.map(AuditAction::as_str))
                .opt_text(on.as_deref())
                .opt_text(filter.subject_kind.map(AuditSubjectKind::as_str))
                .opt_text(filter.subject_id.as_deref())
                .opt_time(filter.from)
                .opt_time(filter.to)
                .int(limit)
                .fetch_all(&mut connection)
                .await?;
            let bound = match order {
                Order::Newest => (first > 1).then_some(first),
                Order::Oldest => (last < newest).then_some(last),
            };
            list.add(rows.iter().map(entry), bound.map(position))?;
        }
        Ok(list.into_page(|entry: &AuditEntry| position(entry.sequence)))
    }

    async fn organizations_with_audit_acts(&self) -> Result<Vec<OrganizationId>, StoreError> {
        let rows = query::<D>(statement!("audit/organizations_with_acts.sql"))
            .fetch_all(&mut *self.read().await?)
            .await?;
        rows.iter().map(|row| row.id("organization_id")).collect()
    }

    async fn enter_audit_acts(
        &self,
        organization: OrganizationId,
        limit: u16,
        signer: AuditSigner<'_>,
    ) -> Result<usize, StoreError> {
        let mut transaction = self.write_audited(organization).await?;
        let acts = take_acts::<D>(organization, limit, &mut transaction).await?;
        let taken = acts.len();
        let entries = acts.iter().filter_map(|act| {
            Some(NewEntry {
                change: act.change.clone()?,
                audit: Audit {
                    context: &act.by,
                    at: act.at,
                    signer,
                },
                scan: Some(act.scan),
            })
        });
        append_all::<D>(organization, entries.collect(), &mut transaction).await?;
        transaction.commit().await?;
        Ok(taken)
    }

    async fn clear_audit_addresses(
        &self,
        organization: OrganizationId,
        older_than: Duration,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.write().await?;
        let cleared = query::<D>(D::SQL.clear_audit_addresses)
            .id(organization.as_uuid())
            .int(i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX))
            .int(ADDRESSES_PER_WRITE)
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(cleared)
    }
}

impl<D: Dialect> Sql<D> {
    /// The number of the last entry of an organization; 0 if there is none.
    async fn last_entry(&self, organization: OrganizationId) -> Result<i64, StoreError> {
        let row = query::<D>(statement!("audit/find_head.sql"))
            .id(organization.as_uuid())
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.map_or(Ok(0), |row| row.int("sequence"))
    }
}

/// An entry as it was hashed, with what the hash does not cover.
fn entry<D: Dialect>(row: &Row<D>) -> Result<AuditEntry, StoreError> {
    let mut content: serde_json::Value = row.json("content")?;
    let hash: [u8; 32] = row.bytes("hash")?;
    let signature = AuditSignature::new(row.bytes("signature")?);
    let address: Option<IpAddr> = row.opt_parse("address")?;
    if let Some(fields) = content.as_object_mut() {
        fields.insert("hash".to_owned(), hex::encode(&hash).into());
        fields.insert("signature".to_owned(), signature.to_string().into());
        fields.insert(
            "address".to_owned(),
            address.map(|address| address.to_string()).into(),
        );
    }
    serde_json::from_value(content).map_err(|error| StoreError::failed(error.to_string()))
}

//! The audit log in the database.
//!
//! A change of the administration writes its entry in its own transaction: the call takes an [`Audit`]. The transaction
//! of an override or an undo only keeps who made it (a row for these alone), and a task in the background enters it, so that no
//! scan waits for the log.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::audit::{Audit, AuditSigner, AuditedChange};
use crate::model::{AuditAction, AuditActorKind, AuditEntry, AuditSubjectKind, OrganizationId, Timestamp};
use crate::store::{Order, Page, PageRequest, StoreError};

/// The filter of a list of entries. `None` is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Entries of actors of this kind.
    pub actor_kind: Option<AuditActorKind>,
    /// Entries of the API key or the device with this id.
    pub actor_id: Option<Uuid>,
    /// Entries with this action.
    pub action: Option<AuditAction>,
    /// Entries whose action is one on subjects of this kind.
    pub action_on: Option<AuditSubjectKind>,
    /// Entries about subjects of this kind.
    pub subject_kind: Option<AuditSubjectKind>,
    /// Entries about the subject with this id.
    pub subject_id: Option<String>,
    /// Entries at or after this time.
    pub from: Option<Timestamp>,
    /// Entries at or before this time.
    pub to: Option<Timestamp>,
}

/// The audit log.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Writes an entry about a change that no other transaction writes.
    async fn record_audit(
        &self,
        organization: OrganizationId,
        change: &AuditedChange,
        audit: Audit<'_>,
    ) -> Result<(), StoreError>;

    /// A page of the log. The time of a cursor is the number of its entry.
    async fn audit_entries(
        &self,
        organization: OrganizationId,
        filter: &AuditFilter,
        order: Order,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>, StoreError>;

    /// The organizations that have overrides or undos which are not entered yet.
    async fn organizations_with_audit_acts(&self) -> Result<Vec<OrganizationId>, StoreError>;

    /// Enters the oldest overrides and undos of an organization, at most `limit`, each once. Returns how many it took.
    async fn enter_audit_acts(
        &self,
        organization: OrganizationId,
        limit: u16,
        signer: AuditSigner<'_>,
    ) -> Result<usize, StoreError>;

    /// Clears the addresses of entries that are older than this, by the clock of the database. Returns how many, at most
    /// 1,000 a call.
    async fn clear_audit_addresses(
        &self,
        organization: OrganizationId,
        older_than: Duration,
    ) -> Result<u64, StoreError>;
}

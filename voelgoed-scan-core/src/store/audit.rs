//! The audit log in the database.
//!
//! A change of the administration writes its entry in its own transaction: the call takes an [`Audit`]. Overrides and undos are
//! entered later, from the feed, so that no scan waits for the log.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::audit::{Audit, AuditSigner, AuditedChange};
use crate::model::{
    AuditAction, AuditActorKind, AuditEntry, AuditSubjectKind, EventId, OrganizationId, ScanRecord,
    ScanResult, Timestamp,
};
use crate::store::{Order, Page, PageRequest, StoreError};

/// The consumer that reads the feeds for the audit log.
pub const AUDIT_CONSUMER: &str = "audit";

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

/// A part of the feed of an event, from whose records entries are made.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditedScans {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The event.
    pub event_id: EventId,
    /// The position of the cursor.
    pub from: i64,
    /// The last position of the part.
    pub to: i64,
    /// The records of the part that may be overrides, undos or check-ins.
    pub records: Vec<ScanRecord>,
}

impl AuditedScans {
    /// Whether a record tells of something that staff did by hand.
    #[must_use]
    pub const fn is_audited(record: &ScanRecord) -> bool {
        record.override_.is_some() || record.undone.is_some()
    }

    /// Whether a record is an admission that a device forced.
    #[must_use]
    pub fn is_override(record: &ScanRecord) -> bool {
        record.override_.is_some() && record.result == ScanResult::Valid
    }
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

    /// Enters the overrides, undos and check-ins of a part of a feed, each once by its scan, and moves the cursor of the
    /// consumer `audit` past it. False if the cursor is elsewhere: another node was faster, and nothing is written.
    async fn audit_scans(&self, scans: &AuditedScans, signer: AuditSigner<'_>) -> Result<bool, StoreError>;

    /// Clears the addresses of entries that are older than this, by the clock of the database. Returns how many, at most
    /// 1,000 a call.
    async fn clear_audit_addresses(
        &self,
        organization: OrganizationId,
        older_than: Duration,
    ) -> Result<u64, StoreError>;
}

//! Imports tickets in chunks that wait behind the scans.
//!
//! The audit log has two entries of an import: one at its start, and one with the counts, which the transaction of the last chunk
//! writes. An import that broke off has only the first.

use super::Admin;
use crate::audit::AuditedChange;
use crate::model::{
    AuditAction, AuditChanges, AuditContext, AuditSubject, AuditSubjectKind, EventId, OrganizationId,
    TicketCode, Timestamp,
};
use crate::node::write_queue::BulkKind;
use crate::store::{ImportCounts, ImportDryRun, ImportEnd, ImportOutcome, NumberedLine, StoreError};

/// An import that has begun.
pub struct TicketImport {
    admin: Admin,
    organization: OrganizationId,
    event: EventId,
    by: AuditContext,
    counts: ImportCounts,
}

impl Admin {
    /// Begins an import of tickets of an event.
    pub async fn begin_import(
        &self,
        organization: OrganizationId,
        event: EventId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<TicketImport, StoreError> {
        let change = AuditedChange {
            action: AuditAction::TicketImportBegin,
            subject: AuditSubject::new(AuditSubjectKind::Event, event),
            changes: AuditChanges::new(),
        };
        self.store
            .record_audit(organization, &change, self.audit(by, now))
            .await?;
        Ok(TicketImport {
            admin: self.clone(),
            organization,
            event,
            by: by.clone(),
            counts: ImportCounts::default(),
        })
    }

    /// Imports all lines of a list. Returns one outcome per line; `None` where there is no such event. After an error, the
    /// chunks before it are imported.
    pub async fn import(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        if self.store.event(organization, event).await?.is_none() {
            return Ok(None);
        }
        let mut import = self.begin_import(organization, event, by, now).await?;
        import.add(lines, true, now).await
    }
}

impl Admin {
    /// The outcomes that lines of an import would have, after the earlier lines of the dry run. It changes nothing and leaves no
    /// entry in the audit log. `None` where there is no such event.
    pub async fn import_dry_run(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
        dry_run: &mut ImportDryRun,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        self.store
            .import_dry_run(organization, event, lines, now, dry_run)
            .await
    }
}

impl TicketImport {
    /// Counts lines that were not even read as lines of a ticket list.
    pub fn reject(&mut self, lines: usize) {
        self.counts.rejected += lines as u64;
    }

    /// Imports further lines, the last ones with `is_last`. Returns one outcome per line; `None` where there is no such event.
    /// After an error, the chunks before it are imported.
    pub async fn add(
        &mut self,
        lines: &[NumberedLine],
        is_last: bool,
        now: Timestamp,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        let imported = self.add_in_chunks(lines, is_last, now).await;
        // A line may add a ticket class, which changes the event. After an error, some chunks may be imported.
        self.admin.invalidator.facts_changed(self.organization);
        imported
    }

    async fn add_in_chunks(
        &mut self,
        lines: &[NumberedLine],
        is_last: bool,
        now: Timestamp,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError> {
        let Self {
            admin,
            organization,
            event,
            by,
            counts,
        } = self;
        let (organization, event) = (*organization, *event);
        let mut outcomes = Vec::with_capacity(lines.len());
        let mut rest = lines;
        if lines.is_empty() && !is_last {
            return Ok(Some(outcomes));
        }
        // A last part without lines still writes the entry about the end.
        loop {
            let permit = admin
                .write_queue
                .bulk_writes()
                .start_chunk(organization, BulkKind::Import)
                .await;
            let (chunk, next) = rest.split_at(rest.len().min(permit.max_items()));
            let end = (is_last && next.is_empty()).then(|| ImportEnd {
                counts: *counts,
                audit: admin.audit(by, now),
            });
            let Some(imported) = admin.store.import(organization, event, chunk, now, end).await? else {
                return Ok(None);
            };
            permit.complete(chunk.len());
            counts.add(&imported);
            let updated: Vec<_> = imported.iter().filter_map(updated_ticket).collect();
            admin
                .invalidator
                .tickets_imported(organization, event, &updated)
                .await;
            outcomes.extend(imported);
            if next.is_empty() {
                return Ok(Some(outcomes));
            }
            rest = next;
        }
    }
}

/// The ticket that a line changed, with the version below which cached ones are outdated.
fn updated_ticket(outcome: &ImportOutcome) -> Option<(TicketCode, i64)> {
    match outcome {
        // The new version is unknown here, and every cached version is older.
        ImportOutcome::Updated(code, _) => Some((*code, i64::MAX)),
        ImportOutcome::Inserted(..) | ImportOutcome::Unchanged(..) | ImportOutcome::Rejected(_) => None,
    }
}

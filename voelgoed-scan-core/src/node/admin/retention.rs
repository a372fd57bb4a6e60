//! Deletes the personal data of events, and whole events.
//!
//! Invariants: each step may be repeated, so a call that a crash has ended is made again. Every chunk waits behind the scans.

use std::time::Duration;

use tokio::time::sleep;

use super::Admin;
use crate::model::{AuditContext, EventId, OrganizationId, Timestamp};
use crate::node::write_queue::{BulkKind, BulkPermit};
use crate::store::{DeleteEventOutcome, ExpectedCounts, StoreError};

/// How many rows one look for personal data reads.
const PAGE_SIZE: usize = 1000;

/// How long after a change no node answers from its caches by the state of before, and no such answer is without its record.
const CACHES_FOLLOW_WITHIN: Duration = Duration::from_millis(1200);

/// How often all pages of a database are cleaned. A scan between two chunks may have SQLite exchange the numbers of two pages,
/// of which one is cleaned and the other is not; the next round finds it.
const CLEANING_ROUNDS: usize = 2;

/// How often, and how many times, the files of the database are cleaned while a reader still needs the state of before.
const CLEANING_INTERVAL: Duration = Duration::from_millis(50);
const MAX_CLEANINGS: usize = 200;

impl Admin {
    /// Deletes the personal data of an event: of its tickets, of its scans, and of what was made of them. Returns how many
    /// tickets held some; `None` where there is no such event. The work goes on even if the caller goes away.
    pub async fn delete_personal_data(
        &self,
        organization: OrganizationId,
        event: EventId,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let audit = self.audit(by, now);
        if !self.store.begin_clearing(organization, event, audit).await? {
            return Ok(None);
        }
        let admin = self.clone();
        let task = tokio::spawn(async move { admin.clear(organization, event, now).await });
        task.await
            .unwrap_or_else(|error| Err(StoreError::failed(error.to_string())))
    }

    /// Deletes an archived event. `None` where there is no such event. Its rows are deleted in the background.
    pub async fn delete_event(
        &self,
        organization: OrganizationId,
        event: EventId,
        expected: ExpectedCounts,
        by: &AuditContext,
        now: Timestamp,
    ) -> Result<Option<DeleteEventOutcome>, StoreError> {
        // Denials that this node has answered count, too.
        self.write_queue.flush(organization).await;
        let outcome = self
            .store
            .delete_event(organization, event, expected, now, self.audit(by, now))
            .await?;
        if outcome == Some(DeleteEventOutcome::Deleted) {
            self.invalidator.facts_changed(organization);
            self.invalidator.event_tickets_changed(organization, event);
            self.purge_wake.notify_one();
        }
        Ok(outcome)
    }

    async fn clear(
        &self,
        organization: OrganizationId,
        event: EventId,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        self.clear_quarantine(organization, event).await?;
        let Some(tickets) = self.clear_tickets(organization, event, now).await? else {
            return Ok(None);
        };
        // A scan that is answered by the state of before has its record then, and is found by the next step.
        sleep(CACHES_FOLLOW_WITHIN).await;
        self.write_queue.flush(organization).await;
        self.clear_scans(organization, event).await?;
        self.invalidator.scans_cleared(organization, event).await;
        self.clear_deliveries(organization, event).await?;
        let permit = self.chunk(organization).await;
        self.store.delete_manifest_copies(organization, event).await?;
        drop(permit);
        self.clean_files(organization).await?;
        Ok(Some(tickets))
    }

    async fn chunk(&self, organization: OrganizationId) -> BulkPermit {
        let bulk_writes = self.write_queue.bulk_writes();
        bulk_writes.start_chunk(organization, BulkKind::Background).await
    }

    async fn clear_tickets(
        &self,
        organization: OrganizationId,
        event: EventId,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let (mut tickets, mut after) = (0, None);
        loop {
            let page = self
                .store
                .tickets_with_personal_data(organization, event, after, PAGE_SIZE)
                .await?;
            let mut rest = page.found.as_slice();
            while !rest.is_empty() {
                let permit = self.chunk(organization).await;
                let (codes, next) = rest.split_at(rest.len().min(permit.max_items()));
                let cleared = self.store.clear_tickets(organization, event, codes, now).await?;
                permit.complete(codes.len());
                let Some(cleared) = cleared else { return Ok(None) };
                tickets += cleared.len() as u64;
                // The new versions are unknown here, and every cached one is older.
                let cleared: Vec<_> = cleared.into_iter().map(|code| (code, i64::MAX)).collect();
                self.invalidator
                    .tickets_imported(organization, event, &cleared)
                    .await;
                rest = next;
            }
            after = page.next;
            if after.is_none() {
                return Ok(Some(tickets));
            }
        }
    }

    async fn clear_scans(&self, organization: OrganizationId, event: EventId) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self
                .store
                .scans_with_personal_data(organization, event, after, PAGE_SIZE)
                .await?;
            let mut rest = page.found.as_slice();
            while !rest.is_empty() {
                let permit = self.chunk(organization).await;
                let (scans, next) = rest.split_at(rest.len().min(permit.max_items()));
                self.store.clear_scans(organization, event, scans).await?;
                permit.complete(scans.len());
                rest = next;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn clear_quarantine(&self, organization: OrganizationId, event: EventId) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let permit = self.chunk(organization).await;
            let limit = permit.max_items();
            after = self
                .store
                .clear_quarantine(organization, event, after, limit)
                .await?
                .next;
            if after.is_none() {
                return Ok(());
            }
            permit.complete(limit);
        }
    }

    async fn clear_deliveries(&self, organization: OrganizationId, event: EventId) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let permit = self.chunk(organization).await;
            let limit = permit.max_items();
            after = self
                .store
                .clear_deliveries(organization, event, after, limit)
                .await?
                .next;
            if after.is_none() {
                return Ok(());
            }
            permit.complete(limit);
        }
    }

    /// Removes what was deleted from the files of the database.
    async fn clean_files(&self, organization: OrganizationId) -> Result<(), StoreError> {
        for _ in 0..CLEANING_ROUNDS {
            let mut page = 1;
            loop {
                let permit = self.chunk(organization).await;
                let limit = permit.max_items();
                let Some(next) = self.store.clean_pages(page, limit).await? else {
                    break;
                };
                permit.complete(limit);
                page = next;
            }
            if page == 1 {
                // One chunk cleaned everything.
                break;
            }
        }
        for _ in 0..MAX_CLEANINGS {
            let permit = self.chunk(organization).await;
            if self.store.remove_deleted_content().await? {
                return Ok(());
            }
            drop(permit);
            sleep(CLEANING_INTERVAL).await;
        }
        Err(StoreError::unavailable(
            "a reader keeps deleted data in the write-ahead log",
        ))
    }
}

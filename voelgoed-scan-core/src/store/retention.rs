//! What the deletion of personal data and of whole events needs: both work in chunks, and begin again after a crash.

use async_trait::async_trait;

use crate::audit::Audit;
use crate::model::{Event, EventId, OrganizationId, ScanId, TicketCode, Timestamp};
use crate::store::{Cursor, Page, PageRequest, StoreError};

/// A page of rows, and where the next one starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionPage<T, C> {
    /// The rows of the page that matter.
    pub found: Vec<T>,
    /// The last row of the page. `None` where it is the last page.
    pub next: Option<C>,
}

/// How many scans and tickets an event must have to be deleted. `None` is any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExpectedCounts {
    /// Its recorded scans.
    pub scans: Option<u64>,
    /// Its tickets.
    pub tickets: Option<u64>,
}

/// The result of deleting an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteEventOutcome {
    /// It is deleted. Its rows are deleted in the background.
    Deleted,
    /// It is not archived.
    NotArchived,
    /// It has other numbers of scans or tickets.
    CountsDiffer {
        /// Its recorded scans.
        scans: u64,
        /// Its tickets.
        tickets: u64,
    },
}

/// Deletes personal data and events.
#[async_trait]
pub trait RetentionStore: Send + Sync {
    /// Enters in the audit log that the deletion of an event's personal data begins. False if the event does not exist.
    async fn begin_clearing(
        &self,
        organization: OrganizationId,
        event: EventId,
        audit: Audit<'_>,
    ) -> Result<bool, StoreError>;

    /// The next tickets of an event that hold personal data, in the order of their codes. A page reads at most `limit` tickets.
    async fn tickets_with_personal_data(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: Option<TicketCode>,
        limit: usize,
    ) -> Result<RetentionPage<TicketCode, TicketCode>, StoreError>;

    /// Clears the personal data of tickets of an event, in one transaction. Returns the codes of those that held some.
    /// `None` if the event does not exist.
    async fn clear_tickets(
        &self,
        organization: OrganizationId,
        event: EventId,
        codes: &[TicketCode],
        now: Timestamp,
    ) -> Result<Option<Vec<TicketCode>>, StoreError>;

    /// The next scans of an event that hold personal data: metadata, reasons, or what a retry shows of their tickets. A page
    /// reads at most `limit` scans.
    async fn scans_with_personal_data(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<RetentionPage<ScanId, Cursor>, StoreError>;

    /// Clears the personal data of scans of an event, in one transaction.
    async fn clear_scans(
        &self,
        organization: OrganizationId,
        event: EventId,
        scans: &[ScanId],
    ) -> Result<(), StoreError>;

    /// Clears what people wrote into the next scans of an event in quarantine, at most `limit`. The cursor holds the device
    /// and the scan.
    async fn clear_quarantine(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: Option<(uuid::Uuid, uuid::Uuid)>,
        limit: usize,
    ) -> Result<RetentionPage<(), (uuid::Uuid, uuid::Uuid)>, StoreError>;

    /// Clears what people wrote from the bodies of the next webhook deliveries of an event, at most `limit`.
    async fn clear_deliveries(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: Option<uuid::Uuid>,
        limit: usize,
    ) -> Result<RetentionPage<(), uuid::Uuid>, StoreError>;

    /// Deletes the kept manifests of an event, which have hashes of its media.
    async fn delete_manifest_copies(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<(), StoreError>;

    /// Overwrites what the files of the database hold of former rows, where it has files of its own: in the pages from `first`
    /// on, which begin with 1, at most `limit`. Returns where to go on; `None` at the end.
    async fn clean_pages(&self, first: i64, limit: usize) -> Result<Option<i64>, StoreError>;

    /// Removes what was deleted from the files of the database, where it has files of its own. Returns false if somebody still
    /// reads the state of before: it has to be tried again. Waits for nobody.
    async fn remove_deleted_content(&self) -> Result<bool, StoreError>;

    /// Deletes an archived event: from now on its id does not exist and cannot be used again. `None` if it does not exist.
    async fn delete_event(
        &self,
        organization: OrganizationId,
        event: EventId,
        expected: ExpectedCounts,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<Option<DeleteEventOutcome>, StoreError>;

    /// A page of the events that are archived since `before` or longer, in the order of their ids.
    async fn archived_events(
        &self,
        organization: OrganizationId,
        before: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Event>, StoreError>;

    /// Deleted events of which something may be left, of all organizations, in the order of their ids: the first ones after
    /// `after`. Empty after the last.
    async fn events_to_purge(
        &self,
        after: (OrganizationId, EventId),
    ) -> Result<Vec<(OrganizationId, EventId)>, StoreError>;

    /// Deletes rows of a deleted event, about `limit`, in one transaction. `after` is the last scan that was looked at.
    async fn purge_chunk(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<PurgeProgress, StoreError>;

    /// Notes that nothing is left of a deleted event.
    async fn mark_purged(&self, organization: OrganizationId, event: EventId) -> Result<(), StoreError>;
}

/// What a chunk of a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurgeProgress {
    /// It deleted rows, and there may be more.
    More(u64),
    /// It looked at scans up to this one, and deleted those of the event.
    ScansUpTo(Cursor, u64),
    /// There was nothing left after the scans that were looked at.
    Done,
}

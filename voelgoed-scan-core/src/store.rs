//! The storage interface: what the program needs from a database, as use cases rather than tables.
//!
//! The traits are split by who calls them:
//!
//! | trait | caller |
//! |---|---|
//! | [`ScanStore`] | the scanner and its write queue: online scans |
//! | [`FeedStore`] | the feed: scans in the order of their recording |
//! | [`SyncStore`] | the scanner, for devices that upload what they decided offline |
//! | [`TicketStore`] | the box office: import, search and status of tickets |
//! | [`Registry`] | the administration: organizations, keys, events, gates, devices, enrolment, sessions |
//! | [`ManifestStore`] | the manifest cache |
//! | [`MessageStore`] | the messages of stewards that organizations replaced |
//! | [`AuditStore`] | the audit log: its list, and what is entered later from recorded scans |
//! | [`WebhookStore`] | webhooks: administration, deliveries, the outbox |
//! | [`BackgroundStore`] | tasks in the background: leases, cursors in the feeds |
//! | [`RetentionStore`] | the administration and a task in the background: deletion of personal data and of events |
//! | [`SignalStore`] | the task that finds signals, their lists and settings |
//! | [`DeliveryStore`] | the sender of webhooks: leases on deliveries, and their results |
//! | [`ReportStore`] | the reports of events |
//! | [`NodeStore`] | the node itself: change counters of a shared database, the bus, metrics |
//!
//! [`Store`] is a database that implements all of them. One implementation serves SQLite and PostgreSQL (`store/sql`).
//!
//! Invariants:
//! - Every call names the organization and reads and writes nothing of another. The exceptions look up a credential,
//!   which determines the organization, or serve the node as a whole.
//! - A write that returned `Ok` is durable.
//! - The database resolves races: concurrent calls have the same results as in some sequential order.
//! - "Not found" is `None`, and a rule that forbids a write is a value. Only a failure of the database is an error.

mod audit;
mod background;
mod deliveries;
mod dry_run;
mod errors;
mod feed;
mod filters;
mod live;
mod manifests;
mod messages;
mod nodes;
mod outcomes;
mod pages;
mod registry;
mod report;
mod retention;
mod signals;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;
mod webhooks;

use async_trait::async_trait;

use crate::audit::Audit;
use crate::model::{
    ActivityMinutes, Attempt, AuditContext, AuthenticatedDevice, EventActivity, EventId, EventOccupancy,
    Media, MediumTicket, OrganizationId, ReasonText, Recorded, RuleSettings, ScanId, ScanRecord,
    SettableStatus, TicketCode, TicketFacts, TicketId, TicketListing, TicketStatus, Timestamp, TokenHash,
};
use crate::rules::{KnownScan, NewScan};
use crate::sync::{Conflict, UploadChunk};

pub use audit::{AuditFilter, AuditStore};
pub use background::{BackgroundStore, FeedAhead};
pub use deliveries::{
    ClaimedDeliveries, ClaimedDelivery, DeliveryStore, DeliveryTurn, SettledDelivery, Settlement, TicketPlace,
};
pub use dry_run::ImportDryRun;
pub use errors::StoreError;
pub use feed::{FeedEntry, FeedStore};
pub use filters::{ConflictFilter, Order, ScanFilter};
pub use live::{DeviceCounts, LiveEvent};
pub use manifests::{
    ChangedTicket, MAX_MANIFEST_COPIES, ManifestCopy, ManifestMark, ManifestReading, ManifestStore,
};
pub use messages::MessageStore;
pub use nodes::{ChangeCounters, Durability, NodeStore, PoolUse};
pub use outcomes::{
    AcceptOutcome, Acceptance, DeleteOutcome, ImportCounts, ImportEnd, ImportOutcome, NumberedLine,
    PutOutcome, StartOutcome, SyncOutcome, UndoOutcome, UndoPermission,
};
pub use pages::{Cursor, Page, PageRequest};
pub use registry::{Devices, Enrollments, Events, Keys, Organizations, Registry, Sessions};
pub use report::ReportStore;
pub use retention::{DeleteEventOutcome, ExpectedCounts, PurgeProgress, RetentionPage, RetentionStore};
pub use signals::{
    LoadedWindow, ReadEntries, SearchedPage, SearchedScan, SignalChange, SignalFilter, SignalStore,
    SignalWatch, SignalWrite,
};
#[cfg(feature = "sqlite")]
pub use sql::LockError;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::{
    AppliedMigration, LockHolder, Migrated, OpenError, OpenMode, Opening, Pooler, migrate, open, open_as,
    open_with,
};
pub use webhooks::{EnqueueOutcome, FeedPage, MAX_WEBHOOKS, WebhookKey, WebhookState, WebhookStore};

/// Online scans: authentication, decision, record and audit trail.
#[async_trait]
pub trait ScanStore: Send + Sync {
    /// The device that a token belongs to, with its active session.
    async fn find_device_by_token(
        &self,
        token: &TokenHash,
    ) -> Result<Option<AuthenticatedDevice>, StoreError>;

    /// How many writes of scans may run side by side, each of another organization. The writes of one organization would
    /// wait for each other's locks.
    fn concurrent_writes(&self) -> usize {
        1
    }

    /// How many writes of scans may run at a time in all. A write that takes long, because it waits for a lock, leaves its
    /// place to another one up to this limit.
    fn max_writes(&self) -> usize {
        self.concurrent_writes()
    }

    /// Decides and records the scans of a batch, in their order. Returns one result a scan.
    ///
    /// A scan id is decided once: a retry gets the recorded answer. The scans of a batch are not one unit: when the
    /// database fails, some may be recorded and others not, and each result says which.
    async fn record(&self, batch: &[Attempt], rules: &RuleSettings) -> Result<Vec<Recorded>, StoreError>;

    /// Records denials that were served from a cache, exactly as they were answered. A scan id that is recorded already
    /// is left as it is.
    async fn record_denials(&self, denials: &[NewScan]) -> Result<(), StoreError>;

    /// Returns what [`Self::record`] would return for a scan. Writes nothing.
    async fn dry_run(&self, attempt: &Attempt, rules: &RuleSettings) -> Result<Recorded, StoreError>;

    /// A recorded scan with what a retry of it is compared with and answered from.
    async fn find_scan_for_retry(
        &self,
        organization: OrganizationId,
        scan: ScanId,
    ) -> Result<Option<KnownScan>, StoreError>;

    /// Undoes an open admission. `None` if the scan does not exist. `origin` is kept for the audit log, which enters the undo
    /// later.
    #[expect(clippy::too_many_arguments, reason = "each is another fact of the call")]
    async fn undo(
        &self,
        organization: OrganizationId,
        scan: ScanId,
        permission: UndoPermission,
        reason: &ReasonText,
        origin: &AuditContext,
        now: Timestamp,
        rules: &RuleSettings,
    ) -> Result<Option<UndoOutcome>, StoreError>;

    /// A page of the audit trail.
    async fn scans(
        &self,
        organization: OrganizationId,
        filter: &ScanFilter,
        order: Order,
        page: &PageRequest,
    ) -> Result<Page<ScanRecord>, StoreError>;

    /// The occupancy of an event and its gates. `None` if the event does not exist.
    async fn occupancy(
        &self,
        organization: OrganizationId,
        event: EventId,
        now: Timestamp,
    ) -> Result<Option<EventOccupancy>, StoreError>;

    /// What happened at the gates of an event in these minutes. It has no gates if the event does not exist.
    async fn activity(
        &self,
        organization: OrganizationId,
        event: EventId,
        minutes: ActivityMinutes,
    ) -> Result<EventActivity, StoreError>;
}

/// Tickets, as the box office imports and edits them.
#[async_trait]
pub trait TicketStore: Send + Sync {
    /// Imports a chunk of lines in one transaction. Returns one outcome a line. `None` if the event does not exist. `end` is given
    /// with the last chunk of an import, whose transaction writes the entry about the end.
    async fn import(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
        end: Option<ImportEnd<'_>>,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError>;

    /// The outcomes that further lines of a dry run would have, after the lines before them. Changes nothing but `dry_run`. `None`
    /// if the event does not exist.
    async fn import_dry_run(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
        dry_run: &mut ImportDryRun,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError>;

    /// A ticket of an event.
    async fn ticket(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
    ) -> Result<Option<TicketFacts>, StoreError>;

    /// The tickets that have media with these SHA-256, at all events of the organization.
    async fn tickets_by_media(
        &self,
        organization: OrganizationId,
        media: &[[u8; 32]],
    ) -> Result<Vec<MediumTicket>, StoreError>;

    /// The code of the ticket with this code, this id, or both. `None` if there is none, and if they name two.
    async fn code_of_named_ticket(
        &self,
        organization: OrganizationId,
        code: Option<TicketCode>,
        id: Option<TicketId>,
    ) -> Result<Option<TicketCode>, StoreError>;

    /// The media of a ticket of an event. They are empty if there is no such ticket.
    async fn media_of(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
    ) -> Result<Media, StoreError>;

    /// A page of the tickets of an event, in the order of their codes. `query` is the start of a code, of a
    /// word of a holder's name or of an order reference, without case, accents and kinds of apostrophe. The `id` of a cursor holds the code as a number.
    async fn tickets(
        &self,
        organization: OrganizationId,
        event: EventId,
        query: Option<&str>,
        status: Option<TicketStatus>,
        page: &PageRequest,
    ) -> Result<Page<TicketListing>, StoreError>;

    /// Changes the status of a ticket. `None` if the ticket does not exist.
    async fn set_ticket_status(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
        status: SettableStatus,
        now: Timestamp,
        audit: Audit<'_>,
    ) -> Result<Option<TicketFacts>, StoreError>;
}

/// Scans that devices decided offline and upload later.
#[async_trait]
pub trait SyncStore: Send + Sync {
    /// Ingests a chunk of an upload in one transaction. `None` if the device is neither active nor revoked: scans of a revoked
    /// device go into quarantine.
    async fn sync(
        &self,
        chunk: &UploadChunk<'_>,
        rules: &RuleSettings,
    ) -> Result<Option<SyncOutcome>, StoreError>;

    /// Records a quarantined scan as if its device were trusted, in one transaction. A repeated call changes nothing.
    /// `None` if no such scan is in quarantine.
    async fn accept(
        &self,
        organization: OrganizationId,
        scan: ScanId,
        acceptance: &Acceptance,
        rules: &RuleSettings,
        audit: Audit<'_>,
    ) -> Result<Option<AcceptOutcome>, StoreError>;

    /// Whether a scan is in quarantine.
    async fn is_quarantined(&self, organization: OrganizationId, scan: ScanId) -> Result<bool, StoreError>;

    /// A page of the conflicts, newest first by the time of the scan that lost.
    async fn conflicts(
        &self,
        organization: OrganizationId,
        filter: &ConflictFilter,
        page: &PageRequest,
    ) -> Result<Page<Conflict>, StoreError>;
}

/// A database that implements the whole storage interface.
pub trait Store:
    ScanStore
    + AuditStore
    + FeedStore
    + SyncStore
    + Registry
    + TicketStore
    + ManifestStore
    + MessageStore
    + BackgroundStore
    + RetentionStore
    + SignalStore
    + DeliveryStore
    + WebhookStore
    + ReportStore
    + NodeStore
    + 'static
{
}

impl<
    T: ScanStore
        + FeedStore
        + SyncStore
        + Registry
        + TicketStore
        + ManifestStore
        + MessageStore
        + AuditStore
        + BackgroundStore
        + RetentionStore
        + SignalStore
        + DeliveryStore
        + WebhookStore
        + ReportStore
        + NodeStore
        + 'static,
> Store for T
{
}

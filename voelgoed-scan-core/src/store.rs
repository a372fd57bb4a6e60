//! What must a database be able to do for the gate? Three traits, by who asks: the scanner, the back office, the box
//! office. Use cases, not tables.
//!
//! Invariants: every call names the organization first and sees nothing of another; what returned `Ok` is durable; the
//! database settles races, so that the outcome of calls side by side is that of some order of them; "not there" is
//! `None`, and a rule that says no is a value, never an error.

mod nodes;
mod registry;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

use std::time::Duration;

use async_trait::async_trait;

use crate::manifest::ManifestTicket;
use crate::model::{
    Attempt, AuthenticatedDevice, DeviceId, Event, EventId, EventOccupancy, Gate, GateId, OrganizationId,
    ReasonText, Recorded, RuleSettings, ScanId, ScanRecord, ScanResult, ScanSession, SessionId,
    SettableStatus, SigningKey, TicketCode, TicketFacts, TicketId, TicketLine, TicketListing, TicketStatus,
    Timestamp, TokenHash,
};
use crate::rules::{ConflictKind, KnownScan, NewScan};
use crate::sync::{Conflict, SyncResult, SyncWrites, UploadBatch};

pub use nodes::{ChangeCounters, NodeStore, PoolUse};
pub use registry::{Devices, Enrollments, Events, Keys, Organizations, Registry, Sessions};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sql::{OpenError, open};

/// A failure of the database itself. What it says is for logs, never for clients.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or not in time: the call may be tried again.
    #[error("the database is unavailable: {reason}")]
    Unavailable {
        /// What the driver said.
        reason: String,
    },
    /// Writers were in each other's way more often than is reasonable; nothing was written.
    #[error("the database is contended: {reason}")]
    Contended {
        /// What the driver said.
        reason: String,
    },
    /// The database answered what it never should: a row that is not what this version writes, a broken file.
    #[error("the database failed: {reason}")]
    Failed {
        /// What the driver said.
        reason: String,
    },
}

/// How a list is asked for: so many, after that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The most rows, 1 to 500.
    pub limit: u16,
    /// Where the page before ended; `None` for the first.
    pub after: Option<Cursor>,
}

/// The place of a row in its list: its time (or 0) and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The row's id.
    pub id: uuid::Uuid,
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl Cursor {
    /// Before the first row of a list that starts with its oldest.
    const FIRST: Self = Self {
        at: i64::MIN,
        id: uuid::Uuid::nil(),
    };
    /// Before the first row of a list that starts with its newest.
    const LAST: Self = Self {
        at: i64::MAX,
        id: uuid::Uuid::max(),
    };

    /// The place in a list that is ordered by ids alone.
    const fn of_id(id: uuid::Uuid) -> Self {
        Self { at: 0, id }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Where the next page starts; `None` after the last.
    pub next: Option<Cursor>,
}

/// Which scans an audit asks for; `None` is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanFilter {
    /// Of this event.
    pub event_id: Option<EventId>,
    /// At this gate.
    pub gate_id: Option<GateId>,
    /// By this device.
    pub device_id: Option<DeviceId>,
    /// Of this ticket.
    pub ticket_code: Option<TicketCode>,
    /// With this result.
    pub result: Option<ScanResult>,
    /// From here on, inclusive.
    pub from: Option<Timestamp>,
    /// Until here, inclusive.
    pub to: Option<Timestamp>,
}

/// In which order an audit comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    Newest,
    /// Oldest first.
    Oldest,
}

/// Who undoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoneBy {
    /// A device: its own scans, for so long after they were recorded.
    Device(DeviceId, Duration),
    /// An organization member, staff or above.
    Member,
}

/// What became of an undo.
#[derive(Debug, Clone, PartialEq)]
pub enum UndoOutcome {
    /// The scan is undone; so it was before if `again`.
    Undone {
        /// The record, marked.
        record: Box<ScanRecord>,
        /// The ticket after it.
        ticket: Option<Box<TicketFacts>>,
        /// Whether it had been undone before.
        again: bool,
    },
    /// Not an open admission: a denial, an exit, or somebody went out since.
    NotOpen,
    /// Another device's scan, or too long ago.
    NotAllowed,
}

/// What the scanner asks of a database.
#[async_trait]
pub trait ScanStore: Send + Sync {
    /// Decides and records a batch in its order, in one transaction; one answer an attempt. Idempotent on `scan_id`.
    async fn record(&self, batch: &[Attempt], rules: &RuleSettings) -> Result<Vec<Recorded>, StoreError>;

    /// Records denials that were answered already, each as it was answered; one whose id is on record stays as it is.
    async fn note(&self, denials: &[NewScan]) -> Result<(), StoreError>;

    /// What [`Self::record`] would answer; writes nothing.
    async fn preview(&self, attempt: &Attempt, rules: &RuleSettings) -> Result<Recorded, StoreError>;

    /// The scan of that id.
    async fn known_scan(
        &self,
        organization: OrganizationId,
        scan: ScanId,
    ) -> Result<Option<KnownScan>, StoreError>;

    /// Undoes an open admission; `None` where there is no such scan.
    async fn undo(
        &self,
        organization: OrganizationId,
        scan: ScanId,
        by: UndoneBy,
        reason: &ReasonText,
        now: Timestamp,
        rules: &RuleSettings,
    ) -> Result<Option<UndoOutcome>, StoreError>;

    /// The audit trail.
    async fn scans(
        &self,
        organization: OrganizationId,
        filter: &ScanFilter,
        order: Order,
        page: &PageRequest,
    ) -> Result<Page<ScanRecord>, StoreError>;

    /// The occupancy of an event; `None` where there is no such event.
    async fn occupancy(
        &self,
        organization: OrganizationId,
        event: EventId,
        now: Timestamp,
    ) -> Result<Option<EventOccupancy>, StoreError>;

    /// The device that a token belongs to, with its session.
    async fn authenticated(&self, token: &TokenHash) -> Result<Option<AuthenticatedDevice>, StoreError>;
}

/// What became of a row that was put: made or replaced.
#[derive(Debug, Clone, PartialEq)]
pub enum Put<T> {
    /// It is new.
    Created(T),
    /// It was there.
    Replaced(T),
    /// It cannot be: the rule in words.
    Conflict(&'static str),
    /// What it belongs to is not there.
    Missing,
}

/// What became of a session's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartOutcome {
    /// It started.
    Started(ScanSession),
    /// The device has this one.
    AlreadyActive(SessionId),
    /// No such event or gate.
    Missing,
    /// The device may not call any more.
    DeviceInactive,
}

/// A line of an import with its number, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedLine {
    /// Its number.
    pub number: u64,
    /// What it says.
    pub line: TicketLine,
}

/// What became of a line of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// A new ticket.
    Inserted(TicketCode, TicketId),
    /// A changed one.
    Updated(TicketCode, TicketId),
    /// As it was.
    Unchanged(TicketCode, TicketId),
    /// Not taken: why, in words.
    Rejected(String),
}

/// What the box office asks of a database: tickets.
#[async_trait]
pub trait TicketStore: Send + Sync {
    /// Takes a chunk of an import, in one transaction; one outcome a line. `None` where there is no such event.
    async fn import(
        &self,
        organization: OrganizationId,
        event: EventId,
        lines: &[NumberedLine],
        now: Timestamp,
    ) -> Result<Option<Vec<ImportOutcome>>, StoreError>;
    /// A ticket of an event.
    async fn ticket(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
    ) -> Result<Option<TicketFacts>, StoreError>;
    /// The tickets of an event in the order of their codes; `query` is the start of a code, a holder's name or an
    /// order. The cursor's `id` is the code's number.
    async fn tickets(
        &self,
        organization: OrganizationId,
        event: EventId,
        query: Option<&str>,
        status: Option<TicketStatus>,
        page: &PageRequest,
    ) -> Result<Page<TicketListing>, StoreError>;
    /// Changes a ticket's status.
    async fn set_ticket_status(
        &self,
        organization: OrganizationId,
        event: EventId,
        code: TicketCode,
        status: SettableStatus,
        now: Timestamp,
    ) -> Result<Option<TicketFacts>, StoreError>;
}

/// Which conflicts are asked for; `None` is any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConflictFilter {
    /// At this event.
    pub event_id: Option<EventId>,
    /// Of this kind.
    pub kind: Option<ConflictKind>,
}

/// What became of a batch that a device handed in.
#[derive(Debug)]
pub struct Synced {
    /// What became of its scans, in their order.
    pub results: Vec<SyncResult>,
    /// What was written.
    pub writes: SyncWrites,
}

/// What devices ask of a database that decided alone.
#[async_trait]
pub trait SyncStore: Send + Sync {
    /// Takes a batch, in one transaction. `None` where the device is not active, and was not revoked either.
    async fn sync(&self, intake: &UploadBatch, rules: &RuleSettings) -> Result<Option<Synced>, StoreError>;

    /// The conflicts, newest first by the time of the scan that lost.
    async fn conflicts(
        &self,
        organization: OrganizationId,
        filter: &ConflictFilter,
        page: &PageRequest,
    ) -> Result<Page<Conflict>, StoreError>;
}

/// What tells that the manifest of an event may have something new to say: cheap to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestMark {
    /// The organization's change counter of events, gates, keys, and of what no manifest tells.
    pub facts: i64,
    /// Its change counter of tickets that were there, otherwise than by scans.
    pub tickets: i64,
    /// How many tickets the event has: a new one raises no counter.
    pub listed: i64,
    /// Entries, exits and admissions that were counted at the event.
    pub movements: i64,
}

/// A ticket that is not as it was known.
#[derive(Debug, Clone)]
pub struct ChangedTicket {
    /// Its code.
    pub code: TicketCode,
    /// Its version.
    pub version: i64,
    /// What a manifest says of it.
    pub ticket: ManifestTicket,
}

/// What a manifest is made of, as it stood at one moment.
#[derive(Debug, Clone)]
pub struct ManifestReading {
    /// The mark at that moment.
    pub mark: ManifestMark,
    /// Rises with everything that a manifest tells.
    pub version: u64,
    /// The event.
    pub event: Event,
    /// Its gates, in the order of their ids.
    pub gates: Vec<Gate>,
    /// The organization's signing keys, oldest first.
    pub keys: Vec<SigningKey>,
    /// Tickets that are not as they were known.
    pub changed: Vec<ChangedTicket>,
}

/// What the manifests of events ask of a database.
#[async_trait]
pub trait ManifestStore: Send + Sync {
    /// What tells of changes; `None` where there is no such event.
    async fn manifest_mark(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<Option<ManifestMark>, StoreError>;

    /// Reads what a manifest says. `known` gives the version in which a ticket is known already: one that has another,
    /// or none, is read.
    async fn read_manifest(
        &self,
        organization: OrganizationId,
        event: EventId,
        known: &(dyn Fn(TicketCode) -> Option<i64> + Send + Sync),
    ) -> Result<Option<ManifestReading>, StoreError>;
}

/// A database with all of it.
pub trait Store:
    ScanStore + SyncStore + Registry + TicketStore + ManifestStore + NodeStore + 'static
{
}

impl<T: ScanStore + SyncStore + Registry + TicketStore + ManifestStore + NodeStore + 'static> Store for T {}

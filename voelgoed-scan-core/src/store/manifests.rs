//! What the database holds that a manifest is built from.

use async_trait::async_trait;

use crate::manifest::ManifestTicket;
use crate::model::{CustomMessages, Event, EventId, Gate, OrganizationId, SigningKey, TicketCode, Timestamp};
use crate::store::StoreError;

/// Counters that show whether the manifest of an event may have changed. Reading them is cheap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestMark {
    /// The organization's change counter: events, gates, keys, and things that no manifest contains.
    pub facts: i64,
    /// The organization's change counter of existing tickets. Scans do not raise it.
    pub tickets: i64,
    /// How many tickets the event has. A new ticket raises no counter.
    pub listed: i64,
    /// Entries, exits and admissions that were counted at the event.
    pub movements: i64,
}

/// A ticket whose version differs from the one that the caller knows.
#[derive(Debug, Clone)]
pub struct ChangedTicket {
    /// The code.
    pub code: TicketCode,
    /// The version.
    pub version: i64,
    /// The ticket as a manifest contains it.
    pub ticket: ManifestTicket,
}

/// The content of a manifest, read from one state of the database.
#[derive(Debug, Clone)]
pub struct ManifestReading {
    /// The counters in that state.
    pub mark: ManifestMark,
    /// A number that rises with every change of the content.
    pub version: u64,
    /// The event.
    pub event: Event,
    /// The gates of the event, in the order of their ids.
    pub gates: Vec<Gate>,
    /// The organization's signing keys, oldest first.
    pub keys: Vec<SigningKey>,
    /// The messages that the organization replaced.
    pub messages: CustomMessages,
    /// The tickets whose version differs from the one that the caller knows.
    pub changed: Vec<ChangedTicket>,
}

/// A manifest that a node issued, for the other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestCopy {
    /// The name of the bytes.
    pub tag: String,
    /// The manifest as gzip.
    pub bytes: Vec<u8>,
    /// When the copy is of no use any more.
    pub expires_at: Timestamp,
}

/// How many copies of manifests of one event are kept.
pub const MAX_MANIFEST_COPIES: u8 = 32;

/// Reads the content of manifests.
#[async_trait]
pub trait ManifestStore: Send + Sync {
    /// The counters that show whether the manifest may have changed. `None` if the event does not exist.
    async fn manifest_mark(
        &self,
        organization: OrganizationId,
        event: EventId,
    ) -> Result<Option<ManifestMark>, StoreError>;

    /// Reads the content of the manifest of an event. `None` if the event does not exist.
    ///
    /// `known` returns the version in which the caller knows a ticket. Only tickets with another version are read.
    async fn read_manifest(
        &self,
        organization: OrganizationId,
        event: EventId,
        known: &(dyn Fn(TicketCode) -> Option<i64> + Send + Sync),
    ) -> Result<Option<ManifestReading>, StoreError>;

    /// Keeps a copy of a manifest until it expires, at most [`MAX_MANIFEST_COPIES`] of an event. Does nothing where no other
    /// node uses the database.
    async fn keep_manifest_copy(
        &self,
        organization: OrganizationId,
        event: EventId,
        copy: &ManifestCopy,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// The copy of a manifest of an event by its tag, if there is one that has not expired at `now`.
    async fn manifest_copy(
        &self,
        organization: OrganizationId,
        event: EventId,
        tag: &str,
        now: Timestamp,
    ) -> Result<Option<ManifestCopy>, StoreError>;
}

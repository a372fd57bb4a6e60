//! The feed of an event: its scans in the order in which they were recorded, from which streams resume.

use async_trait::async_trait;

use crate::model::{EventId, OrganizationId, ScanRecord};
use crate::store::StoreError;

/// An entry of a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedEntry {
    /// The position of the entry. Positions rise; not every number is used.
    pub position: i64,
    /// A scan that was recorded, or that changed.
    pub record: ScanRecord,
}

/// The feeds of events.
///
/// A scan has an entry when it is recorded, and another when it is undone or decided differently. Entries become visible
/// in the order of their positions: who sees an entry misses none before it.
#[async_trait]
pub trait FeedStore: Send + Sync {
    /// The positions of the last entries of some events. An event without entries is left out.
    async fn feed_positions(
        &self,
        events: &[(OrganizationId, EventId)],
    ) -> Result<Vec<((OrganizationId, EventId), i64)>, StoreError>;

    /// The entries after a position, in their order, at most `limit`. An entry of a new scan shows it without a later
    /// undo.
    async fn feed_entries(
        &self,
        organization: OrganizationId,
        event: EventId,
        after: i64,
        limit: u16,
    ) -> Result<Vec<FeedEntry>, StoreError>;
}

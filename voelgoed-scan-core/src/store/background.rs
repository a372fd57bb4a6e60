//! What tasks in the background need: leases of tasks that one node runs, and cursors in the feeds.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::model::{EventId, OrganizationId};
use crate::store::StoreError;

/// A feed that has entries which a consumer has not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedAhead {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The event.
    pub event_id: EventId,
    /// The last position that the consumer has read; 0 if it has read none.
    pub position: i64,
    /// The last position of the feed.
    pub last: i64,
}

/// Leases and cursors.
///
/// A consumer writes what follows from some entries and advances its cursor in one transaction. So each entry has its effect
/// exactly once, even if two nodes read it at the same time: a lease spares work, the cursor decides.
#[async_trait]
pub trait BackgroundStore: Send + Sync {
    /// Takes or renews the lease of a task. False if another node has it. The time is that of the database.
    async fn hold_lease(&self, task: &str, holder: Uuid, duration: Duration) -> Result<bool, StoreError>;

    /// Gives up a lease, if the node has it.
    async fn release_lease(&self, task: &str, holder: Uuid) -> Result<(), StoreError>;

    /// Feeds, at most `limit`, that are ahead of the cursors of a consumer, in a random order.
    async fn feeds_ahead(&self, consumer: &str, limit: u16) -> Result<Vec<FeedAhead>, StoreError>;

    /// Moves a cursor past entries that have no effect. False if it is not at `from`: another node was faster.
    async fn advance_cursor(
        &self,
        organization: OrganizationId,
        consumer: &str,
        event: EventId,
        from: i64,
        to: i64,
    ) -> Result<bool, StoreError>;
}

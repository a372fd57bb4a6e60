//! Limits how many lists and manifests are read at a time.
//!
//! Invariant: however many an organization requests, others find a reader within the time of one read.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::model::OrganizationId;
use crate::shares::{SharePermit, Shares};
use crate::store::StoreError;

/// How long the read of a list or a manifest waits for others to end.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// The connections that may read lists and manifests.
pub(crate) struct BulkReaders {
    all: Semaphore,
    /// The shares of organizations. What a node reads for itself has the share of none.
    shares: Shares<Option<OrganizationId>>,
}

/// One of these connections. It is free for others when this is dropped.
#[expect(dead_code, reason = "dropped at the end")]
pub(crate) struct BulkReadPermit<'a> {
    all: SemaphorePermit<'a>,
    share: SharePermit<Option<OrganizationId>>,
}

impl BulkReaders {
    /// `all` readers, of which one organization has at most `of_organization`.
    pub(crate) fn new(all: usize, of_organization: usize) -> Self {
        Self {
            all: Semaphore::new(all),
            shares: Shares::new(of_organization),
        }
    }

    /// Waits for a reader. An organization that has used up its share waits there, and not among all.
    pub(crate) async fn acquire(
        &self,
        organization: Option<OrganizationId>,
    ) -> Result<BulkReadPermit<'_>, StoreError> {
        let permit = async {
            let share = self.shares.acquire(organization, 1).await?;
            let all = self.all.acquire().await.ok()?;
            Some(BulkReadPermit { all, share })
        };
        let busy = |_| StoreError::unavailable("too many lists are being read");
        let permit = timeout(TIMEOUT, permit).await.map_err(busy)?;
        permit.ok_or_else(|| StoreError::unavailable("the database is closed"))
    }
}

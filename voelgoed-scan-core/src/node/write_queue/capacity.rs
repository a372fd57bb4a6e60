//! The capacity of a queue: what it holds in all, and what an organization may take of it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::OrganizationId;
use crate::shares::{SharePermit, Shares};

/// How many times the share of an organization a queue holds.
const SHARES: usize = 2;

/// The capacity of a queue.
pub(super) struct Capacity {
    size: usize,
    all: Arc<Semaphore>,
    shares: Shares<OrganizationId>,
}

/// A place in a queue.
pub(crate) struct Permit {
    _all: OwnedSemaphorePermit,
    _share: SharePermit<OrganizationId>,
}

impl Capacity {
    /// The capacity of a queue in which an organization may take `share` places.
    pub(super) fn new(share: usize) -> Self {
        let size = SHARES * share;
        Self {
            size,
            all: Arc::new(Semaphore::new(size)),
            shares: Shares::new(share),
        }
    }

    /// A place, unless the queue is full or the organization has its share.
    pub(super) fn try_acquire(&self, organization: OrganizationId) -> Option<Permit> {
        let share = self.shares.try_acquire(organization)?;
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Permit {
            _all: all,
            _share: share,
        })
    }

    /// Waits for a place.
    pub(super) async fn acquire(&self, organization: OrganizationId) -> Option<Permit> {
        let share = self.shares.acquire(organization, 1).await?;
        let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Permit {
            _all: all,
            _share: share,
        })
    }

    /// How many places are taken.
    pub(super) fn used(&self) -> usize {
        self.size - self.all.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_organization_gets_its_share_and_all_together_what_the_queue_holds() {
        let capacity = Capacity::new(2);
        let take = |number| capacity.try_acquire(OrganizationId::from(Uuid::from_u128(number)));
        let mut permits: Vec<_> = [1, 1, 2]
            .into_iter()
            .map(|number| take(number).expect("a place"))
            .collect();
        assert!(take(1).is_none(), "the organization has its share");
        permits.push(take(3).expect("a place"));
        assert_eq!(capacity.used(), 4);
        assert!(take(2).is_none(), "the queue is full");
        permits.remove(0);
        assert_eq!(capacity.used(), 3);
        assert!(take(2).is_some());
    }
}

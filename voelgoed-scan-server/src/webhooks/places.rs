//! The places for attempts that run at a time on a node.
//!
//! Invariants: the only attempt of a webhook needs no place, so that no webhook waits for the receivers of others; an organization
//! takes at most half of the places.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use voelgoed_scan_core::model::OrganizationId;
use voelgoed_scan_core::shares::{SharePermit, Shares};

/// How many attempts run at a time, besides one of each webhook.
const MAX_ATTEMPTS: usize = 128;

/// How many of them are those of one organization.
const MAX_ATTEMPTS_OF_ORGANIZATION: usize = MAX_ATTEMPTS / 2;

/// The places of all webhooks.
pub(super) struct Places {
    all: Arc<Semaphore>,
    of_organizations: Shares<OrganizationId>,
}

/// What an attempt takes while it runs.
pub(super) enum Place {
    /// The only attempt of its webhook.
    Own,
    /// Another one.
    Shared {
        _all: OwnedSemaphorePermit,
        _of_organization: SharePermit<OrganizationId>,
    },
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MAX_ATTEMPTS)),
            of_organizations: Shares::new(MAX_ATTEMPTS_OF_ORGANIZATION),
        }
    }

    /// A place for another attempt of a webhook. `None` if there is none now.
    pub(super) fn take(&self, organization: OrganizationId) -> Option<Place> {
        Some(Place::Shared {
            _of_organization: self.of_organizations.try_acquire(organization)?,
            _all: Arc::clone(&self.all).try_acquire_owned().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_organization_leaves_half_of_the_places_to_others() {
        let places = Places::new();
        let take = |number| places.take(Uuid::from_u128(number).into());
        let first: Vec<_> = std::iter::from_fn(|| take(1)).collect();
        assert_eq!(first.len(), MAX_ATTEMPTS_OF_ORGANIZATION);
        let second: Vec<_> = std::iter::from_fn(|| take(2)).collect();
        assert_eq!(second.len(), MAX_ATTEMPTS - MAX_ATTEMPTS_OF_ORGANIZATION);
        assert!(take(3).is_none());
        drop(first);
        assert!(take(3).is_some());
    }
}

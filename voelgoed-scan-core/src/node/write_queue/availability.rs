//! What the ends of the writes tell about the database: whether it is unavailable, or the rows of one organization are
//! locked.

use std::collections::BTreeSet;

use crate::model::OrganizationId;
use crate::store::StoreError;

#[derive(Default)]
pub(super) struct Availability {
    /// How many writes have succeeded.
    successes: u64,
    /// The organizations whose writes timed out since the last one that succeeded.
    timed_out: BTreeSet<OrganizationId>,
}

impl Availability {
    /// How many writes have succeeded. A write that starts keeps it, so that its end shows whether others succeeded
    /// meanwhile.
    pub(super) fn successes(&self) -> u64 {
        self.successes
    }

    pub(super) fn write_succeeded(&mut self) {
        self.successes += 1;
        self.timed_out.clear();
    }

    /// Ends a write that found the database unavailable. Returns whether no organization can be written: no write has
    /// succeeded meanwhile, and this one did not time out, or another organization's did too. One that times out alone
    /// may have waited for a lock.
    pub(super) fn write_failed(
        &mut self,
        organization: OrganizationId,
        error: &StoreError,
        successes_before: u64,
    ) -> bool {
        if self.successes != successes_before {
            return false;
        }
        if let StoreError::Unavailable { timed_out: true, .. } = error {
            self.timed_out.insert(organization);
            return self.timed_out.len() > 1;
        }
        true
    }
}

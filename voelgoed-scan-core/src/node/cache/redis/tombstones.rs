//! The tombstones that Redis has not accepted yet.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::entry::{EntryWrite, TicketKey};

/// How many tombstones a call writes at most, so that Redis accepts them within the time that a call may take.
const MAX_PER_CALL: usize = 1_000;

struct Tombstone {
    version: i64,
    expires_at: Instant,
}

#[derive(Default)]
pub(super) struct PendingTombstones(Mutex<HashMap<TicketKey, Tombstone>>);

impl PendingTombstones {
    /// Adds tombstones, except those of tickets of which a newer one is pending.
    pub(super) fn add(&self, tombstones: &[(TicketKey, i64)], expires_at: Instant) {
        let mut pending = self.0.lock();
        for &(key, version) in tombstones {
            let has_newer = pending
                .get(&key)
                .is_some_and(|tombstone| tombstone.version > version);
            if !has_newer {
                pending.insert(key, Tombstone { version, expires_at });
            }
        }
    }

    /// Drops those that have expired, whether or not Redis works.
    pub(super) fn expire(&self, now: Instant) {
        self.0.lock().retain(|_, tombstone| tombstone.expires_at >= now);
    }

    pub(super) fn all(&self) -> Vec<(TicketKey, i64)> {
        let pending = self.0.lock();
        pending
            .iter()
            .map(|(key, tombstone)| (*key, tombstone.version))
            .collect()
    }

    /// Writes tombstones with calls of at most [`MAX_PER_CALL`], until one of them fails. Those that Redis accepted are not
    /// pending any more.
    pub(super) async fn write<F: Future<Output = bool>>(
        &self,
        tombstones: &[(TicketKey, i64)],
        call: impl Fn(Vec<EntryWrite>) -> F,
    ) {
        for part in tombstones.chunks(MAX_PER_CALL) {
            let writes = part.iter().copied();
            let writes = writes.map(|(key, version)| EntryWrite::tombstone(key, version));
            if !call(writes.collect()).await {
                return;
            }
            self.remove(part);
        }
    }

    fn remove(&self, written: &[(TicketKey, i64)]) {
        let mut pending = self.0.lock();
        for (key, version) in written {
            if pending
                .get(key)
                .is_some_and(|tombstone| tombstone.version <= *version)
            {
                pending.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::model::{OrganizationId, TicketCode};

    /// The tombstone of a ticket of the organization with this number.
    fn tombstone(number: usize, version: i64) -> (TicketKey, i64) {
        let organization = OrganizationId::from_uuid(Uuid::from_u128(number as u128));
        let code = TicketCode::from_bytes([1; 12]).expect("a code");
        ((organization, code), version)
    }

    fn tombstones(count: usize) -> Vec<(TicketKey, i64)> {
        (0..count).map(|number| tombstone(number, 1)).collect()
    }

    #[tokio::test]
    async fn what_redis_accepted_is_not_written_again_after_a_call_that_failed() {
        let pending = PendingTombstones::default();
        let now = Instant::now();
        pending.add(&tombstones(2_500), now);
        let calls = Mutex::new(Vec::new());
        let write = |writes: Vec<EntryWrite>| {
            calls.lock().push(writes.len());
            let accepts = calls.lock().len() != 2;
            async move { accepts }
        };
        pending.write(&pending.all(), write).await;
        assert_eq!(pending.all().len(), 1_500, "the second call failed");
        pending.write(&pending.all(), write).await;
        assert!(pending.all().is_empty());
        assert_eq!(*calls.lock(), [1_000, 1_000, 1_000, 500]);
    }

    #[tokio::test]
    async fn a_newer_tombstone_stays_pending_when_an_older_one_is_written() {
        let pending = PendingTombstones::default();
        let now = Instant::now();
        let older = [tombstone(1, 1), tombstone(2, 1)];
        pending.add(&older, now);
        pending.add(&[tombstone(2, 2)], now);
        pending.add(&[tombstone(2, 1)], now);
        pending.write(&older, async |_| true).await;
        assert_eq!(pending.all(), [tombstone(2, 2)]);
    }

    #[test]
    fn a_tombstone_expires_while_redis_does_not_work() {
        let pending = PendingTombstones::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        pending.add(&[tombstone(1, 1)], now);
        pending.add(&[tombstone(2, 1)], later);
        pending.expire(now);
        assert_eq!(pending.all().len(), 2);
        pending.expire(later);
        assert_eq!(pending.all(), [tombstone(2, 1)]);
    }
}

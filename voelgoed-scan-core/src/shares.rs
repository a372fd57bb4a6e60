//! Shares of a limited resource: no tenant or credential gets all of it, however many requests it sends.
//!
//! Invariant: the permits of one key never exceed the size of a share. A key without permits and waiting requests takes no
//! memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

type ByKey<K> = Arc<Mutex<HashMap<K, Arc<Semaphore>>>>;

/// The shares of a resource, one for each key.
#[derive(Debug)]
pub struct Shares<K> {
    size: usize,
    by_key: ByKey<K>,
}

impl<K: Copy + Eq + Hash> Shares<K> {
    /// Shares of `size` permits each.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self {
            size,
            by_key: ByKey::default(),
        }
    }

    /// Waits until the share of a key has this many permits left. Requests of one key get theirs in their order. `None` if
    /// the share is smaller.
    pub async fn acquire(&self, key: K, permits: u32) -> Option<SharePermit<K>> {
        if usize::try_from(permits).is_ok_and(|permits| permits > self.size) {
            return None;
        }
        let waiting = self.waiting(key);
        let permit = Arc::clone(&waiting.semaphore).acquire_many_owned(permits).await;
        permit.ok().map(|permit| waiting.with(permit))
    }

    /// A permit from the share of a key. `None` if the share is used up.
    #[must_use]
    pub fn try_acquire(&self, key: K) -> Option<SharePermit<K>> {
        let waiting = self.waiting(key);
        let permit = Arc::clone(&waiting.semaphore).try_acquire_owned();
        permit.ok().map(|permit| waiting.with(permit))
    }

    fn waiting(&self, key: K) -> Waiting<K> {
        let new = || Arc::new(Semaphore::new(self.size));
        let semaphore = Arc::clone(self.by_key.lock().entry(key).or_insert_with(new));
        let place = Place {
            key,
            by_key: Arc::clone(&self.by_key),
        };
        Waiting { semaphore, place }
    }
}

/// A request for permits. Its fields are dropped in their order: the semaphore before the place in the map.
struct Waiting<K: Copy + Eq + Hash> {
    semaphore: Arc<Semaphore>,
    place: Place<K>,
}

impl<K: Copy + Eq + Hash> Waiting<K> {
    fn with(self, permit: OwnedSemaphorePermit) -> SharePermit<K> {
        SharePermit {
            _permit: permit,
            _place: self.place,
        }
    }
}

/// Permits from the share of a key. They return to it when this is dropped.
#[must_use = "the permits return when this is dropped"]
pub struct SharePermit<K: Copy + Eq + Hash> {
    // Dropped before the place, which looks whether anybody else uses the share.
    _permit: OwnedSemaphorePermit,
    _place: Place<K>,
}

/// The entry of a key, which is removed after its last use.
struct Place<K: Copy + Eq + Hash> {
    key: K,
    by_key: ByKey<K>,
}

impl<K: Copy + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut by_key = self.by_key.lock();
        // New users count as soon as they have the lock of the map.
        let is_unused = |semaphore: &Arc<Semaphore>| Arc::strong_count(semaphore) == 1;
        if by_key.get(&self.key).is_some_and(is_unused) {
            by_key.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_key_gets_its_share_and_others_get_theirs() {
        let shares = Shares::new(2);
        let first = shares.try_acquire("a").expect("a permit");
        let _second = shares.try_acquire("a").expect("a permit");
        assert!(shares.try_acquire("a").is_none(), "the share is used up");
        assert!(shares.try_acquire("b").is_some());
        let mut waiting = Box::pin(shares.acquire("a", 1));
        assert!(waiting.as_mut().now_or_never().is_none(), "it waits");
        drop(first);
        assert!(waiting.now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn more_than_a_share_is_refused_at_once() {
        let shares = Shares::new(2);
        assert!(shares.acquire("a", 3).await.is_none());
        assert!(shares.acquire("a", 2).await.is_some());
    }

    #[tokio::test]
    async fn a_key_without_permits_takes_no_memory() {
        let shares = Shares::new(1);
        let permit = shares.try_acquire("a").expect("a permit");
        assert!(shares.try_acquire("a").is_none());
        // A request that goes away while it waits.
        assert!(shares.acquire("a", 1).now_or_never().is_none());
        assert_eq!(shares.by_key.lock().len(), 1);
        drop(permit);
        assert!(shares.by_key.lock().is_empty());
    }
}

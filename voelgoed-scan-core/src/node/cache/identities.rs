//! What does this node keep of what the database knows about callers? Devices with their sessions, API keys, keyrings:
//! so that a scan's facts cost no query.
//!
//! Invariants: everything kept carries the epoch at which its reading began, and counts only if nothing of its
//! organization was forgotten since: a slow read can never bring back what a change has made stale. What memory says
//! admits nobody by itself: a database goes by it only while the organization's change counter stands where it stood.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;
use lru::LruCache;

use crate::model::{ApiKey, AuthenticatedDevice, OrganizationId, TokenHash};
use crate::token::Keyring;

/// The most callers and keyrings kept.
const MOST: NonZeroUsize = match NonZeroUsize::new(8192) {
    Some(most) => most,
    None => NonZeroUsize::MIN,
};

/// A moment in the life of this node's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Epoch(u64);

struct Kept<T> {
    organization: OrganizationId,
    since: Epoch,
    value: Arc<T>,
}

struct EpochLru<K, T>(LruCache<K, Kept<T>>);

impl<K: std::hash::Hash + Eq, T> EpochLru<K, T> {
    fn new() -> Self {
        // Not `LruCache::new(MOST)`, which would take the memory of a full one at once.
        Self(LruCache::unbounded())
    }

    fn get(&mut self, key: &K, forgotten: &HashMap<OrganizationId, Epoch>) -> Option<Arc<T>> {
        let kept = self.0.get(key)?;
        if forgotten
            .get(&kept.organization)
            .is_some_and(|&epoch| epoch > kept.since)
        {
            self.0.pop(key);
            return None;
        }
        Some(Arc::clone(&kept.value))
    }

    fn put(&mut self, key: K, organization: OrganizationId, since: Epoch, value: Arc<T>) {
        self.0.put(
            key,
            Kept {
                organization,
                since,
                value,
            },
        );
        if self.0.len() > MOST.get() {
            self.0.pop_lru();
        }
    }
}

struct Shelves {
    epoch: Epoch,
    forgotten: HashMap<OrganizationId, Epoch>,
    standings: EpochLru<TokenHash, AuthenticatedDevice>,
    api_keys: EpochLru<TokenHash, ApiKey>,
    keyrings: EpochLru<OrganizationId, Keyring>,
}

/// The memory of a node.
pub(crate) struct IdentityCache(Mutex<Shelves>);

impl IdentityCache {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Shelves {
            epoch: Epoch(1),
            forgotten: HashMap::default(),
            standings: EpochLru::new(),
            api_keys: EpochLru::new(),
            keyrings: EpochLru::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now: to be asked before the database is.
    pub(crate) fn epoch(&self) -> Epoch {
        self.lock().epoch
    }

    /// Forgets all that is kept of an organization.
    pub(crate) fn forget(&self, organization: OrganizationId) {
        let mut shelves = self.lock();
        shelves.epoch.0 += 1;
        let epoch = shelves.epoch;
        shelves.forgotten.insert(organization, epoch);
    }

    pub(crate) fn authenticated(&self, token: &TokenHash) -> Option<Arc<AuthenticatedDevice>> {
        let Shelves {
            standings, forgotten, ..
        } = &mut *self.lock();
        standings.get(token, forgotten)
    }

    pub(crate) fn keep_standing(
        &self,
        token: TokenHash,
        since: Epoch,
        authenticated: &Arc<AuthenticatedDevice>,
    ) {
        let organization = authenticated.device.organization_id;
        self.lock()
            .standings
            .put(token, organization, since, Arc::clone(authenticated));
    }

    pub(crate) fn api_key(&self, hash: &TokenHash) -> Option<Arc<ApiKey>> {
        let Shelves {
            api_keys, forgotten, ..
        } = &mut *self.lock();
        api_keys.get(hash, forgotten)
    }

    pub(crate) fn keep_api_key(&self, hash: TokenHash, since: Epoch, key: &Arc<ApiKey>) {
        self.lock()
            .api_keys
            .put(hash, key.organization_id, since, Arc::clone(key));
    }

    pub(crate) fn keyring(&self, organization: OrganizationId) -> Option<Arc<Keyring>> {
        let Shelves {
            keyrings, forgotten, ..
        } = &mut *self.lock();
        keyrings.get(&organization, forgotten)
    }

    pub(crate) fn keep_keyring(&self, organization: OrganizationId, since: Epoch, keyring: &Arc<Keyring>) {
        self.lock()
            .keyrings
            .put(organization, organization, since, Arc::clone(keyring));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApiKeyId, Name, Role, Timestamp};

    fn key(organization: OrganizationId) -> Arc<ApiKey> {
        let now = Timestamp::from_millis(0);
        let name = Name::new("Box office").expect("a name");
        Arc::new(ApiKey {
            id: ApiKeyId::generate(now),
            organization_id: organization,
            name,
            role: Role::Admin,
            inserted_at: now,
        })
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let memory = IdentityCache::new();
        let organization = OrganizationId::generate(Timestamp::from_millis(0));
        let began = memory.epoch();
        memory.forget(organization);
        memory.keep_api_key([1; 32], began, &key(organization));
        assert!(
            memory.api_key(&[1; 32]).is_none(),
            "the read began before the change"
        );
        memory.keep_api_key([1; 32], memory.epoch(), &key(organization));
        assert!(memory.api_key(&[1; 32]).is_some());
    }

    #[test]
    fn forgetting_one_organization_keeps_the_others() {
        let memory = IdentityCache::new();
        let [one, other] = [1, 2].map(|at| OrganizationId::generate(Timestamp::from_millis(at)));
        memory.keep_api_key([1; 32], memory.epoch(), &key(one));
        memory.keep_api_key([2; 32], memory.epoch(), &key(other));
        memory.forget(one);
        assert!(memory.api_key(&[1; 32]).is_none());
        assert!(memory.api_key(&[2; 32]).is_some());
    }
}

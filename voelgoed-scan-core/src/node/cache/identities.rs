//! Caches the identities of callers: devices with their sessions, API keys, keyrings and messages of
//! organizations, so that a scan needs no query for
//! them.
//!
//! Invariants:
//! - Every entry carries the epoch at which its read began. It counts only if its organization was not invalidated since,
//!   so that a slow read never restores a fact that has changed.
//! - A cached fact never admits by itself. The database uses it only while the organization's change counter has the value
//!   that it had when the fact was read.

use std::num::NonZeroUsize;
use std::sync::Arc;

use foldhash::HashMap;
use lru::LruCache;
use parking_lot::Mutex;

use crate::model::{ApiKey, AuthenticatedDevice, CustomMessages, OrganizationId, TokenHash};
use crate::token::Keyring;

/// The maximal number of entries of each kind.
const MAX_ENTRIES: NonZeroUsize = match NonZeroUsize::new(8192) {
    Some(entries) => entries,
    None => NonZeroUsize::MIN,
};

/// A point in the sequence of this cache's invalidations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct IdentityEpoch(u64);

struct LruEntry<T> {
    organization: OrganizationId,
    epoch: IdentityEpoch,
    value: Arc<T>,
}

/// An LRU cache whose entries expire when their organization is invalidated.
struct EpochLru<K, T>(LruCache<K, LruEntry<T>>);

impl<K: std::hash::Hash + Eq, T> EpochLru<K, T> {
    fn new() -> Self {
        // Not `LruCache::new(MAX_ENTRIES)`, which allocates the memory of a full cache at once.
        Self(LruCache::unbounded())
    }

    fn get(&mut self, key: &K, invalidated: &HashMap<OrganizationId, IdentityEpoch>) -> Option<Arc<T>> {
        let entry = self.0.get(key)?;
        if invalidated
            .get(&entry.organization)
            .is_some_and(|&epoch| epoch > entry.epoch)
        {
            self.0.pop(key);
            return None;
        }
        Some(Arc::clone(&entry.value))
    }

    fn put(&mut self, key: K, organization: OrganizationId, epoch: IdentityEpoch, value: Arc<T>) {
        self.0.put(
            key,
            LruEntry {
                organization,
                epoch,
                value,
            },
        );
        if self.0.len() > MAX_ENTRIES.get() {
            self.0.pop_lru();
        }
    }
}

struct Identities {
    epoch: IdentityEpoch,
    /// When each organization was last invalidated.
    invalidated: HashMap<OrganizationId, IdentityEpoch>,
    devices: EpochLru<TokenHash, AuthenticatedDevice>,
    api_keys: EpochLru<TokenHash, ApiKey>,
    keyrings: EpochLru<OrganizationId, Keyring>,
    messages: EpochLru<OrganizationId, CustomMessages>,
}

/// The identities that this node has read.
pub(crate) struct IdentityCache(Mutex<Identities>);

impl IdentityCache {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Identities {
            epoch: IdentityEpoch(1),
            invalidated: HashMap::default(),
            devices: EpochLru::new(),
            api_keys: EpochLru::new(),
            keyrings: EpochLru::new(),
            messages: EpochLru::new(),
        }))
    }

    /// The current epoch. Must be read before the database is.
    pub(crate) fn epoch(&self) -> IdentityEpoch {
        self.0.lock().epoch
    }

    /// Invalidates every entry of an organization.
    pub(crate) fn invalidate(&self, organization: OrganizationId) {
        let mut identities = self.0.lock();
        identities.epoch.0 += 1;
        let epoch = identities.epoch;
        identities.invalidated.insert(organization, epoch);
    }

    pub(crate) fn device(&self, token: &TokenHash) -> Option<Arc<AuthenticatedDevice>> {
        let Identities {
            devices, invalidated, ..
        } = &mut *self.0.lock();
        devices.get(token, invalidated)
    }

    /// Stores a device that a read which began at `epoch` found.
    pub(crate) fn put_device(
        &self,
        token: TokenHash,
        epoch: IdentityEpoch,
        authenticated: &Arc<AuthenticatedDevice>,
    ) {
        let organization = authenticated.device.organization_id;
        self.0
            .lock()
            .devices
            .put(token, organization, epoch, Arc::clone(authenticated));
    }

    pub(crate) fn api_key(&self, hash: &TokenHash) -> Option<Arc<ApiKey>> {
        let Identities {
            api_keys,
            invalidated,
            ..
        } = &mut *self.0.lock();
        api_keys.get(hash, invalidated)
    }

    /// Stores an API key that a read which began at `epoch` found.
    pub(crate) fn put_api_key(&self, hash: TokenHash, epoch: IdentityEpoch, key: &Arc<ApiKey>) {
        self.0
            .lock()
            .api_keys
            .put(hash, key.organization_id, epoch, Arc::clone(key));
    }

    pub(crate) fn keyring(&self, organization: OrganizationId) -> Option<Arc<Keyring>> {
        let Identities {
            keyrings,
            invalidated,
            ..
        } = &mut *self.0.lock();
        keyrings.get(&organization, invalidated)
    }

    /// Stores a keyring that was derived from a read which began at `epoch`.
    pub(crate) fn put_keyring(
        &self,
        organization: OrganizationId,
        epoch: IdentityEpoch,
        keyring: &Arc<Keyring>,
    ) {
        self.0
            .lock()
            .keyrings
            .put(organization, organization, epoch, Arc::clone(keyring));
    }

    pub(crate) fn messages(&self, organization: OrganizationId) -> Option<Arc<CustomMessages>> {
        let Identities {
            messages,
            invalidated,
            ..
        } = &mut *self.0.lock();
        messages.get(&organization, invalidated)
    }

    /// Stores the messages of an organization that a read which began at `epoch` found.
    pub(crate) fn put_messages(
        &self,
        organization: OrganizationId,
        epoch: IdentityEpoch,
        messages: &Arc<CustomMessages>,
    ) {
        self.0
            .lock()
            .messages
            .put(organization, organization, epoch, Arc::clone(messages));
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
    fn a_read_that_began_before_an_invalidation_does_not_count_after_it() {
        let cache = IdentityCache::new();
        let organization = OrganizationId::generate(Timestamp::from_millis(0));
        let read_began = cache.epoch();
        cache.invalidate(organization);
        cache.put_api_key([1; 32], read_began, &key(organization));
        assert!(
            cache.api_key(&[1; 32]).is_none(),
            "the read began before the invalidation"
        );
        cache.put_api_key([1; 32], cache.epoch(), &key(organization));
        assert!(cache.api_key(&[1; 32]).is_some());
    }

    #[test]
    fn an_invalidation_keeps_the_entries_of_other_organizations() {
        let cache = IdentityCache::new();
        let [changed, other] = [1, 2].map(|at| OrganizationId::generate(Timestamp::from_millis(at)));
        cache.put_api_key([1; 32], cache.epoch(), &key(changed));
        cache.put_api_key([2; 32], cache.epoch(), &key(other));
        cache.invalidate(changed);
        assert!(cache.api_key(&[1; 32]).is_none());
        assert!(cache.api_key(&[2; 32]).is_some());
    }
}

//! The administration of organizations: events, gates, devices, tickets and keys. A change takes effect on this node before
//! it is answered.
//!
//! Invariants:
//! - A change is durable first, then it invalidates the caches, then it is answered.
//! - Secrets are generated here, returned once, and stored nowhere.

mod api_keys;
mod devices;
mod enrollment;
mod events;
mod manifests;
mod organizations;
mod retention;
mod signing_keys;
mod tickets;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::node::cache::identities::IdentityCache;
use crate::node::cache::invalidation::Invalidator;
use crate::node::keyrings::Keyrings;
use crate::node::manifest_cache::ManifestCache;
use crate::node::write_queue::WriteQueue;
use crate::store::Store;

/// Administers organizations; cheap to clone.
#[derive(Clone)]
pub struct Admin {
    store: Arc<dyn Store>,
    keyrings: Keyrings,
    identity_cache: Arc<IdentityCache>,
    invalidator: Invalidator,
    manifest_cache: Arc<ManifestCache>,
    write_queue: WriteQueue,
    /// Starts the deletion of the rows of deleted events.
    purge_wake: Arc<Notify>,
}

impl Admin {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        keyrings: Keyrings,
        identity_cache: Arc<IdentityCache>,
        invalidator: Invalidator,
        manifest_cache: ManifestCache,
        write_queue: WriteQueue,
        purge_wake: Arc<Notify>,
    ) -> Self {
        Self {
            store,
            keyrings,
            identity_cache,
            invalidator,
            manifest_cache: Arc::new(manifest_cache),
            write_queue,
            purge_wake,
        }
    }
}

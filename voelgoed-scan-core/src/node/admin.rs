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
mod signing_keys;
mod tickets;
mod webhooks;

use std::sync::Arc;

use crate::node::cache::identities::IdentityCache;
use crate::node::cache::invalidation::Invalidator;
use crate::node::keyrings::Keyrings;
use crate::node::manifest_cache::ManifestCache;
use crate::node::webhooks::Webhooks;
use crate::node::write_queue::BulkWrites;
use crate::store::Store;

/// Administers organizations; cheap to clone.
#[derive(Clone)]
pub struct Admin {
    store: Arc<dyn Store>,
    keyrings: Keyrings,
    identity_cache: Arc<IdentityCache>,
    invalidator: Invalidator,
    manifest_cache: Arc<ManifestCache>,
    bulk_writes: BulkWrites,
    webhooks: Arc<Webhooks>,
}

impl Admin {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        keyrings: Keyrings,
        identity_cache: Arc<IdentityCache>,
        invalidator: Invalidator,
        manifest_cache: ManifestCache,
        bulk_writes: BulkWrites,
        webhooks: Arc<Webhooks>,
    ) -> Self {
        Self {
            store,
            keyrings,
            identity_cache,
            invalidator,
            manifest_cache: Arc::new(manifest_cache),
            bulk_writes,
            webhooks,
        }
    }
}

//! The administration of organizations: events, gates, devices, tickets and keys. A change takes effect on this node before
//! it is answered.
//!
//! Invariants:
//! - A change is durable first, then it invalidates the caches, then it is answered.
//! - Secrets are generated here, returned once, and stored nowhere.
//! - Every call that changes something takes an [`AuditContext`], and the transaction of the change writes the entry of the audit
//!   log. A call that changes nothing leaves no entry.

mod api_keys;
mod devices;
mod enrollment;
mod events;
mod import;
mod manifests;
mod messages;
mod organizations;
mod retention;
mod signals;
mod signing_keys;
mod tickets;
mod webhooks;

pub use import::TicketImport;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::audit::{Audit, AuditSigner};
use crate::model::{AuditContext, Timestamp};
use crate::node::cache::identities::IdentityCache;
use crate::node::cache::invalidation::Invalidator;
use crate::node::keyrings::Keyrings;
use crate::node::manifest_cache::ManifestCache;
use crate::node::webhooks::Webhooks;
use crate::node::write_queue::WriteQueue;
use crate::store::Store;

/// Administers organizations; cheap to clone.
#[derive(Clone)]
pub struct Admin {
    pub(super) store: Arc<dyn Store>,
    pub(super) keyrings: Keyrings,
    pub(super) identity_cache: Arc<IdentityCache>,
    pub(super) invalidator: Invalidator,
    pub(super) manifest_cache: Arc<ManifestCache>,
    pub(super) write_queue: WriteQueue,
    /// Starts the deletion of the rows of deleted events.
    pub(super) purge_wake: Arc<Notify>,
    pub(super) webhooks: Arc<Webhooks>,
}

impl Admin {
    /// What a transaction needs to write the entry about a change that somebody makes now.
    fn audit<'a>(&'a self, by: &'a AuditContext, now: Timestamp) -> Audit<'a> {
        Audit {
            context: by,
            at: now,
            signer: AuditSigner::new(self.keyrings.master()),
        }
    }
}

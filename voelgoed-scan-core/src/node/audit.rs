//! Enters overrides and undos in the audit log, and clears old addresses.
//!
//! Scans never write the log. The transaction of an override or an undo keeps a row, and one node enters these rows. The
//! transaction that enters one deletes it, so each is entered once, whichever node does it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::audit::AuditSigner;
use crate::model::OrganizationId;
use crate::node::Feed;
use crate::node::background::OneNodeTask;
use crate::node::keyrings::Keyrings;
use crate::node::write_queue::{BulkKind, BulkWrites};
use crate::store::{Store, StoreError};

/// The pause between two rounds. An override is entered within 5 s.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many acts one transaction enters. It holds the head of the log meanwhile.
const ACTS_PER_WRITE: u16 = 50;

/// How long addresses are kept.
const ADDRESS_LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// After how many rounds old addresses are cleared: once an hour.
const ROUNDS_PER_CLEARING: u32 = 3600;

/// The task of the audit log.
#[derive(Clone)]
pub(crate) struct AuditTask {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keyrings: Keyrings,
    pub(crate) bulk_writes: BulkWrites,
}

impl AuditTask {
    /// Starts the task, which ends with the feed.
    pub(crate) fn start(self, node: Uuid, feed: Arc<Feed>) {
        let one_node = OneNodeTask {
            name: "audit",
            interval: INTERVAL,
            wake: Arc::new(Notify::new()),
            node,
            store: Arc::clone(&self.store),
            feed,
        };
        let rounds = Arc::new(Mutex::new(0_u32));
        one_node.start(move || {
            let (task, rounds) = (self.clone(), Arc::clone(&rounds));
            async move {
                let entered = task.enter_acts().await;
                let is_due = {
                    let mut rounds = rounds.lock();
                    let is_due = rounds.is_multiple_of(ROUNDS_PER_CLEARING);
                    *rounds = rounds.wrapping_add(1);
                    is_due
                };
                if is_due {
                    return entered.and(task.clear_addresses().await);
                }
                entered
            }
        });
    }

    /// Enters what is pending. An organization whose log cannot be written does not keep the others waiting.
    async fn enter_acts(&self) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for organization in self.store.organizations_with_audit_acts().await? {
            let entered = self.enter_acts_of(organization).await;
            outcome = outcome.and(entered);
        }
        outcome
    }

    async fn enter_acts_of(&self, organization: OrganizationId) -> Result<(), StoreError> {
        loop {
            let permit = self
                .bulk_writes
                .start_chunk(organization, BulkKind::Background)
                .await;
            let signer = AuditSigner::new(self.keyrings.master());
            let entered = self
                .store
                .enter_audit_acts(organization, ACTS_PER_WRITE, signer)
                .await?;
            permit.complete(entered.max(1));
            if entered < usize::from(ACTS_PER_WRITE) {
                return Ok(());
            }
        }
    }

    async fn clear_addresses(&self) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for organization in self.store.organizations().await? {
            outcome = outcome.and(self.clear_addresses_of(organization).await);
        }
        outcome
    }

    async fn clear_addresses_of(&self, organization: OrganizationId) -> Result<(), StoreError> {
        loop {
            let permit = self
                .bulk_writes
                .start_chunk(organization, BulkKind::Background)
                .await;
            let cleared = self
                .store
                .clear_audit_addresses(organization, ADDRESS_LIFETIME)
                .await?;
            drop(permit);
            if cleared == 0 {
                return Ok(());
            }
        }
    }
}

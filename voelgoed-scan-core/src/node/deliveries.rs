//! The webhook deliveries of this node: which webhooks have some that are due, leases on them, and their results. The server
//! sends them.
//!
//! Invariants:
//! - Writes wait behind the scans of their organization, as all bulk writes do.
//! - A secret is decrypted here for the time of a request, and stored nowhere.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::model::WebhookSecret;
use crate::node::keyrings::Keyrings;
use crate::node::write_queue::{BulkKind, BulkWrites};
use crate::store::{ClaimedDelivery, DeliveryTurn, SettledDelivery, Store, StoreError, WebhookKey};
use crate::token::SealedSecret;

/// How long a node has for the attempt of a delivery and for writing its result. After that another node sends it.
const LEASE_DURATION: Duration = Duration::from_secs(45);

/// How many webhooks are looked up at a time.
const MAX_DUE_WEBHOOKS: u16 = 1000;

/// Deliveries that this node may send now.
#[derive(Debug)]
pub struct LeasedDeliveries {
    /// Where they are sent.
    pub url: String,
    /// The secrets that sign them, the present one first.
    pub secrets: Vec<WebhookSecret>,
    /// The deliveries.
    pub deliveries: Vec<ClaimedDelivery>,
}

/// The deliveries of webhooks.
pub struct Deliveries {
    store: Arc<dyn Store>,
    keyrings: Keyrings,
    bulk_writes: BulkWrites,
    /// This node, by an id of this start.
    node: Uuid,
}

impl Deliveries {
    pub(crate) fn new(store: Arc<dyn Store>, keyrings: Keyrings, bulk_writes: BulkWrites) -> Self {
        Self {
            store,
            keyrings,
            bulk_writes,
            node: Uuid::new_v4(),
        }
    }

    /// Webhooks with deliveries that are due.
    pub async fn due_webhooks(&self) -> Result<Vec<WebhookKey>, StoreError> {
        self.store.due_webhooks(MAX_DUE_WEBHOOKS).await
    }

    /// How many deliveries are pending, of all organizations.
    pub async fn pending(&self) -> Result<u64, StoreError> {
        self.store.all_pending_deliveries().await
    }

    /// Writes how attempts ended, and leases the next deliveries of the webhook, at most `limit`. `None` if there is nothing
    /// to send.
    ///
    /// A lease lasts for an attempt of 15 s with time to spare.
    pub async fn take_turn(
        &self,
        webhook: WebhookKey,
        settled: &[SettledDelivery],
        limit: u16,
    ) -> Result<Option<LeasedDeliveries>, StoreError> {
        let organization = webhook.organization_id;
        let permit = self
            .bulk_writes
            .start_chunk(organization, BulkKind::Background)
            .await;
        let turn = DeliveryTurn {
            node: self.node,
            settled,
            limit,
            lease: LEASE_DURATION,
        };
        let claimed = self.store.take_delivery_turn(webhook, turn).await?;
        drop(permit);
        let Some(claimed) = claimed.filter(|claimed| !claimed.deliveries.is_empty()) else {
            return Ok(None);
        };
        let secrets = [Some(claimed.secret), claimed.former_secret];
        let open = |sealed| {
            SealedSecret::from(sealed)
                .open(self.keyrings.master(), organization, webhook.webhook_id)
                .map_err(|error| StoreError::failed(error.to_string()))
        };
        Ok(Some(LeasedDeliveries {
            url: claimed.url,
            secrets: secrets
                .into_iter()
                .flatten()
                .map(open)
                .collect::<Result<_, _>>()?,
            deliveries: claimed.deliveries,
        }))
    }
}

//! The resources that requests address.
//!
//! Invariants: a resource of another organization, an unknown id and a text that is not an id give the same 404. A
//! caller without permission gets 403 only if the resource exists.

use voelgoed_scan_core::model::{
    ApiKeyId, DeliveryId, DeviceId, DeviceScope, EventId, GateId, KeyFormat, KeyId, OrganizationId, ScanId,
    SessionId, TicketCode, WebhookId,
};
use voelgoed_scan_core::store::{PageRequest, Store, StoreError};

/// The resource that a request addresses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resource {
    /// An event.
    Event(EventId),
    /// A gate of an event.
    Gate(EventId, GateId),
    /// A ticket of an event.
    Ticket(EventId, TicketCode),
    /// A device.
    Device(DeviceId),
    /// A session.
    Session(SessionId),
    /// A scan.
    Scan(ScanId),
    /// A scan that is recorded or in quarantine.
    ReceivedScan(ScanId),
    /// A signing key.
    SigningKey(KeyFormat, KeyId),
    /// An API key.
    ApiKey(ApiKeyId),
    /// A webhook.
    Webhook(WebhookId),
    /// A delivery of a webhook.
    WebhookDelivery(WebhookId, DeliveryId),
}

impl Resource {
    /// Whether a device with this scope may work at the resource. Only events and gates are subject to a scope.
    pub(crate) fn is_within(self, scope: &DeviceScope) -> bool {
        match self {
            Self::Event(event) => scope.admits_event(event),
            Self::Gate(event, gate) => scope.admits_gate(event, gate),
            Self::Ticket(..)
            | Self::Device(_)
            | Self::Session(_)
            | Self::Scan(_)
            | Self::ReceivedScan(_)
            | Self::SigningKey(..)
            | Self::ApiKey(_)
            | Self::Webhook(_)
            | Self::WebhookDelivery(..) => true,
        }
    }

    /// Whether the organization has this resource.
    pub(crate) async fn exists(
        self,
        store: &dyn Store,
        organization: OrganizationId,
    ) -> Result<bool, StoreError> {
        Ok(match self {
            Self::Event(id) => store.event(organization, id).await?.is_some(),
            Self::Gate(event, id) => store.gate(organization, event, id).await?.is_some(),
            Self::Ticket(event, code) => store.ticket(organization, event, code).await?.is_some(),
            Self::Device(id) => store.device(organization, id).await?.is_some(),
            Self::Session(id) => store.session(organization, id).await?.is_some(),
            Self::Scan(id) => store.find_scan_for_retry(organization, id).await?.is_some(),
            Self::ReceivedScan(id) => {
                store.find_scan_for_retry(organization, id).await?.is_some()
                    || store.is_quarantined(organization, id).await?
            }
            Self::SigningKey(format, kid) => store
                .signing_keys(organization)
                .await?
                .iter()
                .any(|key| key.format == format && key.kid == kid),
            Self::ApiKey(id) => has_api_key(store, organization, id).await?,
            Self::Webhook(id) => store.webhook(organization, id).await?.is_some(),
            Self::WebhookDelivery(webhook, id) => {
                store.webhook(organization, webhook).await?.is_some()
                    && store.webhook_delivery(organization, webhook, id).await?.is_some()
            }
        })
    }
}

async fn has_api_key(
    store: &dyn Store,
    organization: OrganizationId,
    id: ApiKeyId,
) -> Result<bool, StoreError> {
    let mut page = PageRequest {
        limit: 500,
        after: None,
    };
    loop {
        let keys = store.api_keys(organization, &page).await?;
        if keys.data.iter().any(|key| key.id == id) {
            return Ok(true);
        }
        if keys.next.is_none() {
            return Ok(false);
        }
        page.after = keys.next;
    }
}

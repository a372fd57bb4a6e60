//! Webhooks: addresses of other systems that are told what happens at the gates, and what is sent to them.

mod secret;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) mod told;
mod types;
mod url;

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{DeliveryId, EventId, FieldUpdate, Timestamp, WebhookDescription, WebhookId};

pub use secret::{InvalidWebhookSecret, WebhookSecret};
pub use types::{InvalidWebhookTypes, WebhookType, WebhookTypes};
pub use url::{InvalidWebhookUrl, WebhookHost, WebhookUrl};

string_enum! {
    /// Whether a webhook is told anything.
    pub enum WebhookStatus {
        /// It is told what it wants.
        Active = "active",
        /// It is told nothing.
        Disabled = "disabled",
    }

    /// Why the server disabled a webhook.
    pub enum DisabledReason {
        /// Its receiver answered 410.
        Gone = "gone",
        /// Every attempt of the last five days failed.
        Failing = "failing",
        /// Too many deliveries were waiting.
        Backlog = "backlog",
    }

    /// The status of a delivery.
    pub enum DeliveryStatus {
        /// It is to be sent, for the first time or again.
        Pending = "pending",
        /// The receiver has it.
        Delivered = "delivered",
        /// It is not sent any more.
        Failed = "failed",
    }
}

/// A webhook, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Webhook {
    /// The webhook.
    pub id: WebhookId,
    /// Where deliveries are sent.
    pub url: WebhookUrl,
    /// What it is told.
    pub types: WebhookTypes,
    /// The events that it is told of; null is all.
    pub event_ids: Option<Vec<EventId>>,
    /// Whether it gets ticket codes, which are bearer secrets where an event admits unsigned codes.
    pub codes: bool,
    /// What it is for.
    pub description: Option<WebhookDescription>,
    /// Whether it is told anything.
    pub status: WebhookStatus,
    /// Why the server disabled it; null where a person did.
    pub disabled_reason: Option<DisabledReason>,
    /// When it was created.
    pub inserted_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// Whether it is told of a type at an event. What belongs to no event is told where no events are named.
    #[must_use]
    pub fn wants(&self, kind: WebhookType, event: Option<EventId>) -> bool {
        self.status == WebhookStatus::Active && self.types.include(kind) && self.is_of_event(event)
    }

    /// Changes it as a person asks for.
    pub fn apply(&mut self, patch: &WebhookPatch, now: Timestamp) {
        if let Some(url) = &patch.url {
            self.url = url.clone();
        }
        if let Some(types) = &patch.types {
            self.types = types.clone();
        }
        self.event_ids = patch.event_ids.clone().apply(self.event_ids.take());
        self.description = patch.description.clone().apply(self.description.take());
        if let Some(status) = patch.status
            && status != self.status
        {
            self.status = status;
            self.disabled_reason = None;
        }
        self.updated_at = now;
    }

    fn is_of_event(&self, event: Option<EventId>) -> bool {
        let Some(events) = &self.event_ids else {
            return true;
        };
        event.is_some_and(|event| events.contains(&event))
    }
}

/// The request of `POST /api/v1/webhooks`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookCreate {
    /// Where deliveries are sent: `https`, without credentials.
    pub url: WebhookUrl,
    /// What it is told: types, or groups of types such as `scan.*`.
    pub types: WebhookTypes,
    /// The events that it is told of; null is all, and an empty list is none.
    #[serde(default)]
    pub event_ids: Option<Vec<EventId>>,
    /// Whether it gets ticket codes, which are bearer secrets where an event admits unsigned codes.
    #[serde(default)]
    pub codes: bool,
    /// What it is for.
    #[serde(default)]
    pub description: Option<WebhookDescription>,
    /// The secret that signs its deliveries. The server makes one where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<WebhookSecret>,
}

/// The answer of `POST /api/v1/webhooks`: the webhook and its secret, which is shown only here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreatedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// The secret that signs its deliveries.
    pub secret: WebhookSecret,
}

/// The answer of `POST /api/v1/webhooks/{id}/rotate`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RotatedSecret {
    /// The new secret.
    pub secret: WebhookSecret,
}

/// The request of `PATCH /api/v1/webhooks/{id}`. Absent fields stay unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookPatch {
    /// Where deliveries are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<WebhookUrl>,
    /// What it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<WebhookTypes>,
    /// The events that it is told of; null is all, and an empty list is none.
    #[serde(default, skip_serializing_if = "FieldUpdate::is_keep")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<EventId>>"))]
    pub event_ids: FieldUpdate<Vec<EventId>>,
    /// What it is for; null clears it.
    #[serde(default, skip_serializing_if = "FieldUpdate::is_keep")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<WebhookDescription>"))]
    pub description: FieldUpdate<WebhookDescription>,
    /// Whether it is told anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<WebhookStatus>,
}

/// What was sent to a webhook, or is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookDelivery {
    /// The delivery: the `webhook-id` of all its attempts.
    pub id: DeliveryId,
    /// What it tells.
    #[serde(rename = "type")]
    pub kind: WebhookType,
    /// Its status.
    pub status: DeliveryStatus,
    /// How often it was sent.
    pub attempts: u32,
    /// When it is sent next; null unless pending.
    pub next_attempt_at: Option<Timestamp>,
    /// The HTTP status of the last attempt; null if there was no answer.
    pub last_status: Option<u16>,
    /// Why the last attempt failed; null if it succeeded.
    pub last_error: Option<String>,
    /// When it was created.
    pub inserted_at: Timestamp,
    /// When the receiver took it.
    pub delivered_at: Option<Timestamp>,
}

/// The answer of `POST /api/v1/webhooks/{id}/test` and of a redelivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AcceptedDelivery {
    /// The delivery: the `webhook-id` of all its attempts.
    pub delivery_id: DeliveryId,
}

#[cfg(test)]
mod tests;

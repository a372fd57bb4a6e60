//! What entries of the audit log show of changes of the administration.
//!
//! Invariant: each kind of subject lists the fields that it shows. Secrets, personal data and free texts (names,
//! descriptions, codes of gates, ticket classes, settings of an app) are in no list.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use crate::audit::AuditedChange;
use crate::model::{
    ApiKey, AuditAction, AuditChanges, AuditSubject, AuditSubjectKind, CustomMessages, DeliveryId, Device,
    DeviceId, Event, EventId, Gate, KeyStatus, OrganizationId, SignalSettings, SigningKey, TicketFacts,
    TicketStatus, Timestamp, Webhook, WebhookId,
};
use crate::store::ImportCounts;

const EVENT_FIELDS: &[&str] = &[
    "status",
    "starts_at",
    "ends_at",
    "doors_open_at",
    "doors_close_at",
    "rescheduled_at",
    "time_zone",
    "day_starts_at",
    "capacity",
    "reentry",
    "allow_unsigned",
    "allow_media",
    "stale_manifest",
    "manifest_max_age_s",
];

const GATE_FIELDS: &[&str] = &["status", "capacity"];

const DEVICE_FIELDS: &[&str] = &[
    "device_id",
    "device_type",
    "status",
    "can_override",
    "can_search",
    "event_ids",
    "gate_ids",
];

const WEBHOOK_FIELDS: &[&str] = &["types", "event_ids", "codes", "status"];

/// A created or replaced event. `None` if nothing changed.
pub(super) fn event_put(before: Option<&Event>, after: &Event) -> Option<AuditedChange> {
    let is_same = before.is_some_and(|before| {
        let before = Event {
            updated_at: after.updated_at,
            ..before.clone()
        };
        before == *after
    });
    (!is_same).then(|| AuditedChange {
        action: match before {
            None => AuditAction::EventCreate,
            Some(_) => AuditAction::EventUpdate,
        },
        subject: AuditSubject::new(AuditSubjectKind::Event, after.id),
        changes: AuditChanges::between(before, Some(after), EVENT_FIELDS),
    })
}

/// A change of an event that has no fields to show.
pub(super) fn event_change(action: AuditAction, event: EventId) -> AuditedChange {
    AuditedChange {
        action,
        subject: AuditSubject::new(AuditSubjectKind::Event, event),
        changes: AuditChanges::new(),
    }
}

/// A created or replaced gate. `None` if nothing changed. The entry always names the event, because the id of a gate may serve
/// several events.
pub(super) fn gate_put(before: Option<&Gate>, after: &Gate) -> Option<AuditedChange> {
    let is_same = before.is_some_and(|before| {
        let before = Gate {
            updated_at: after.updated_at,
            ..before.clone()
        };
        before == *after
    });
    (!is_same).then(|| AuditedChange {
        action: match before {
            None => AuditAction::GateCreate,
            Some(_) => AuditAction::GateUpdate,
        },
        subject: AuditSubject::new(AuditSubjectKind::Gate, after.id),
        changes: AuditChanges::between(before, Some(after), GATE_FIELDS).with_context(
            "event_id",
            before.map(|gate| gate.event_id.to_string()),
            after.event_id.to_string(),
        ),
    })
}

/// What an entry shows of a device.
fn device_fields(device: &Device) -> Value {
    json!({
        "device_id": device.device_id,
        "device_type": device.device_type,
        "status": device.status,
        "can_override": device.settings.can_override,
        "can_search": device.settings.can_search,
        "event_ids": device.scope.event_ids,
        "gate_ids": device.scope.gate_ids,
    })
}

/// A registered device.
pub(super) fn device_created(device: &Device) -> AuditedChange {
    AuditedChange {
        changes: AuditChanges::between(None, Some(&device_fields(device)), DEVICE_FIELDS),
        ..device_change(AuditAction::DeviceCreate, device.id)
    }
}

/// A changed device. `None` if nothing changed.
pub(super) fn device_patched(before: &Device, after: &Device) -> Option<AuditedChange> {
    let former = Device {
        updated_at: after.updated_at,
        ..before.clone()
    };
    let (before, now) = (device_fields(before), device_fields(after));
    (former != *after).then(|| AuditedChange {
        changes: AuditChanges::between(Some(&before), Some(&now), DEVICE_FIELDS),
        ..device_change(AuditAction::DeviceUpdate, after.id)
    })
}

/// A change of a device that has no fields to show.
pub(super) fn device_change(action: AuditAction, device: DeviceId) -> AuditedChange {
    AuditedChange {
        action,
        subject: AuditSubject::new(AuditSubjectKind::Device, device),
        changes: AuditChanges::new(),
    }
}

/// A new enrolment code of a device.
pub(super) fn enrollment_begun(device: DeviceId, expires_at: Timestamp) -> AuditedChange {
    AuditedChange {
        changes: AuditChanges::new().with("expires_at", Value::Null, json!(expires_at)),
        ..device_change(AuditAction::DeviceBeginEnrollment, device)
    }
}

/// A created or deleted API key.
pub(super) fn api_key_change<T: Serialize>(
    action: AuditAction,
    key: impl std::fmt::Display,
    before: Option<&T>,
    after: Option<&T>,
) -> AuditedChange {
    AuditedChange {
        action,
        subject: AuditSubject::new(AuditSubjectKind::ApiKey, key),
        changes: AuditChanges::between(before, after, &["role"]),
    }
}

/// A created API key.
pub(super) fn api_key_created(key: &ApiKey) -> AuditedChange {
    api_key_change(AuditAction::ApiKeyCreate, key.id, None, Some(key))
}

/// A signing key with its status before, if it is not new.
pub(super) fn signing_key_change(before: Option<KeyStatus>, key: &SigningKey) -> AuditedChange {
    AuditedChange {
        action: match before {
            None => AuditAction::SigningKeyCreate,
            Some(_) => AuditAction::SigningKeyUpdate,
        },
        subject: AuditSubject::new(
            AuditSubjectKind::SigningKey,
            format_args!("{}/{}", key.format, key.kid),
        ),
        changes: AuditChanges::new().with("status", before.map(KeyStatus::as_str), key.status.as_str()),
    }
}

/// A changed status of a ticket.
pub(super) fn ticket_patched(before: TicketStatus, facts: &TicketFacts) -> AuditedChange {
    let ticket = &facts.ticket;
    AuditedChange {
        action: AuditAction::TicketUpdate,
        subject: AuditSubject::new(AuditSubjectKind::Ticket, ticket.id),
        changes: AuditChanges::new().with("status", before.as_str(), ticket.status.as_str()),
    }
}

/// The end of an import of tickets of an event.
pub(super) fn import_ended(event: EventId, counts: ImportCounts) -> AuditedChange {
    let ImportCounts {
        inserted,
        updated,
        unchanged,
        rejected,
    } = counts;
    AuditedChange {
        action: AuditAction::TicketImportEnd,
        subject: AuditSubject::new(AuditSubjectKind::Event, event),
        changes: AuditChanges::new()
            .with("inserted", Value::Null, inserted)
            .with("updated", Value::Null, updated)
            .with("unchanged", Value::Null, unchanged)
            .with("rejected", Value::Null, rejected),
    }
}

/// A change of a webhook that has no fields to show.
pub(super) fn webhook_change(action: AuditAction, webhook: WebhookId) -> AuditedChange {
    AuditedChange {
        action,
        subject: AuditSubject::new(AuditSubjectKind::Webhook, webhook),
        changes: AuditChanges::new(),
    }
}

/// A created webhook.
pub(super) fn webhook_created(webhook: &Webhook) -> AuditedChange {
    AuditedChange {
        changes: AuditChanges::between(None, Some(webhook), WEBHOOK_FIELDS),
        ..webhook_change(AuditAction::WebhookCreate, webhook.id)
    }
}

/// A changed webhook. `None` if nothing changed.
pub(super) fn webhook_patched(before: &Webhook, after: &Webhook) -> Option<AuditedChange> {
    let former = Webhook {
        updated_at: after.updated_at,
        ..before.clone()
    };
    (former != *after).then(|| AuditedChange {
        changes: AuditChanges::between(Some(before), Some(after), WEBHOOK_FIELDS),
        ..webhook_change(AuditAction::WebhookUpdate, after.id)
    })
}

/// A delivery that is sent again.
pub(super) fn delivery_repeated(webhook: WebhookId, delivery: DeliveryId) -> AuditedChange {
    AuditedChange {
        changes: AuditChanges::new().with("delivery_id", Value::Null, delivery.to_string()),
        ..webhook_change(AuditAction::WebhookRedeliver, webhook)
    }
}

/// Replaced messages of stewards. The entry names each text that changed by its language and reason, and whether the
/// organization had one of its own, but not the texts. `None` if nothing changed.
pub(super) fn messages_changed(
    organization: OrganizationId,
    before: &CustomMessages,
    after: &CustomMessages,
) -> Option<AuditedChange> {
    let named = before.iter().chain(after.iter());
    let changed: BTreeSet<_> = named
        .map(|(language, reason, _)| (language, reason))
        .filter(|(language, reason)| before.custom(*language, *reason) != after.custom(*language, *reason))
        .collect();
    let is_custom = |messages: &CustomMessages, language, reason| messages.custom(language, reason).is_some();
    (!changed.is_empty()).then(|| AuditedChange {
        action: AuditAction::OrganizationUpdate,
        subject: AuditSubject::new(AuditSubjectKind::Organization, organization),
        changes: changed
            .into_iter()
            .fold(AuditChanges::new(), |changes, (language, reason)| {
                changes.with_context(
                    &format!("messages.{language}.{reason}"),
                    is_custom(before, language, reason),
                    is_custom(after, language, reason),
                )
            }),
    })
}

/// Changed rules of signals. `None` if nothing changed.
pub(super) fn signal_settings_changed(
    organization: OrganizationId,
    before: &SignalSettings,
    after: &SignalSettings,
) -> Option<AuditedChange> {
    (before != after).then(|| AuditedChange {
        action: AuditAction::OrganizationUpdate,
        subject: AuditSubject::new(AuditSubjectKind::Organization, organization),
        changes: AuditChanges::new().with("signals", json!(before), json!(after)),
    })
}

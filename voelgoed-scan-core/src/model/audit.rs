//! The audit log: who changed what, as a chain of signed entries.
//!
//! An entry names fields with their values before and after. Secrets, personal data and texts that people write freely
//! (names, descriptions, URLs, reasons) are never among them: every entry lists the fields that it may show.

mod words;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::model::bytes::fixed_bytes;
use crate::model::{ApiKey, ApiKeyId, Device, DeviceId, Timestamp, hex};

pub use words::{AuditAction, AuditActorKind, AuditSubjectKind};

fixed_bytes! {
    /// The Ed25519 signature of an entry. Its text is base64url without padding.
    AuditSignature: 64, 86, "AQgw";
}

/// Who made a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditActor {
    /// The kind of the actor.
    pub kind: AuditActorKind,
    /// The id of the API key or of the device; null for the others.
    pub id: Option<Uuid>,
    /// The name that it had at the time; null for the others.
    pub name: Option<String>,
}

impl AuditActor {
    const fn nameless(kind: AuditActorKind) -> Self {
        Self {
            kind,
            id: None,
            name: None,
        }
    }

    /// A device with its name, where that is known.
    #[must_use]
    pub fn device(id: DeviceId, name: Option<&str>) -> Self {
        Self {
            kind: AuditActorKind::Device,
            id: Some(*id.as_uuid()),
            name: name.map(str::to_owned),
        }
    }

    /// An API key with its name.
    #[must_use]
    pub fn api_key(id: ApiKeyId, name: impl Into<String>) -> Self {
        Self {
            kind: AuditActorKind::ApiKey,
            id: Some(*id.as_uuid()),
            name: Some(name.into()),
        }
    }
}

/// What a change was made to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditSubject {
    /// The kind of the subject.
    pub kind: AuditSubjectKind,
    /// Its id.
    pub id: String,
}

impl AuditSubject {
    /// A subject with its id.
    #[must_use]
    pub fn new(kind: AuditSubjectKind, id: impl std::fmt::Display) -> Self {
        Self {
            kind,
            id: id.to_string(),
        }
    }
}

/// Who makes a change, and by which call. The server makes it of the request; every call that changes something takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditContext {
    /// Who makes the change.
    pub actor: AuditActor,
    /// The address of the client.
    pub address: Option<IpAddr>,
    /// The id of the request.
    pub request_id: Option<String>,
}

impl AuditContext {
    /// The command line, which writes to the database itself.
    #[must_use]
    pub const fn cli() -> Self {
        Self::without_request(AuditActor::nameless(AuditActorKind::Cli))
    }

    /// The server, in the background.
    #[must_use]
    pub const fn system() -> Self {
        Self::without_request(AuditActor::nameless(AuditActorKind::System))
    }

    /// An actor whose request is not known.
    #[must_use]
    pub const fn without_request(actor: AuditActor) -> Self {
        Self {
            actor,
            address: None,
            request_id: None,
        }
    }

    /// The same call by this actor. An enrolment learns its device only while it is written.
    #[must_use]
    pub fn by(&self, actor: AuditActor) -> Self {
        Self {
            actor,
            ..self.clone()
        }
    }
}

impl From<&Device> for AuditActor {
    fn from(device: &Device) -> Self {
        Self::device(device.id, Some(device.name.as_str()))
    }
}

impl From<&ApiKey> for AuditActor {
    fn from(key: &ApiKey) -> Self {
        Self::api_key(key.id, key.name.as_str())
    }
}

/// Fields with their values before and after a change. A value that was not there, or is not there any more, is null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct AuditChanges(
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, BeforeAndAfter>"))]
    BTreeMap<String, [Value; 2]>,
);

/// The schema of the values of a field.
#[cfg(feature = "schema")]
struct BeforeAndAfter;

#[cfg(feature = "schema")]
impl schemars::JsonSchema for BeforeAndAfter {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BeforeAndAfter".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "array",
            "prefixItems": [
                { "description": "The value before; null where there was none." },
                { "description": "The value after; null where there is none any more." }
            ],
            "minItems": 2,
            "maxItems": 2
        })
    }
}

impl AuditChanges {
    /// No changes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field, unless its value stayed the same.
    #[must_use]
    pub fn with(self, field: &str, before: impl Into<Value>, after: impl Into<Value>) -> Self {
        let (before, after) = (before.into(), after.into());
        if before == after {
            return self;
        }
        self.with_context(field, before, after)
    }

    /// Adds a field in any case, because it tells which subject the entry means.
    #[must_use]
    pub fn with_context(mut self, field: &str, before: impl Into<Value>, after: impl Into<Value>) -> Self {
        self.0.insert(field.to_owned(), [before.into(), after.into()]);
        self
    }

    /// The changes between two objects in the fields that may be shown. An absent object has no value in any field.
    #[must_use]
    pub fn between<T: Serialize>(before: Option<&T>, after: Option<&T>, fields: &[&str]) -> Self {
        let object = |value: Option<&T>| {
            value
                .and_then(|value| serde_json::to_value(value).ok())
                .unwrap_or_default()
        };
        let (mut before, mut after) = (object(before), object(after));
        let mut take = |field: &str| {
            let [before, after] = [&mut before, &mut after]
                .map(|object| object.get_mut(field).map(Value::take).unwrap_or_default());
            (before, after)
        };
        fields.iter().fold(Self::new(), |changes, field| {
            let (before, after) = take(field);
            changes.with(field, before, after)
        })
    }

    /// Whether no field changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a field before and after.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&[Value; 2]> {
        self.0.get(field)
    }

    /// The fields with their values, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Value; 2])> {
        self.0.iter().map(|(field, values)| (field.as_str(), values))
    }
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// The number of the entry in its organization, from 1 without a gap.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub sequence: i64,
    /// When the change was made.
    pub at: Timestamp,
    /// Who made it.
    pub actor: AuditActor,
    /// The address of the client; null after 90 days, and where there was none. The hash does not cover it.
    pub address: Option<IpAddr>,
    /// What was done.
    pub action: AuditAction,
    /// What it was done to.
    pub subject: AuditSubject,
    /// The fields that changed, with their values before and after, without secrets, personal data and free texts.
    pub changes: AuditChanges,
    /// The request that made the change.
    pub request_id: Option<String>,
    /// The hash of the entry before; null in the first one.
    #[serde(with = "hex::option")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<String>", regex(pattern = "^[0-9a-f]{64}$"))
    )]
    pub previous_hash: Option<[u8; 32]>,
    /// SHA-256 of the canonical JSON (RFC 8785) of the entry without `hash`, `signature` and `address`.
    #[serde(with = "hex::array")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "String", regex(pattern = "^[0-9a-f]{64}$"))
    )]
    pub hash: [u8; 32],
    /// The signature of the 32 bytes of `hash` by the organization's manifest key.
    pub signature: AuditSignature,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Serialize)]
    struct Subject {
        name: &'static str,
        status: &'static str,
        capacity: Option<u32>,
    }

    #[test]
    fn only_listed_fields_that_changed_are_shown() {
        let before = Subject {
            name: "Jane's party",
            status: "open",
            capacity: None,
        };
        let after = Subject {
            name: "John's party",
            status: "open",
            capacity: Some(5),
        };
        let fields = ["status", "capacity"];
        let changes = |before, after| json!(AuditChanges::between(before, after, &fields));
        assert_eq!(
            changes(Some(&before), Some(&after)),
            json!({ "capacity": [null, 5] })
        );
        assert_eq!(
            changes(None, Some(&after)),
            json!({ "status": [null, "open"], "capacity": [null, 5] })
        );
        assert_eq!(changes(Some(&before), None), json!({ "status": ["open", null] }));
        assert_eq!(changes(Some(&after), Some(&after)), json!({}));
    }
}

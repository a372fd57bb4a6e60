//! Identifiers. Each kind has its own type, so that a gate's id cannot be passed as an event's.
//!
//! Every identifier is a UUID. Generated ones are version 7 (RFC 9562), so that rows are inserted in index order.
//! Identifiers are unique within an organization: the key of a row is always `(organization, id)`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The error of a text that is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a UUID")]
pub struct InvalidId;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that is known to identify an object of this kind.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A new identifier (UUID version 7) for an object created at `now`.
            #[must_use]
            pub fn generate(now: crate::model::Timestamp) -> Self {
                Self(crate::model::id::uuid_v7(now))
            }

            /// The UUID.
            #[must_use]
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.hyphenated())
            }
        }

        /// From text, only the hyphenated form is an id, as JSON Schema's format `uuid` has it.
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    crate::model::text::parsed(deserializer)
                } else {
                    Uuid::deserialize(deserializer).map(Self)
                }
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if text.len() != uuid::fmt::Hyphenated::LENGTH {
                    return Err(InvalidId);
                }
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }
    )+};
}

id! {
    /// An organization: a tenant of the platform.
    OrganizationId;
    /// An event.
    EventId;
    /// A gate of an event.
    GateId;
    /// A ticket.
    TicketId;
    /// A scanner device. It is not the textual `device_id` that operators assign.
    DeviceId;
    /// A session of a device at a gate.
    SessionId;
    /// A scan. The client generates it, so that a retry has the same id.
    ScanId;
    /// A batch of uploaded scans. The device generates it.
    BatchId;
    /// An API key of an organization.
    ApiKeyId;
    /// A signal.
    SignalId;
    /// A webhook of an organization.
    WebhookId;
    /// What is sent to a webhook: the `webhook-id` of all its attempts.
    DeliveryId;
}

fn uuid_v7(now: crate::model::Timestamp) -> Uuid {
    let mut random = [0_u8; 10];
    crate::model::random::fill_buffered(&mut random);
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

impl ScanId {
    /// The time at which the client generated it, according to the UUID. `None` for another UUID version than 7.
    #[cfg(feature = "node")]
    pub(crate) fn timestamp(&self) -> Option<crate::model::Timestamp> {
        let (seconds, nanos) = self
            .0
            .get_timestamp()
            .filter(|_| self.0.get_version_num() == 7)?
            .to_unix();
        let millis = i64::try_from(seconds).ok()?.checked_mul(1000)?;
        Some(crate::model::Timestamp::from_millis(
            millis + i64::from(nanos / 1_000_000),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn ids_generated_later_sort_later() {
        let first = ScanId::generate(Timestamp::from_millis(1_780_000_000_000));
        let second = ScanId::generate(Timestamp::from_millis(1_780_000_000_001));
        assert!(first < second);
        assert_eq!(first.as_uuid().get_version_num(), 7);
        assert_eq!(first.timestamp(), Some(Timestamp::from_millis(1_780_000_000_000)));
        assert_eq!(ScanId::from_uuid(Uuid::from_u128(7)).timestamp(), None);
    }

    #[test]
    fn only_a_uuid_is_an_id() {
        assert!("0192f0c1-7a4e-7000-8000-000000000000".parse::<GateId>().is_ok());
        for text in [
            "",
            "1",
            "main",
            "0192f0c1-7a4e-7000-8000-00000000000g",
            "0192f0c17a4e70008000000000000000",
            "{0192f0c1-7a4e-7000-8000-000000000000}",
            "urn:uuid:0192f0c1-7a4e-7000-8000-000000000000",
        ] {
            assert_eq!(text.parse::<GateId>(), Err(InvalidId), "{text:?}");
            let json = format!("{text:?}");
            assert!(serde_json::from_str::<GateId>(&json).is_err(), "{text:?}");
        }
    }
}

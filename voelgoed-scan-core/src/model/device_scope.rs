//! The events and gates that a device may work at.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::{EventId, GateId};

/// The events and gates that a device may work at. The default is any.
///
/// A list may name events and gates that do not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self")]
pub struct DeviceScope {
    /// The events; null is any, and an empty list is none.
    #[serde(default)]
    pub event_ids: Option<Vec<EventId>>,
    /// The gates; null is any, and an empty list is none.
    #[serde(default)]
    pub gate_ids: Option<Vec<GateId>>,
}

impl Serialize for DeviceScope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Only an object is a scope. The derived implementation takes `[]` for one that lacks both lists, which would be any.
impl<'de> Deserialize<'de> for DeviceScope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = DeviceScope;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DeviceScope, A::Error> {
        DeviceScope::deserialize(MapAccessDeserializer::new(map))
    }
}

impl DeviceScope {
    /// Whether the device may work at every event and gate.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.event_ids.is_none() && self.gate_ids.is_none()
    }

    /// Whether the event is inside.
    #[must_use]
    pub fn admits_event(&self, event: EventId) -> bool {
        contains(self.event_ids.as_deref(), &event)
    }

    /// Whether the gate of the event is inside: the event is, and the gate is.
    #[must_use]
    pub fn admits_gate(&self, event: EventId, gate: GateId) -> bool {
        self.admits_event(event) && contains(self.gate_ids.as_deref(), &gate)
    }
}

fn contains<T: PartialEq>(ids: Option<&[T]>, id: &T) -> bool {
    ids.is_none_or(|ids| ids.contains(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T: From<uuid::Uuid>>(number: u128) -> T {
        uuid::Uuid::from_u128(number).into()
    }

    #[test]
    fn null_is_any_an_empty_list_is_none_and_both_lists_count() {
        let (event, other_event): (EventId, EventId) = (id(1), id(2));
        let (gate, other_gate): (GateId, GateId) = (id(3), id(4));
        // The lists, then: the event, the other event, the gate at the event, the other gate there, the gate elsewhere.
        for (events, gates, expected) in [
            (None, None, [true, true, true, true, true]),
            (Some(vec![event]), None, [true, false, true, true, false]),
            (None, Some(vec![gate]), [true, true, true, false, true]),
            (
                Some(vec![event]),
                Some(vec![gate]),
                [true, false, true, false, false],
            ),
            (Some(vec![]), None, [false; 5]),
            (None, Some(vec![]), [true, true, false, false, false]),
            (
                Some(vec![other_event]),
                Some(vec![gate]),
                [false, true, false, false, true],
            ),
        ] {
            let scope = DeviceScope {
                event_ids: events,
                gate_ids: gates,
            };
            let found = [
                scope.admits_event(event),
                scope.admits_event(other_event),
                scope.admits_gate(event, gate),
                scope.admits_gate(event, other_gate),
                scope.admits_gate(other_event, gate),
            ];
            assert_eq!(found, expected, "{scope:?}");
        }
    }

    #[test]
    fn an_absent_list_is_null() {
        for text in [
            "{}",
            r#"{"event_ids":null,"gate_ids":null}"#,
            r#"{"event_ids":null,"other":1}"#,
        ] {
            let scope: DeviceScope = serde_json::from_str(text).expect("a scope");
            assert!(scope.is_any(), "{text}");
        }
        let text = r#"{"gate_ids":[]}"#;
        let scope: DeviceScope = serde_json::from_str(text).expect("a scope");
        assert_eq!(
            serde_json::to_string(&scope).expect("JSON"),
            r#"{"event_ids":null,"gate_ids":[]}"#
        );
        for text in [
            "[]",
            r#"{"event_ids":[1]}"#,
            r#"{"gate_ids":["x"]}"#,
            r#"{"event_ids":{}}"#,
        ] {
            assert!(serde_json::from_str::<DeviceScope>(text).is_err(), "{text}");
        }
    }
}

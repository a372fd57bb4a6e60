//! The scopes that a device had over time, and whether it might search. A scan that arrives later is judged by those of its own
//! time.

use crate::model::{DeviceScope, Timestamp};
use crate::rules::FormerValues;

/// The scopes of a device over time. Before the first change the first one holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceScopes {
    /// The former scopes, each with the time until which it held, in the order of these times.
    pub former: FormerValues<DeviceScope>,
    /// The present scope.
    pub present: DeviceScope,
    /// Whether the device might search until each of these times.
    pub former_search: FormerValues<bool>,
    /// Whether it may search now. Such a device may send codes without a signature.
    pub can_search: bool,
}

impl DeviceScopes {
    /// The scope at a time.
    #[must_use]
    pub fn at(&self, time: Timestamp) -> &DeviceScope {
        let former = self.former.iter().find(|(until, _)| time < *until);
        former.map_or(&self.present, |(_, scope)| scope)
    }

    /// Whether the device might search at a time.
    #[must_use]
    pub fn could_search(&self, time: Timestamp) -> bool {
        let former = self.former_search.iter().find(|(until, _)| time < *until);
        former.map_or(self.can_search, |(_, could)| *could)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_holds_from_its_time_on_and_before_the_first_the_first_scope_holds() {
        let scope = |events: u128| DeviceScope {
            event_ids: Some((0..events).map(|id| uuid::Uuid::from_u128(id).into()).collect()),
            gate_ids: None,
        };
        let at = Timestamp::from_seconds;
        let scopes = DeviceScopes {
            former: vec![(at(10), scope(1)), (at(20), scope(2))],
            present: scope(3),
            former_search: vec![(at(15), true)],
            can_search: false,
        };
        assert!(scopes.could_search(at(0)) && !scopes.could_search(at(15)));
        for (millis, events) in [
            (0, 1),
            (9_999, 1),
            (10_000, 2),
            (19_999, 2),
            (20_000, 3),
            (90_000, 3),
        ] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(scopes.at(time), &scope(events), "{millis} ms");
        }
    }
}

//! The rules of a ticket over time. A change of the rules holds for the scans from then on; the scans before are judged by
//! the rules of their own time, whenever they arrive.
//!
//! Invariants: the value at a time never changes afterwards, because a change begins later than every recorded scan; before
//! the first change the first value holds.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{Event, EventId, EventRules, RuleSettings, Ticket, TicketId, Timestamp};
use crate::rules::Allowance;

/// Former values, each with the time until which it held, in the order of these times.
pub type FormerValues<T> = Vec<(Timestamp, T)>;

/// A value that changes over time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Timeline<T> {
    former: FormerValues<T>,
    present: T,
}

impl<T: Copy> Timeline<T> {
    /// The value that holds at a time.
    fn at(&self, time: Timestamp) -> T {
        let former = self.former.iter().find(|(until, _)| time < *until);
        former.map_or(self.present, |(_, value)| *value)
    }
}

/// The rules of a ticket at an event over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketRules {
    event: Timeline<EventRules>,
    entry_limit: Timeline<u8>,
    dedup_window: Timeline<Duration>,
}

impl TicketRules {
    /// Rules that never changed.
    #[must_use]
    pub const fn constant(allowance: Allowance) -> Self {
        let Allowance {
            reentry,
            entry_limit,
            dedup_window,
        } = allowance;
        Self {
            event: Timeline {
                former: Vec::new(),
                present: EventRules { reentry },
            },
            entry_limit: Timeline {
                former: Vec::new(),
                present: entry_limit,
            },
            dedup_window: Timeline {
                former: Vec::new(),
                present: dedup_window,
            },
        }
    }

    /// The allowance at a time.
    #[must_use]
    pub fn at(&self, time: Timestamp) -> Allowance {
        Allowance {
            reentry: self.event.at(time).reentry,
            entry_limit: self.entry_limit.at(time),
            dedup_window: self.dedup_window.at(time),
        }
    }
}

/// The rules that no longer hold, of several events and tickets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormerRules {
    /// The rules of events.
    pub events: HashMap<EventId, FormerValues<EventRules>>,
    /// The entry limits of tickets.
    pub entry_limits: HashMap<TicketId, FormerValues<u8>>,
    /// The deduplication windows.
    pub dedup_windows: FormerValues<Duration>,
    /// The present deduplication window, if the database holds it. It is the same for all nodes, while they restart with
    /// another setting one after the other.
    pub dedup_window: Option<Duration>,
}

impl FormerRules {
    /// The rules of a ticket at an event: those of before, and the present ones.
    #[must_use]
    pub fn of_ticket(&self, ticket: &Ticket, event: &Event, settings: &RuleSettings) -> TicketRules {
        TicketRules {
            event: Timeline {
                former: self.events.get(&event.id).cloned().unwrap_or_default(),
                present: event.rules(),
            },
            entry_limit: Timeline {
                former: self.entry_limits.get(&ticket.id).cloned().unwrap_or_default(),
                present: ticket.entry_limit,
            },
            dedup_window: Timeline {
                former: self.dedup_windows.clone(),
                present: self.dedup_window.unwrap_or(settings.dedup_window),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Reentry;
    use crate::rules::decision::tests::{NOW, event, ticket};

    #[test]
    fn each_time_has_the_rules_that_held_then_and_before_the_first_change_the_first() {
        let (event, mut ticket) = (event(), ticket().ticket);
        ticket.entry_limit = 4;
        let at = |seconds: i64| NOW.plus_millis(seconds * 1000);
        let rules = |reentry| EventRules { reentry };
        let former = FormerRules {
            events: HashMap::from([(
                event.id,
                vec![
                    (at(10), rules(Reentry::AfterWindow)),
                    (at(20), rules(Reentry::AfterExit)),
                ],
            )]),
            entry_limits: HashMap::from([(ticket.id, vec![(at(15), 2)])]),
            dedup_windows: vec![(at(30), Duration::from_secs(7))],
            dedup_window: Some(Duration::from_secs(9)),
        };
        let settings = RuleSettings {
            dedup_window: Duration::from_secs(8),
        };
        let rules = former.of_ticket(&ticket, &event, &settings);
        let found = |seconds| {
            let allowance = rules.at(at(seconds));
            (
                allowance.reentry,
                allowance.entry_limit,
                allowance.dedup_window.as_secs(),
            )
        };
        assert_eq!(found(-1_000_000), (Reentry::AfterWindow, 2, 7));
        assert_eq!(found(9), (Reentry::AfterWindow, 2, 7));
        assert_eq!(
            found(10),
            (Reentry::AfterExit, 2, 7),
            "a change includes its own time"
        );
        assert_eq!(found(15), (Reentry::AfterExit, 4, 7));
        assert_eq!(found(20), (Reentry::Never, 4, 7));
        assert_eq!(found(30), (Reentry::Never, 4, 9));
    }
}

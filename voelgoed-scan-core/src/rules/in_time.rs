//! The rules of a ticket over time. A change of the rules holds for the scans from then on; the scans before are judged by
//! the rules of their own time, whenever they arrive.
//!
//! Invariants: the value at a time never changes afterwards, because a change begins later than every recorded scan; before
//! the first change the first value holds.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::{Event, EventId, EventRules, Reentry, RuleSettings, Ticket, TicketId, Timestamp};
use crate::rules::{Allowance, ScanDay};

/// Former values, each with the time until which it held, in the order of these times.
pub type FormerValues<T> = Vec<(Timestamp, T)>;

/// A value that changes over time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Timeline<T> {
    former: FormerValues<T>,
    present: T,
}

impl<T> Timeline<T> {
    /// The index of the value that holds at a time. The present value comes after the former ones.
    fn index_at(&self, time: Timestamp) -> usize {
        self.former.partition_point(|(until, _)| *until <= time)
    }

    /// The value of an index.
    fn value(&self, index: usize) -> &T {
        self.former.get(index).map_or(&self.present, |(_, value)| value)
    }

    /// The time from which the value of an index holds; `None` for the first one.
    fn since(&self, index: usize) -> Option<Timestamp> {
        let former = self.former.get(index.checked_sub(1)?)?;
        Some(former.0)
    }

    /// The value that holds at a time.
    fn at(&self, time: Timestamp) -> &T {
        self.value(self.index_at(time))
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
    /// Rules that never changed. The days of `daily` begin at midnight UTC.
    #[must_use]
    pub fn constant(reentry: Reentry, entry_limit: u8, dedup_window: Duration) -> Self {
        Self {
            event: Timeline {
                former: Vec::new(),
                present: EventRules::constant(reentry),
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
        let rules = self.event.at(time);
        Allowance {
            reentry: rules.reentry,
            entry_limit: *self.entry_limit.at(time),
            dedup_window: *self.dedup_window.at(time),
            day: ScanDay {
                from: rules.day(time).map_or(Timestamp::MIN, |day| day.from),
                counted_since: self.counted_since(time),
            },
        }
    }

    /// The start of the period in which people are counted at a time: the last start of a day under the rules of its time.
    #[must_use]
    pub fn counted_since(&self, time: Timestamp) -> Timestamp {
        let (mut index, mut time) = (self.event.index_at(time), time);
        loop {
            let since = self.event.since(index);
            let day = self.event.value(index).day(time);
            if let Some(day) = day.filter(|day| since.is_none_or(|since| day.from >= since)) {
                return day.from;
            }
            let Some(since) = since else {
                return Timestamp::MIN;
            };
            index = index.saturating_sub(1);
            time = since.plus_millis(-1);
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
    use crate::rules::decision::tests::{NOW, event, ticket};

    #[test]
    fn each_time_has_the_rules_that_held_then_and_before_the_first_change_the_first() {
        let (event, mut ticket) = (event(), ticket().ticket);
        ticket.entry_limit = 4;
        let at = |seconds: i64| NOW.plus_millis(seconds * 1000);
        let rules = EventRules::constant;
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

    #[test]
    fn people_are_counted_from_the_last_begin_of_a_day_under_the_rules_of_its_time() {
        let (event, ticket) = (event(), ticket().ticket);
        let at = |text: &str| text.parse::<Timestamp>().expect(text);
        let daily = |zone: &str, starts: &str| EventRules {
            reentry: Reentry::Daily,
            time_zone: zone.parse().expect("a zone"),
            day_starts_at: starts.parse().expect("a time of day"),
        };
        let former = FormerRules {
            events: HashMap::from([(
                event.id,
                vec![
                    (at("2026-11-10T15:00:00Z"), EventRules::constant(Reentry::Never)),
                    (at("2026-11-12T03:00:00Z"), daily("UTC", "00:00")),
                    (at("2026-11-13T12:00:00Z"), daily("UTC", "06:00")),
                    (at("2026-11-14T09:00:00Z"), daily("Europe/Berlin", "06:00")),
                ],
            )]),
            ..FormerRules::default()
        };
        let settings = RuleSettings {
            dedup_window: Duration::from_secs(8),
        };
        let rules = former.of_ticket(&ticket, &event, &settings);
        let (first, midnight) = (Timestamp::MIN, at("2026-11-12T00:00:00Z"));
        for (time, from, counted_since) in [
            ("2026-11-10T14:59:59.999Z", Timestamp::MIN, first),
            // Daily begins at 15:00: the day counts from midnight, and nobody has left before the next one.
            ("2026-11-10T15:00:00Z", at("2026-11-10T00:00:00Z"), first),
            (
                "2026-11-11T00:00:00Z",
                at("2026-11-11T00:00:00Z"),
                at("2026-11-11T00:00:00Z"),
            ),
            // From 03:00 days begin at 06:00: it is again the day before, and everybody left at midnight.
            ("2026-11-12T02:59:59Z", midnight, midnight),
            ("2026-11-12T03:00:00Z", at("2026-11-11T06:00:00Z"), midnight),
            (
                "2026-11-12T06:00:00Z",
                at("2026-11-12T06:00:00Z"),
                at("2026-11-12T06:00:00Z"),
            ),
            // 06:00 in Berlin is 05:00 UTC.
            (
                "2026-11-13T12:00:00Z",
                at("2026-11-13T05:00:00Z"),
                at("2026-11-13T06:00:00Z"),
            ),
            (
                "2026-11-14T05:00:00Z",
                at("2026-11-14T05:00:00Z"),
                at("2026-11-14T05:00:00Z"),
            ),
            ("2026-11-20T00:00:00Z", Timestamp::MIN, at("2026-11-14T05:00:00Z")),
        ] {
            let day = rules.at(at(time)).day;
            assert_eq!(day, ScanDay { from, counted_since }, "{time}");
        }
    }
}

//! The activity at an event: what happened at each gate, minute by minute.

use serde::{Deserialize, Serialize};

use crate::model::{GateId, Name, ResultCounts, Timestamp};

/// The length of a minute, in milliseconds.
const MINUTE_MILLIS: i64 = 60_000;

/// The minutes that an activity covers: whole minutes up to the one under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivityMinutes {
    /// The first minute since the Unix epoch.
    first: i64,
    /// How many minutes.
    count: u16,
}

impl ActivityMinutes {
    /// The last `count` minutes at a time, with the minute under way.
    #[must_use]
    pub fn until(now: Timestamp, count: u16) -> Self {
        let current = now.as_millis().div_euclid(MINUTE_MILLIS);
        Self {
            first: current - i64::from(count) + 1,
            count,
        }
    }

    /// Where the first minute begins.
    #[must_use]
    pub fn from(self) -> Timestamp {
        Timestamp::from_millis(self.first * MINUTE_MILLIS)
    }

    /// Where the last minute ends.
    #[must_use]
    pub fn to(self) -> Timestamp {
        Timestamp::from_millis((self.first + i64::from(self.count)) * MINUTE_MILLIS)
    }

    /// How many minutes there are.
    #[must_use]
    pub fn count(self) -> usize {
        usize::from(self.count)
    }

    /// The place of a minute since the Unix epoch; `None` outside.
    #[must_use]
    pub fn place(self, minute: i64) -> Option<usize> {
        let place = usize::try_from(minute - self.first).ok()?;
        (place < self.count()).then_some(place)
    }
}

/// What happened at a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GateActivity {
    /// The gate.
    pub id: GateId,
    /// Its display name.
    pub name: Name,
    /// The number of its recorded scans by result, of all days.
    pub results: ResultCounts,
    /// Admissions in each minute. Undone ones do not count.
    pub entries: Vec<u32>,
    /// Exit scans in each minute.
    pub exits: Vec<u32>,
    /// Denials in each minute.
    pub denials: Vec<u32>,
}

/// The answer of `GET /api/v1/scanning/events/{id}/activity`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventActivity {
    /// Where the first minute begins.
    pub from: Timestamp,
    /// Where the last minute ends. It is under way.
    pub to: Timestamp,
    /// The gates, ordered by name.
    pub gates: Vec<GateActivity>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minutes_are_whole_and_end_with_the_one_under_way() {
        let now = Timestamp::from_millis(600_000 + 59_999);
        let minutes = ActivityMinutes::until(now, 3);
        assert_eq!(minutes.from(), Timestamp::from_millis(480_000));
        assert_eq!(minutes.to(), Timestamp::from_millis(660_000));
        assert_eq!(minutes.count(), 3);
        for (minute, place) in [(7, None), (8, Some(0)), (10, Some(2)), (11, None)] {
            assert_eq!(minutes.place(minute), place, "{minute}");
        }
    }
}

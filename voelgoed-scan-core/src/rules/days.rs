//! The days of an event under the policy `daily`: when they begin, and which day a time belongs to.
//!
//! A day begins at a local time in the time zone of the event. A begin that the change to daylight saving time skips is the
//! first instant after the gap; one that comes twice is the first. So days have 23 or 25 hours where the clocks change.
//!
//! At the start of a day everybody is taken to have left. So people are counted in periods: a period begins with each day
//! that begins while `daily` is in force, and under another policy no period begins.
//!
//! Invariants: pure; the days of a zone follow one another without gaps; a time belongs to one day; the period of a time
//! never changes afterwards, because a change of the rules holds for the scans from then on.

#[cfg(test)]
#[cfg(feature = "node")]
mod tests;

#[cfg(feature = "node")]
use jiff::civil::DateTime;
#[cfg(feature = "node")]
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::model::{ActiveSession, Event, EventRules, LocalTime, Reentry, TimeZoneName, Timestamp};

/// A day of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant of the next day.
    pub until: Timestamp,
}

/// What a scan needs to know about its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanDay {
    /// The start of the day: `daily` counts the admissions from then on.
    pub from: Timestamp,
    /// The start of the period in which people are counted. People who entered before it have left.
    pub counted_since: Timestamp,
}

impl ScanDay {
    /// One day without a start: nobody has left because a day began.
    pub const ENDLESS: Self = Self {
        from: Timestamp::MIN,
        counted_since: Timestamp::MIN,
    };

    /// The day of a scan by the rules in force. `day` is its day under `daily`. `since` is the time from which the rules hold,
    /// `counted_since` the start of the period that was under way then.
    #[must_use]
    pub fn new(day: Option<Day>, since: Timestamp, counted_since: Timestamp) -> Self {
        match day {
            Some(Day { from, .. }) => Self {
                from,
                counted_since: if from >= since { from } else { counted_since },
            },
            None => Self {
                from: Timestamp::MIN,
                counted_since,
            },
        }
    }

    /// The day of a time of which only the starts of days are known, as a phone knows them. Beyond them days have 24 hours.
    #[must_use]
    pub fn of_begins(begins: &[Timestamp], at: Timestamp) -> Self {
        const DAY_MILLIS: i64 = 86_400_000;
        let passed = begins.partition_point(|begin| *begin <= at);
        let nearest = passed
            .checked_sub(1)
            .map_or(begins.first(), |last| begins.get(last));
        let Some(nearest) = nearest else {
            return Self::ENDLESS;
        };
        let from = if passed == 0 || passed == begins.len() {
            let days = at.millis_since(*nearest).div_euclid(DAY_MILLIS);
            nearest.plus_millis(days.saturating_mul(DAY_MILLIS))
        } else {
            *nearest
        };
        Self {
            from,
            counted_since: from,
        }
    }
}

impl EventRules {
    /// The day of a time. `None` unless the policy is `daily`.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Option<Day> {
        (self.reentry == Reentry::Daily).then(|| local_day(&self.time_zone, self.day_starts_at, at))
    }
}

impl Event {
    /// The day of a time by the present rules. `None` unless the policy is `daily`.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> Option<Day> {
        (self.reentry == Reentry::Daily).then(|| local_day(&self.time_zone, self.day_starts_at, at))
    }

    /// The starts of days from the day before `at`, ascending, as a manifest holds them. Empty unless the policy is `daily`.
    #[must_use]
    pub fn day_begins(&self, at: Timestamp) -> Vec<Timestamp> {
        let Some(today) = self.day(at) else {
            return Vec::new();
        };
        let day = |at| local_day(&self.time_zone, self.day_starts_at, at);
        let yesterday = day(today.from.plus_millis(-1));
        std::iter::successors(Some(yesterday.from), |begin| Some(day(*begin).until))
            .take(DAYS_IN_MANIFEST)
            .collect()
    }
}

impl ActiveSession {
    /// The day of a scan at a time.
    #[must_use]
    pub fn day(&self, at: Timestamp) -> ScanDay {
        ScanDay::new(self.event.day(at), self.rules_since, self.counted_since)
    }
}

/// How many starts of days a manifest holds.
const DAYS_IN_MANIFEST: usize = 400;

/// The day of a time. A zone that the time zone database does not have counts as UTC; the API accepts none.
#[cfg(feature = "node")]
fn local_day(zone: &TimeZoneName, starts_at: LocalTime, at: Timestamp) -> Day {
    let zone = zone.zone().unwrap_or(TimeZone::UTC);
    let latest = jiff::Timestamp::MAX.as_millisecond();
    let instant = jiff::Timestamp::from_millisecond(at.as_millis().min(latest)).unwrap_or_default();
    let date = zone.to_datetime(instant).date();
    // Where a zone skips a date or a start comes late, the day may be that of the date before.
    let begins = (-2..=2_i8).filter_map(|days| {
        let date = date.checked_add(jiff::Span::new().days(days)).ok()?;
        let hour = i8::try_from(starts_at.hour()).ok()?;
        let minute = i8::try_from(starts_at.minute()).ok()?;
        let begin = first_instant(&zone, date.at(hour, minute, 0, 0))?;
        Some(Timestamp::from_millis(begin.as_millisecond()))
    });
    Day {
        from: begins
            .clone()
            .filter(|begin| *begin <= at)
            .max()
            .unwrap_or(Timestamp::MIN),
        until: begins.filter(|begin| *begin > at).min().unwrap_or(Timestamp::MAX),
    }
}

/// The first instant at or after which the clocks show a local time.
#[cfg(feature = "node")]
fn first_instant(zone: &TimeZone, local: DateTime) -> Option<jiff::Timestamp> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(local).ok()
        }
        AmbiguousOffset::Gap { after, .. } => {
            // By the offset after the gap, the local time is an instant before the change of the clocks.
            let earlier = after.to_timestamp(local).ok()?;
            Some(zone.following(earlier).next()?.timestamp())
        }
    }
}

/// A program without the time zone database knows days from a manifest only ([`ScanDay::of_begins`]).
#[cfg(not(feature = "node"))]
const fn local_day(_: &TimeZoneName, _: LocalTime, _: Timestamp) -> Day {
    Day {
        from: Timestamp::MIN,
        until: Timestamp::MAX,
    }
}

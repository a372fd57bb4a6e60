//! Parsers for the values of arguments, on top of the core's own `FromStr`.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use voelgoed_scan_core::model::{InvalidCode, TicketCode, Timestamp};

use crate::failure::Failure;

/// A parser for an enum whose `values` the help lists.
pub(super) fn variant<T>(values: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(values).try_map(|value| value.parse())
}

/// A parser for a ticket code, with or without the dashes between its groups.
pub(super) fn ticket_code(text: &str) -> Result<TicketCode, InvalidCode> {
    TicketCode::parse_typed(text)
}

/// A value, or the word `none`. In JSON it is the value or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum OrNone<T> {
    /// The value.
    Some(T),
    /// The word `none`.
    None,
}

impl<T: FromStr> FromStr for OrNone<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "none" {
            Ok(Self::None)
        } else {
            text.parse().map(Self::Some)
        }
    }
}

/// A time as it was typed: RFC 3339, or the local time of an event, such as `2026-11-29 19:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypedTime {
    /// A moment.
    At(Timestamp),
    /// A local time.
    Local(DateTime),
}

/// The error of a text that is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a time such as 2026-11-29T17:00:00Z, or 2026-11-29 19:00 in the time zone of the event")]
pub(crate) struct InvalidTime;

impl FromStr for TypedTime {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Self, InvalidTime> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        // Without hours and minutes it is a day, and which moment of it is meant is not clear.
        if !text.contains(':') || text.contains(['[', 'Z', 'z', '+']) {
            return Err(InvalidTime);
        }
        text.trim().parse().map(Self::Local).map_err(|_| InvalidTime)
    }
}

impl TypedTime {
    /// Whether a time zone is needed to tell the moment.
    pub(crate) const fn is_local(self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// The moment. A local time that a change of the clocks skips is the first moment after the gap; of one that comes twice it
    /// is the first.
    pub(crate) fn at(self, zone: &TimeZone) -> Result<Timestamp, Failure> {
        let local = match self {
            Self::At(at) => return Ok(at),
            Self::Local(local) => local,
        };
        let moment = match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(local).ok()
            }
            AmbiguousOffset::Gap { after, .. } => {
                let before_gap = after.to_timestamp(local).ok();
                before_gap.and_then(|moment| Some(zone.following(moment).next()?.timestamp()))
            }
        };
        moment
            .map(|moment| Timestamp::from_millis(moment.as_millisecond()))
            .ok_or_else(|| Failure::invalid(local.to_string(), "is outside the times of the calendar"))
    }
}

/// An id, or the word `new` for one that is generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OrNew<T> {
    /// The id.
    Id(T),
    /// The word `new`.
    New,
}

impl<T: FromStr> FromStr for OrNew<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "new" {
            Ok(Self::New)
        } else {
            text.parse().map(Self::Id)
        }
    }
}

#[cfg(test)]
mod tests {
    use voelgoed_scan_core::model::EventId;

    use super::*;

    #[test]
    fn the_words_none_and_new_are_parsed_beside_values() {
        assert_eq!("none".parse::<OrNone<u32>>(), Ok(OrNone::None));
        assert_eq!("7".parse::<OrNone<u32>>(), Ok(OrNone::Some(7)));
        assert!("-1".parse::<OrNone<u32>>().is_err());
        assert_eq!("new".parse::<OrNew<EventId>>(), Ok(OrNew::New));
        assert!("1".parse::<OrNew<EventId>>().is_err());
    }

    #[test]
    fn local_times_are_those_of_the_zone_and_a_gap_ends_at_its_first_moment() {
        let zone = |name: &str| {
            let name: voelgoed_scan_core::model::TimeZoneName = name.parse().expect("a name");
            name.zone().expect("a zone")
        };
        let at = |text: &str, name: &str| {
            let typed: TypedTime = text.parse().expect("a time");
            typed.at(&zone(name)).expect("a moment").to_string()
        };
        for (text, name, moment) in [
            (
                "2026-11-29 19:00",
                "Africa/Johannesburg",
                "2026-11-29T17:00:00.000Z",
            ),
            (
                "2026-11-29T19:00:30",
                "Africa/Johannesburg",
                "2026-11-29T17:00:30.000Z",
            ),
            (
                "2026-11-29T19:00:00Z",
                "Africa/Johannesburg",
                "2026-11-29T19:00:00.000Z",
            ),
            // Clocks go from 02:00 to 03:00 on this day, and from 03:00 back to 02:00 on the other.
            ("2026-03-29 02:30", "Europe/Berlin", "2026-03-29T01:00:00.000Z"),
            ("2026-10-25 02:30", "Europe/Berlin", "2026-10-25T00:30:00.000Z"),
        ] {
            assert_eq!(at(text, name), moment, "{text} in {name}");
        }
        for wrong in [
            "",
            "19:00",
            "2026-11-29",
            "tomorrow",
            "2026-02-30 10:00",
            "2026-11-29 25:00",
        ] {
            assert_eq!(wrong.parse::<TypedTime>(), Err(InvalidTime), "{wrong:?}");
        }
    }
}

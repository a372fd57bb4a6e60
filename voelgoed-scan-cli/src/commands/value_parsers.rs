//! Parsers for the values of arguments, on top of the core's own `FromStr`.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use voelgoed_scan_core::model::{InvalidCode, InvalidId, TicketCode, Timestamp};

use crate::env;

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

/// An id, or the word `new` for one that is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrNew<T> {
    /// The id.
    Id(T),
    /// The word `new`.
    New,
}

impl<T: FromStr<Err = InvalidId>> FromStr for OrNew<T> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text == "new" {
            Ok(Self::New)
        } else {
            text.parse().map(Self::Id)
        }
    }
}

impl<T> OrNew<T> {
    /// The given id, or for `new` the result of `generate`.
    pub(super) fn or_generate(self, generate: impl FnOnce(Timestamp) -> T) -> T {
        match self {
            Self::Id(id) => id,
            Self::New => generate(env::now()),
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
}

//! How does a typed text become a value? By the core's own types, with the closed lists shown in the help.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use voelgoed_scan_core::model::{InvalidCode, InvalidId, TicketCode, Timestamp};

use crate::world;

/// A parser of a closed list of words.
pub(super) fn word<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::error::Error + Send + Sync> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse())
}

/// A ticket code, grouped or not.
pub(super) fn code(text: &str) -> Result<TicketCode, InvalidCode> {
    TicketCode::parse_typed(text)
}

/// A value or the word `none`; in JSON the value or null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub(super) enum OrNone<T> {
    /// The value.
    Some(T),
    /// Nothing, said outright.
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

/// An id, or `new` for one that is made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrNew<T> {
    /// The id.
    Id(T),
    /// A new one.
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
    /// The id that was given, or the one that `generate` makes.
    pub(super) fn or_generate(self, generate: impl FnOnce(Timestamp) -> T) -> T {
        match self {
            Self::Id(id) => id,
            Self::New => generate(world::now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use voelgoed_scan_core::model::EventId;

    use super::*;

    #[test]
    fn none_clears_and_new_makes() {
        assert_eq!("none".parse::<OrNone<u32>>(), Ok(OrNone::None));
        assert_eq!("7".parse::<OrNone<u32>>(), Ok(OrNone::Some(7)));
        assert!("-1".parse::<OrNone<u32>>().is_err());
        assert_eq!("new".parse::<OrNew<EventId>>(), Ok(OrNew::New));
        assert!("1".parse::<OrNew<EventId>>().is_err());
    }
}

//! How does a closed list of words become a type? One macro: the words stand once, and the type's text, its parser,
//! its JSON and its schema all come from them. Another makes texts that people give; whatever is read from a text is read
//! by [`parsed`].

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};

/// A text of so many ASCII characters, made without a formatter and without a `String`.
pub(crate) struct Ascii<const LENGTH: usize>(pub(crate) [u8; LENGTH]);

impl<const LENGTH: usize> Ascii<LENGTH> {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Reads a value from its text, of which no copy is made.
pub(crate) fn parsed<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    struct Parsed<T>(PhantomData<T>);

    impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Parsed<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Parsed(PhantomData))
}

/// A text that is none of a type's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is none of: {}", .string_enum.join(", "))]
pub struct UnknownVariant {
    /// The words that would have been understood.
    pub string_enum: &'static [&'static str],
}

macro_rules! string_enum {
    ($($(#[$doc:meta])* $vis:vis enum $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Every word, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word that stands for this value in JSON, in rows and on the command line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::UnknownVariant;

            fn from_str(text: &str) -> Result<Self, $crate::model::UnknownVariant> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::model::UnknownVariant { string_enum: Self::WORDS }),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::model::text::parsed(deserializer)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": Self::WORDS })
            }
        }
    )+};
}

/// A text that a person gave, with the length that its place allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing, or nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// More characters than there is room for.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The most characters that are allowed.
        max: usize,
    },
    /// A control character.
    #[error("must not contain control characters")]
    Control,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: 1..=$max:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The most characters it may have.
            pub const MAX: usize = $max;

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes a text of 1 to [`Self::MAX`] characters, none of them a control character.
            pub fn new(text: impl Into<String>) -> Result<Self, $crate::model::InvalidName> {
                let text = text.into();
                if text.trim().is_empty() {
                    Err($crate::model::InvalidName::Empty)
                } else if text.chars().count() > $max {
                    Err($crate::model::InvalidName::TooLong { max: $max })
                } else if text.chars().any(char::is_control) {
                    Err($crate::model::InvalidName::Control)
                } else {
                    Ok(Self(text))
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::InvalidName;

            fn from_str(text: &str) -> Result<Self, $crate::model::InvalidName> {
                Self::new(text)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string", "minLength": 1, "maxLength": $max,
                    "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$"
                })
            }
        }
    )+};
}

names! {
    /// What people call a thing: an organization, an event, a gate, a device, a key.
    Name: 1..=200;
    /// The name of a ticket class, such as `VIP`.
    ClassName: 1..=64;
    /// A short code that a gate carries on plans and signs.
    GateCode: 1..=32;
    /// A part of a seat: block, row or number.
    SeatPart: 1..=32;
    /// A note for the steward, shown with the ticket.
    Note: 1..=500;
    /// The holder's name. Personal data: it never leaves the ticket search.
    HolderName: 1..=200;
    /// The order that a ticket was sold in.
    OrderRef: 1..=100;
    /// Why somebody did something out of the ordinary: an override, an undo.
    ReasonText: 1..=500;
}

pub(crate) use string_enum;

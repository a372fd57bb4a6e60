//! Macros for text types: closed lists of strings and texts of bounded length.
//!
//! [`string_enum!`] declares the values of a list once. The type's text, its parser, its JSON, its schema and, where a
//! binary format needs them, its wire numbers come from that declaration. [`bounded_text!`] declares texts that users
//! enter. [`parsed`] reads both from JSON.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserializer, Error, Visitor};

/// An ASCII text of a fixed length, built without a formatter and without an allocation.
pub(crate) struct Ascii<const LENGTH: usize>(pub(crate) [u8; LENGTH]);

impl<const LENGTH: usize> Ascii<LENGTH> {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Deserializes a value with its `FromStr`, without copying the text.
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

/// The error of a text that is no value of a string enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is none of: {}", .variants.join(", "))]
pub struct UnknownVariant {
    /// The accepted strings.
    pub variants: &'static [&'static str],
}

/// Declares enums whose values are strings in JSON, in database rows and on the command line.
///
/// `Variant = "string"` declares a value. `Variant = "string" @ 3` also gives it the wire number 3 for binary formats
/// and generates `wire_number` and `from_wire`; either all variants of an enum have a number or none has. A wire number
/// is part of the format: it never changes and is never reused.
macro_rules! string_enum {
    ($($(#[$doc:meta])* $vis:vis enum $name:ident {
        $($(#[$vdoc:meta])* $variant:ident = $string:literal $(@ $number:literal)?,)+
    })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of the API documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Every string, in the same order.
            pub const STRINGS: &'static [&'static str] = &[$($string),+];

            /// The string of this value in JSON, in database rows and on the command line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $string,)+
                }
            }
        }

        $crate::model::text::wire_numbers!($name { $($variant $(@ $number)?,)+ });

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::UnknownVariant;

            fn from_str(text: &str) -> Result<Self, $crate::model::UnknownVariant> {
                match text {
                    $($string => Ok(Self::$variant),)+
                    _ => Err($crate::model::UnknownVariant { variants: Self::STRINGS }),
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
                schemars::json_schema!({ "type": "string", "enum": Self::STRINGS })
            }
        }
    )+};
}

/// The wire numbers of a [`string_enum!`]: nothing for an enum without numbers.
macro_rules! wire_numbers {
    ($name:ident { $($variant:ident,)+ }) => {};
    ($name:ident { $($variant:ident @ $number:literal,)+ }) => {
        impl $name {
            /// The number of this value in binary formats.
            #[must_use]
            pub const fn wire_number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)+
                }
            }

            /// The value of a wire number; `None` for a number that this version does not know.
            #[must_use]
            pub const fn from_wire(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

/// The error of a text that a bounded text type does not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// The text is empty or only white space.
    #[error("must not be empty")]
    Empty,
    /// The text has too many characters.
    #[error("must have at most {max} characters")]
    TooLong {
        /// The maximum number of characters.
        max: usize,
    },
    /// The text has a control character.
    #[error("must not contain control characters")]
    Control,
}

/// Declares text types of 1 to a maximum number of characters, without control characters.
macro_rules! bounded_text {
    ($($(#[$doc:meta])* $name:ident: 1..=$max:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The maximum number of characters.
            pub const MAX: usize = $max;

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Checks a text: 1 to [`Self::MAX`] characters, no control character, not only white space.
            pub fn new(text: impl Into<String>) -> Result<Self, $crate::model::InvalidText> {
                let text = text.into();
                if text.trim().is_empty() {
                    Err($crate::model::InvalidText::Empty)
                } else if text.chars().count() > $max {
                    Err($crate::model::InvalidText::TooLong { max: $max })
                } else if text.chars().any(char::is_control) {
                    Err($crate::model::InvalidText::Control)
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
            type Err = $crate::model::InvalidText;

            fn from_str(text: &str) -> Result<Self, $crate::model::InvalidText> {
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

bounded_text! {
    /// A display name of an organization, an event, a gate, a device or a key.
    Name: 1..=200;
    /// The name of a ticket class, such as `VIP`.
    ClassName: 1..=64;
    /// A gate's short code on plans and signs.
    GateCode: 1..=32;
    /// A part of a seat: block, row or number.
    SeatPart: 1..=32;
    /// A note that the steward sees with the ticket.
    Note: 1..=500;
    /// The holder's name. Personal data: only the ticket search returns it.
    HolderName: 1..=200;
    /// The reference of the order that a ticket belongs to.
    OrderRef: 1..=100;
    /// The reason that a person gives for an override or an undo.
    ReasonText: 1..=500;
    /// What a webhook is for.
    WebhookDescription: 1..=200;
}

pub(crate) use {bounded_text, string_enum, wire_numbers};

//! The local time of an event: the name of its time zone, and a time of day.
//!
//! Invariant: the model checks the form of a name only. Whether the zone exists is known where the time zone database is:
//! on servers ([`TimeZoneName::zone`]). So a phone or an older node reads an event of a zone that it does not know.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::text::Ascii;

/// The name of a time zone of the IANA database, such as `Europe/Berlin`. The default is `UTC`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TimeZoneName(String);

/// The error of a text that is not the name of a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not the name of a time zone such as Europe/Berlin")]
pub struct InvalidTimeZoneName;

impl TimeZoneName {
    /// The maximum number of characters.
    pub const MAX: usize = 64;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The time zone; `None` if the time zone database of this program does not have it. Letters count as they are written
    /// in the database.
    #[cfg(feature = "node")]
    #[must_use]
    pub fn zone(&self) -> Option<jiff::tz::TimeZone> {
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(&self.0).ok()?;
        (zone.iana_name() == Some(self.as_str())).then_some(zone)
    }
}

impl Default for TimeZoneName {
    fn default() -> Self {
        Self("UTC".to_owned())
    }
}

impl fmt::Display for TimeZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for TimeZoneName {
    type Err = InvalidTimeZoneName;

    fn from_str(text: &str) -> Result<Self, InvalidTimeZoneName> {
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-');
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(is_name_byte);
        let starts_with_letter = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        if starts_with_letter && text.len() <= Self::MAX && text.split('/').all(is_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTimeZoneName)
        }
    }
}

impl<'de> Deserialize<'de> for TimeZoneName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::model::text::parsed(deserializer)
    }
}

/// The schema lists the names of the time zone database as a pattern: generators of clients would make an enum of them, in
/// which `Etc/GMT+1` and `Etc/GMT-1` get one name.
#[cfg(feature = "schema")]
impl schemars::JsonSchema for TimeZoneName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TimeZoneName".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "The name of a time zone of the IANA database, such as `Europe/Berlin`.",
            "type": "string", "maxLength": Self::MAX, "pattern": names_pattern()
        })
    }
}

#[cfg(all(feature = "schema", feature = "node"))]
fn names_pattern() -> String {
    let mut names: Vec<_> = jiff::tz::TimeZoneDatabase::bundled()
        .available()
        .map(|name| name.as_str().replace('+', "\\+"))
        .collect();
    names.sort_unstable();
    format!("^({})$", names.join("|"))
}

#[cfg(all(feature = "schema", not(feature = "node")))]
fn names_pattern() -> String {
    "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$".to_owned()
}

/// A time of day in hours and minutes. Its text is `HH:MM`. The default is midnight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LocalTime {
    /// Minutes since midnight, below [`Self::MINUTES_OF_DAY`].
    minutes: u16,
}

/// The error of a text that is not a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a time of day such as 06:00")]
pub struct InvalidLocalTime;

impl LocalTime {
    const MINUTES_OF_DAY: u16 = 24 * 60;

    /// The hour, 0 to 23.
    #[must_use]
    pub const fn hour(self) -> u16 {
        self.minutes / 60
    }

    /// The minute, 0 to 59.
    #[must_use]
    pub const fn minute(self) -> u16 {
        self.minutes % 60
    }

    fn text(self) -> Ascii<5> {
        let digit = |number: u16| b"0123456789"[usize::from(number % 10)];
        let (hour, minute) = (self.hour(), self.minute());
        Ascii([
            digit(hour / 10),
            digit(hour),
            b':',
            digit(minute / 10),
            digit(minute),
        ])
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text().as_str())
    }
}

impl fmt::Debug for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LocalTime {
    type Err = InvalidLocalTime;

    fn from_str(text: &str) -> Result<Self, InvalidLocalTime> {
        let [h, i, b':', m, n] = *text.as_bytes() else {
            return Err(InvalidLocalTime);
        };
        let number = |tens: u8, ones: u8| {
            let is_number = tens.is_ascii_digit() && ones.is_ascii_digit();
            is_number.then(|| u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
        };
        let (hour, minute) = number(h, i).zip(number(m, n)).ok_or(InvalidLocalTime)?;
        let minutes = hour * 60 + minute;
        if minute < 60 && minutes < Self::MINUTES_OF_DAY {
            Ok(Self { minutes })
        } else {
            Err(InvalidLocalTime)
        }
    }
}

impl Serialize for LocalTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text().as_str())
    }
}

impl<'de> Deserialize<'de> for LocalTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::model::text::parsed(deserializer)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for LocalTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LocalTime".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_two_digits_for_hours_and_minutes() {
        for (text, hour, minute) in [
            ("00:00", 0, 0),
            ("06:00", 6, 0),
            ("09:05", 9, 5),
            ("23:59", 23, 59),
        ] {
            let time: LocalTime = text.parse().expect(text);
            assert_eq!((time.hour(), time.minute()), (hour, minute));
            assert_eq!(time.to_string(), text);
        }
        for text in [
            "",
            "6:00",
            "24:00",
            "23:60",
            "06:00:00",
            "0600",
            "+6:00",
            "06.00",
            "06:0\u{661}",
        ] {
            assert_eq!(text.parse::<LocalTime>(), Err(InvalidLocalTime), "{text}");
        }
    }

    #[test]
    fn a_name_has_the_form_of_the_time_zone_database() {
        for text in [
            "UTC",
            "Europe/Berlin",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+5",
            "EST5EDT",
        ] {
            let name: TimeZoneName = text.parse().expect(text);
            assert_eq!(name.to_string(), text);
        }
        let long = "A".repeat(65);
        for text in [
            "",
            "/",
            "Europe/",
            "/Berlin",
            "Europe//Berlin",
            "../etc",
            "+02:00",
            "Europe/K\u{f6}ln",
            &long,
        ] {
            assert_eq!(text.parse::<TimeZoneName>(), Err(InvalidTimeZoneName), "{text}");
        }
    }

    #[cfg(feature = "node")]
    #[test]
    fn a_server_knows_the_zones_of_the_database_as_they_are_written_there() {
        let is_known = |text: &str| text.parse::<TimeZoneName>().expect(text).zone().is_some();
        for text in [
            "UTC",
            "Etc/UTC",
            "Europe/Berlin",
            "America/Sao_Paulo",
            "Asia/Kolkata",
            "Europe/Kiev",
        ] {
            assert!(is_known(text), "{text}");
        }
        for text in ["Mars/Phobos", "europe/berlin", "Local", "Europe"] {
            assert!(!is_known(text), "{text}");
        }
        let database = jiff::tz::TimeZoneDatabase::bundled();
        assert!(database.available().all(|name| is_known(name.as_str())));
    }
}

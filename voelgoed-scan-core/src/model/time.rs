//! Points in time: milliseconds since the Unix epoch, UTC.
//!
//! Invariant: the core never reads a clock; callers pass the time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::text::Ascii;

/// A point in time in milliseconds since the Unix epoch. Its text is RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The error of a text that is not an RFC 3339 date and time with an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an RFC 3339 date and time such as 2026-11-22T18:04:05.120Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// The earliest time that has a text: year 1.
    const MIN_MILLIS: i64 = -62_135_596_800_000;
    /// The latest time that has a text: 9999-12-31T23:59:59.999Z.
    const MAX_MILLIS: i64 = 253_402_300_799_999;
    /// The latest time that the time library knows: it leaves room for every offset.
    const MAX_LIBRARY_MILLIS: i64 = 253_402_207_199_999;
    /// The years 9998 and 9999 have 365 days each.
    const YEAR_MILLIS: i64 = 365 * 86_400_000;

    /// The earliest time.
    pub const MIN: Self = Self(Self::MIN_MILLIS);
    /// The latest time.
    pub const MAX: Self = Self(Self::MAX_MILLIS);

    /// The time `millis` milliseconds after the Unix epoch; clamped to the years 1 to 9999.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        if millis < Self::MIN_MILLIS {
            Self(Self::MIN_MILLIS)
        } else if millis > Self::MAX_MILLIS {
            Self(Self::MAX_MILLIS)
        } else {
            Self(millis)
        }
    }

    /// The time `seconds` seconds after the Unix epoch; clamped to the years 1 to 9999.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This time moved by `millis` milliseconds, forward or back.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// This time moved forward by `duration`.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        self.plus_millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }

    /// This time moved back by `duration`.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        self.plus_millis(-i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }

    /// The text. It is built digit by digit: a scan writes about six times, and a general formatter takes longer for each than
    /// the rest of the scan's JSON.
    pub(crate) fn text(self) -> Ascii<24> {
        // The last day is beyond the library's range. A year earlier it has the same month and day.
        let (millis, years) = if self.0 > Self::MAX_LIBRARY_MILLIS {
            (self.0 - Self::YEAR_MILLIS, 1)
        } else {
            (self.0, 0)
        };
        let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
        let at = jiff::tz::Offset::UTC.to_datetime(time);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        write_digits(&mut text[0..4], at.year().unsigned_abs() + years);
        write_digits(&mut text[5..7], at.month().unsigned_abs().into());
        write_digits(&mut text[8..10], at.day().unsigned_abs().into());
        write_digits(&mut text[11..13], at.hour().unsigned_abs().into());
        write_digits(&mut text[14..16], at.minute().unsigned_abs().into());
        write_digits(&mut text[17..19], at.second().unsigned_abs().into());
        write_digits(&mut text[20..23], at.millisecond().unsigned_abs());
        Ascii(text)
    }

    /// Milliseconds from `earlier` to this time. Negative if `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Writes a number in decimal, padded with zeros.
fn write_digits(digits: &mut [u8], mut number: u16) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789"[usize::from(number % 10)];
        number /= 10;
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a text has the form of RFC 3339, which is stricter than the ISO 8601 that the time library reads: a full date, `T`, a full
/// time, a fraction with a point, `Z` or hours and minutes of an offset.
fn is_rfc_3339(text: &[u8]) -> bool {
    let has_form = |text: &[u8], form: &[u8]| {
        let same = |(byte, form): (&u8, &u8)| match form {
            b'0' => byte.is_ascii_digit(),
            form => byte.eq_ignore_ascii_case(form),
        };
        text.len() == form.len() && text.iter().zip(form).all(same)
    };
    let Some((time, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let offset = match rest.split_first() {
        Some((b'.', fraction)) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            fraction.get(digits..).filter(|_| digits > 0)
        }
        _ => Some(rest),
    };
    let is_offset = |offset: &[u8]| match offset {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', offset @ ..] => {
            has_form(offset, b"00:00")
                && offset.get(..2).is_some_and(|hours| hours < b"24".as_slice())
                && offset.get(3..).is_some_and(|minutes| minutes < b"60".as_slice())
        }
        _ => false,
    };
    has_form(time, b"0000-00-00T00:00:00") && offset.is_some_and(is_offset)
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        if !is_rfc_3339(text.as_bytes()) {
            return Err(InvalidTimestamp);
        }
        let parse = |text: &str| text.parse::<jiff::Timestamp>().map_err(|_| InvalidTimestamp);
        // The last day is beyond the library's range.
        let millis = match text.strip_prefix("9999") {
            Some(rest) => parse(&format!("9998{rest}"))?.as_millisecond() + Self::YEAR_MILLIS,
            None => parse(text)?.as_millisecond(),
        };
        // The library takes second 60 of any minute for second 59. A leap second is the last of a day.
        let is_leap = text.get(17..19) == Some("60");
        let is_last_minute = millis.div_euclid(60_000).rem_euclid(24 * 60) == 24 * 60 - 1;
        if (Self::MIN_MILLIS..=Self::MAX_MILLIS).contains(&millis) && (!is_leap || is_last_minute) {
            Ok(Self(millis))
        } else {
            Err(InvalidTimestamp)
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text().as_str())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::model::text::parsed(deserializer)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_rfc_3339_in_utc_with_milliseconds() {
        let time = Timestamp::from_millis(1_780_003_600_120);
        assert_eq!(time.to_string(), "2026-05-28T21:26:40.120Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!("2026-05-28T23:26:40.12+02:00".parse(), Ok(time));
        assert_eq!(Timestamp::from_seconds(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    proptest::proptest! {
        #[test]
        fn text_equals_that_of_the_time_library(millis in Timestamp::MIN_MILLIS..=Timestamp::MAX_LIBRARY_MILLIS) {
            let expected = jiff::Timestamp::from_millisecond(millis).expect("it is in range");
            proptest::prop_assert_eq!(Timestamp::from_millis(millis).to_string(), format!("{expected:.3}"));
        }
    }

    #[test]
    fn every_time_of_the_years_1_to_9999_is_a_time() {
        for (text, millis) in [
            ("9999-12-31T23:59:59.999Z", Timestamp::MAX_MILLIS),
            ("9999-12-31T23:59:59.999+00:00", Timestamp::MAX_MILLIS),
            ("9999-12-30T22:00:00.000Z", Timestamp::MAX_LIBRARY_MILLIS + 1),
            ("9999-12-30T21:59:59.999Z", Timestamp::MAX_LIBRARY_MILLIS),
            ("9999-12-31T12:00:00.000Z", Timestamp::MAX_MILLIS - 43_199_999),
            ("0001-01-01T00:00:00.000Z", Timestamp::MIN_MILLIS),
        ] {
            let time: Timestamp = text.parse().expect(text);
            assert_eq!(time.as_millis(), millis, "{text}");
            assert_eq!(time.to_string(), text.replace("+00:00", "Z"), "{text}");
        }
        let in_another_zone: Timestamp = "9999-12-31T23:59:59+14:00".parse().expect("it is before the end");
        assert_eq!(in_another_zone.to_string(), "9999-12-31T09:59:59.000Z");
        for text in [
            "9999-12-31T23:59:59-00:01",
            "9999-02-29T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+00:01",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text}");
        }
    }

    #[test]
    fn every_form_of_rfc_3339_is_read() {
        for (text, millis) in [
            ("2026-05-28t21:26:40.120z", 1_780_003_600_120),
            ("2026-05-28T21:26:40.1209999Z", 1_780_003_600_120),
            ("2026-05-28T21:26:40-00:00", 1_780_003_600_000),
            ("2026-05-29T21:25:40+23:59", 1_780_003_600_000),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000),
            ("2017-01-01T00:59:60+01:00", 1_483_228_799_000),
        ] {
            assert_eq!(text.parse(), Ok(Timestamp::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_not_times() {
        for text in [
            "",
            "now",
            "2026-05-28",
            "2026-05-28T21:26:40",
            "20260528T212640Z",
            "2026-13-01T00:00:00Z",
            "2026-05-28T21:26:40Z[Europe/Paris]",
            "2026-05-28 21:26:40Z",
            "-000001-01-01T00:00:00Z",
            "2026-05-28T21:26:40,5Z",
            "2026-05-28T21:26:40.Z",
            "2026-05-28T21:26:40+02",
            "2026-05-28T21:26:40+0200",
            "2026-05-28T21:26:40+02:00:30",
            "2026-05-28T21:26:40+24:00",
            "2026-05-28T21:26:40+02:60",
            "2026-05-28T21:26:60Z",
            "2026-05-28T23:59:60+01:00",
            "2026-05-28T24:00:00Z",
            "2026-05-28T21:26:40 Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(InvalidTimestamp), "{text:?}");
        }
    }

    #[test]
    fn arithmetic_stays_within_the_years_1_to_9999() {
        let last = Timestamp::from_millis(i64::MAX);
        assert_eq!(last.plus_millis(i64::MAX), last);
        assert!(last.to_string().starts_with("9999-"));
        assert!(Timestamp::from_millis(i64::MIN).to_string().starts_with("0001-"));
    }
}

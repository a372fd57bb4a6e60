//! An age, such as `400d`.

use std::str::FromStr;
use std::time::Duration;

/// An age: a whole number of seconds, minutes, hours or days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age(Duration);

/// The error of a text that is no age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an age: give a number with s, m, h or d, such as 400d")]
pub(super) struct InvalidAge;

impl Age {
    pub(super) const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Age {
    type Err = InvalidAge;

    fn from_str(text: &str) -> Result<Self, InvalidAge> {
        let unit = text.chars().last().ok_or(InvalidAge)?;
        let seconds: u64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return Err(InvalidAge),
        };
        let number = text.strip_suffix(unit).ok_or(InvalidAge)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidAge);
        }
        let number: u64 = number.parse().map_err(|_| InvalidAge)?;
        let seconds = number.checked_mul(seconds).ok_or(InvalidAge)?;
        // Ten thousand years. No event is older, and no time overflows.
        if seconds > 10_000 * 366 * 24 * 60 * 60 {
            return Err(InvalidAge);
        }
        Ok(Self(Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_of_four_units() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("5m", 300),
            ("2h", 7200),
            ("400d", 34_560_000),
        ] {
            assert_eq!(text.parse(), Ok(Age(Duration::from_secs(seconds))), "{text}");
        }
        for text in [
            "",
            "d",
            "4",
            "4w",
            "-1d",
            "+1d",
            "1.5h",
            "1 d",
            "99999999999d",
            "18446744073709551615d",
            "1é",
        ] {
            assert_eq!(text.parse::<Age>(), Err(InvalidAge), "{text}");
        }
    }
}

//! A percentage that selects items evenly from a sequence.

use std::str::FromStr;

/// A percentage in tenths of a percent, 0 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Percentage(u64);

/// The text is not a percentage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a percentage: give it as 0% to 100%")]
pub(crate) struct InvalidPercentage;

/// 100 percent.
const WHOLE: u64 = 1000;

impl Percentage {
    /// Whether this is 0 percent.
    pub(super) const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The rest of `all` after this percentage is taken away, rounded up.
    pub(super) const fn remainder_of(self, all: u64) -> u64 {
        all.saturating_mul(WHOLE - self.0).div_ceil(WHOLE)
    }

    /// Whether the `n`-th item is selected. Exactly this percentage of any thousand items in a row is selected, evenly
    /// spread.
    pub(super) const fn selects(self, n: u64) -> bool {
        // 619 and 1000 have no common factor: each remainder occurs once in a thousand, far from the one before.
        (n % WHOLE) * 619 % WHOLE < self.0
    }
}

impl FromStr for Percentage {
    type Err = InvalidPercentage;

    fn from_str(text: &str) -> Result<Self, InvalidPercentage> {
        let number: f64 = text
            .trim_end_matches('%')
            .trim_end()
            .parse()
            .map_err(|_| InvalidPercentage)?;
        if !(0.0..=100.0).contains(&number) {
            return Err(InvalidPercentage);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 1000"
        )]
        Ok(Self((number * 10.0).round() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_thousand_items_contain_the_exact_percentage() {
        for (text, expected) in [("0%", 0), ("20%", 200), ("12.5", 125), ("100 %", 1000)] {
            let percentage: Percentage = text.parse().expect("a percentage");
            for start in [0, 1, 999, 123_456] {
                let count = (start..start + 1000).filter(|n| percentage.selects(*n)).count();
                assert_eq!(count as u64, expected, "{text} from {start}");
            }
            assert_eq!(percentage.remainder_of(10_000), 10_000 - expected * 10);
        }
        for text in ["", "%", "-1%", "101%", "many", "NaN"] {
            assert_eq!(text.parse::<Percentage>(), Err(InvalidPercentage), "{text:?}");
        }
    }
}

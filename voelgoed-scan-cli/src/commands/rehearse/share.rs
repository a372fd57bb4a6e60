//! How many of many? A share in percent, spread evenly.

use std::str::FromStr;

/// A share in tenths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share(u64);

/// A text that is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a share: give it as 0% to 100%")]
pub(crate) struct InvalidShare;

const WHOLE: u64 = 1000;

impl Share {
    /// Whether it is nothing.
    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// What the share leaves of `all`.
    pub(super) const fn rest_of(self, all: u64) -> u64 {
        all.saturating_mul(WHOLE - self.0).div_ceil(WHOLE)
    }

    /// Whether the `n`-th thing belongs to the share: of any thousand in a row, as many as it says, spread evenly.
    pub(super) const fn has(self, n: u64) -> bool {
        // 619 and 1000 have no common factor: each remainder comes once, far from the one before.
        (n % WHOLE) * 619 % WHOLE < self.0
    }
}

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let number: f64 = text
            .trim_end_matches('%')
            .trim_end()
            .parse()
            .map_err(|_| InvalidShare)?;
        if !(0.0..=100.0).contains(&number) {
            return Err(InvalidShare);
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
    fn a_share_is_kept_over_any_thousand() {
        for (text, share) in [("0%", 0), ("20%", 200), ("12.5", 125), ("100 %", 1000)] {
            let read: Share = text.parse().expect("a share");
            for start in [0, 1, 999, 123_456] {
                let count = (start..start + 1000).filter(|n| read.has(*n)).count();
                assert_eq!(count as u64, share, "{text} from {start}");
            }
            assert_eq!(read.rest_of(10_000), 10_000 - share * 10);
        }
        for text in ["", "%", "-1%", "101%", "many", "NaN"] {
            assert_eq!(text.parse::<Share>(), Err(InvalidShare), "{text:?}");
        }
    }
}

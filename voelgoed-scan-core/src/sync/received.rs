//! The sequence numbers of a device's log that the server received, and the missing ones.

use serde::{Deserialize, Serialize};

/// The maximum number of ranges. It bounds the row of a device whose numbers have gaps.
const MAX_RANGES: usize = 500;

/// The maximum number of gaps in an answer.
const MAX_LISTED_GAPS: usize = 100;

/// Received sequence numbers as ranges: sorted, not adjacent, with both ends included.
///
/// There are at most [`MAX_RANGES`]. Of more, the lowest are forgotten except the first, so that their gaps grow into one:
/// a missing number is never taken for received.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReceivedSequences(Vec<(u64, u64)>);

impl ReceivedSequences {
    /// Adds numbers.
    pub fn extend(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.0.extend(numbers.into_iter().map(|one| (one, one)));
        self.0.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(self.0.len());
        for &(first, last) in &self.0 {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        let surplus = merged.len().saturating_sub(MAX_RANGES);
        if surplus > 0 {
            merged.drain(1..=surplus);
        }
        self.0 = merged;
    }

    /// Whether a number was received.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let after = self.0.partition_point(|&(first, _)| first <= number);
        after
            .checked_sub(1)
            .and_then(|at| self.0.get(at))
            .is_some_and(|&(_, last)| number <= last)
    }

    /// The lowest gaps, at most [`MAX_LISTED_GAPS`], and how many more there are.
    #[must_use]
    pub fn missing_listed(&self) -> (Vec<(u64, u64)>, usize) {
        let mut gaps = self.missing();
        let more = gaps.len().saturating_sub(MAX_LISTED_GAPS);
        gaps.truncate(MAX_LISTED_GAPS);
        (gaps, more)
    }

    /// The gaps from 1 to the highest received number: first and last number of each.
    #[must_use]
    pub fn missing(&self) -> Vec<(u64, u64)> {
        let mut next = 1;
        let mut gaps = Vec::new();
        for &(first, last) in &self.0 {
            if next < first {
                gaps.push((next, first - 1));
            }
            next = last.saturating_add(1);
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gap_has_its_first_and_last_number() {
        let mut received = ReceivedSequences::default();
        assert!(received.missing().is_empty());
        received.extend([4, 2, 9, 3]);
        assert_eq!(received.missing(), [(1, 1), (5, 8)]);
        received.extend([1, 5, 6, 7, 8]);
        assert!(received.missing().is_empty());
        assert_eq!(received.0, [(1, 9)]);
    }

    #[test]
    fn gaps_without_end_are_bounded_and_no_missing_number_is_taken_for_received() {
        let mut received = ReceivedSequences::default();
        let every_other = |range: std::ops::Range<u64>| range.map(|number| 1 + 2 * number);
        received.extend(every_other(0..200));
        let (listed, more) = received.missing_listed();
        assert_eq!((listed.len(), more), (100, 99));
        assert_eq!(listed.first(), Some(&(2, 2)));
        for start in 0..60 {
            received.extend(every_other(start * 1000..(start + 1) * 1000));
        }
        assert_eq!(received.0.len(), MAX_RANGES);
        assert!(serde_json::to_string(&received).expect("JSON").len() < 16 * 1024);
        assert_eq!(received.0.first(), Some(&(1, 1)));
        assert!(received.contains(119_999) && !received.contains(119_998) && !received.contains(120_000));
        let gaps = received.missing();
        assert_eq!(
            gaps.first(),
            Some(&(2, 119_002)),
            "the forgotten ranges and their gaps are one gap"
        );
        // A device that closes its gaps has none left.
        received.extend(1..120_000);
        assert_eq!(received.0, [(1, 119_999)]);
    }

    #[test]
    fn the_ends_of_the_numbers_are_safe() {
        let mut received = ReceivedSequences::default();
        received.extend([u64::MAX, u64::MAX - 1, 0, 1]);
        assert!(received.contains(0) && received.contains(u64::MAX) && !received.contains(2));
        assert_eq!(received.missing(), [(2, u64::MAX - 2)]);
    }

    proptest! {
        #[test]
        fn order_and_grouping_make_no_difference(numbers in proptest::collection::vec(1_u64..40, 0..30), cut in 0_usize..30) {
            let mut whole = ReceivedSequences::default();
            whole.extend(numbers.iter().copied());
            let (one, other) = numbers.split_at(cut.min(numbers.len()));
            let mut parts = ReceivedSequences::default();
            parts.extend(other.iter().copied());
            parts.extend(one.iter().copied());
            prop_assert_eq!(&whole, &parts);
            let highest = numbers.iter().copied().max().unwrap_or(0);
            let missing: Vec<u64> = whole.missing().into_iter().flat_map(|(first, last)| first..=last).collect();
            let expected: Vec<u64> = (1..highest).filter(|one| !numbers.contains(one)).collect();
            prop_assert_eq!(missing, expected);
        }
    }
}

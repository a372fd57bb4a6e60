//! The sequence numbers of a device's log that the server received, and the missing ones.

use serde::{Deserialize, Serialize};

/// Received sequence numbers as ranges: sorted, not adjacent, with both ends included.
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
        self.0 = merged;
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

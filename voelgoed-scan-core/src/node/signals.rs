//! Signals: what somebody should look at.
//!
//! | file | does |
//! |---|---|
//! | `search` | finds signals in the background, on one node at a time |
//! | `feed` | distributes the signals that open and end to the subscribers on this node |
//!
//! Invariant: signals follow from what is on record. No scan waits for them.

mod feed;
mod search;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use feed::{SignalFeed, SignalSubscription};
pub(crate) use search::SignalSearch;

use crate::model::{Signal, SignalKind};

/// How many signals this node opened, by kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct SignalCounts(Arc<[AtomicU64; SignalKind::ALL.len()]>);

impl SignalCounts {
    /// Counts the signals that opened.
    fn count(&self, changed: &[Signal]) {
        let opened = changed
            .iter()
            .filter(|signal| signal.closed_at.is_none() || signal.kind == SignalKind::LateBatch);
        for signal in opened {
            let place = SignalKind::ALL.iter().position(|kind| *kind == signal.kind);
            if let Some(count) = place.and_then(|place| self.0.get(place)) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The counts of all kinds.
    pub(crate) fn by_kind(&self) -> Vec<(SignalKind, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        SignalKind::ALL.iter().copied().zip(counts).collect()
    }
}

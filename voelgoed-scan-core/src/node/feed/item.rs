//! The items of a feed, with their renderings, which all subscribers share.

use std::sync::{Arc, OnceLock};

use crate::model::EventOccupancy;
use crate::store::FeedEntry;

/// An item of the feed.
#[derive(Debug, Clone)]
pub enum FeedItem {
    /// Scans that were recorded or changed, in the order of their recording.
    Scans(Arc<ScansItem>),
    /// The present occupancy.
    Occupancy(Arc<OccupancyItem>),
}

/// A text that is made of an item once for all subscribers.
#[derive(Debug, Default)]
pub struct Rendering(OnceLock<Arc<[u8]>>);

impl Rendering {
    /// The text, which `render` makes if nobody needed it before.
    pub fn get(&self, render: impl FnOnce() -> Vec<u8>) -> Arc<[u8]> {
        Arc::clone(self.0.get_or_init(|| render().into()))
    }
}

/// Scans that were recorded or changed.
#[derive(Debug)]
pub struct ScansItem {
    entries: Vec<FeedEntry>,
    /// The text for subscribers who may see ticket codes.
    pub with_codes: Rendering,
    /// The text for the others.
    pub without_codes: Rendering,
}

impl ScansItem {
    pub(super) fn new(entries: Vec<FeedEntry>) -> Self {
        Self {
            entries,
            with_codes: Rendering::default(),
            without_codes: Rendering::default(),
        }
    }

    /// The entries, in the order of their positions.
    #[must_use]
    pub fn entries(&self) -> &[FeedEntry] {
        &self.entries
    }

    /// The position of the last entry.
    #[must_use]
    pub fn last_position(&self) -> i64 {
        self.entries.last().map_or(0, |entry| entry.position)
    }

    /// The item without the entries up to a position. `None` if no entry is left.
    pub(super) fn after(self: Arc<Self>, position: i64) -> Option<Arc<Self>> {
        let old = self.entries.partition_point(|entry| entry.position <= position);
        match self.entries.get(old..) {
            None | Some([]) => None,
            Some(_) if old == 0 => Some(self),
            Some(new) => Some(Arc::new(Self::new(new.to_vec()))),
        }
    }
}

/// The occupancy of an event.
#[derive(Debug)]
pub struct OccupancyItem {
    /// The position of the last entry before it.
    pub position: i64,
    /// The counts.
    pub occupancy: EventOccupancy,
    /// The text for all subscribers.
    pub rendering: Rendering,
}

impl OccupancyItem {
    pub(super) fn new(position: i64, occupancy: EventOccupancy) -> Self {
        Self {
            position,
            occupancy,
            rendering: Rendering::default(),
        }
    }

    /// The item for a subscriber who has all entries up to a position. It may have read further than the channel had when
    /// the item was published, and must not resume before that.
    pub(super) fn at_least(self: Arc<Self>, position: i64) -> Arc<Self> {
        if self.position >= position {
            return self;
        }
        Arc::new(Self::new(position, self.occupancy.clone()))
    }
}

impl FeedItem {
    /// How much of a subscriber's queue the item takes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Scans(scans) => scans.entries.len(),
            Self::Occupancy(_) => 1,
        }
    }
}

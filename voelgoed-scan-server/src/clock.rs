//! What time is it? The one place of the server that asks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use voelgoed_scan_core::model::Timestamp;

/// The server's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// By how many milliseconds it is off: other than zero in tests alone.
    offset: i64,
}

impl Clock {
    pub(crate) fn new(offset: i64) -> Self {
        Self { offset }
    }

    /// A clock set before 1970 reads as 1970.
    #[expect(clippy::disallowed_methods, reason = "the one file that reads the clock")]
    pub(crate) fn now(self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(millis.saturating_add(self.offset))
    }
}

/// A point from which to measure how long something takes.
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

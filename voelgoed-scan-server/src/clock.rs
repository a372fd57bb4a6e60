//! The clock. No other file of the server reads the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use voelgoed_scan_core::model::Timestamp;

/// The server's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// The deviation in milliseconds; not zero only in tests.
    offset: i64,
}

impl Clock {
    pub(crate) fn new(offset: i64) -> Self {
        Self { offset }
    }

    /// The current time. A time before 1970 is returned as 1970.
    #[expect(clippy::disallowed_methods, reason = "the one file that reads the clock")]
    pub(crate) fn now(self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(millis.saturating_add(self.offset))
    }
}

/// The start of a duration measurement.
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

//! What time is it? The one place of the server that asks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use voelgoed_scan_core::Timestamp;

/// The server's clock. A clock set before 1970 reads as 1970.
#[expect(clippy::disallowed_methods, reason = "the one file that reads the clock")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// A point from which to measure how long something takes.
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

//! The clock. No other file of the server reads the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use voelgoed_scan_core::model::Timestamp;

/// A clock that stands at the time to which a test sets it.
#[derive(Debug, Clone, Default)]
pub struct StandingClock(Arc<AtomicI64>);

impl StandingClock {
    /// Sets the time.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_millis(), Ordering::SeqCst);
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The server's clock.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// The deviation in milliseconds; not zero only in tests.
    offset: i64,
    /// A test's clock.
    standing: Option<StandingClock>,
}

impl Clock {
    pub(crate) fn new(offset: i64, standing: Option<StandingClock>) -> Self {
        Self { offset, standing }
    }

    /// The current time. A time before 1970 is returned as 1970.
    #[expect(clippy::disallowed_methods, reason = "the one file that reads the clock")]
    pub(crate) fn now(&self) -> Timestamp {
        if let Some(standing) = &self.standing {
            return standing.now();
        }
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(millis.saturating_add(self.offset))
    }
}

/// The start of a duration measurement.
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

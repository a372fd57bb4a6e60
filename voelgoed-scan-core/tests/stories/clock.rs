//! The clocks of a story. All follow the virtual time of the runtime; a phone's wall clock may be wrong.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tokio::time::Instant;
use voelgoed_scan_core::client::Clock;
use voelgoed_scan_core::model::Timestamp;

/// The time at which the first story starts: 2026-11-22T18:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_795_370_400_000);

/// The true time, which is the server's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrueClock(Instant);

impl TrueClock {
    /// Starts the clock. Must be called within the runtime.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Timestamp {
        START.plus(self.0.elapsed())
    }
}

/// The clock of a phone.
#[derive(Debug)]
pub(crate) struct PhoneClock {
    truth: TrueClock,
    /// The wall clock minus the true time, in milliseconds.
    pub(crate) error: AtomicI64,
    /// How often the phone was started.
    pub(crate) boots: AtomicU64,
}

impl PhoneClock {
    pub(crate) fn new(truth: TrueClock, error: i64) -> Self {
        Self {
            truth,
            error: AtomicI64::new(error),
            boots: AtomicU64::new(1),
        }
    }
}

impl Clock for PhoneClock {
    fn now(&self) -> Timestamp {
        self.truth.now().plus_millis(self.error.load(Ordering::SeqCst))
    }

    /// The milliseconds of the story, whatever the wall clock says.
    fn monotonic_ms(&self) -> Option<u64> {
        u64::try_from(self.truth.now().millis_since(START)).ok()
    }

    fn boot_id(&self) -> Option<String> {
        Some(format!("boot {}", self.boots.load(Ordering::SeqCst)))
    }
}

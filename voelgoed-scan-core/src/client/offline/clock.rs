//! The time of a scan by the server's clock, however the device's clock is set.
//!
//! Each exchange with the server leaves an anchor: the server's time, and the device's wall clock and monotonic clock at
//! that moment. Within the same boot the monotonic clock gives the time since then, and nobody can set it. After a reboot
//! only the wall clock is left.
//!
//! Invariants: pure, the readings are passed in; the time never falls behind the last one that was certain.

use crate::client::Clock;
use crate::model::Timestamp;
use crate::model::text::string_enum;

/// A clock offset of at most this counts as none.
const OFFSET_TOLERANCE_MS: i64 = 2000;

/// Wall clock and monotonic clock may differ by this much before the wall clock counts as set.
const DRIFT_TOLERANCE_MS: i64 = 5000;

string_enum! {
    /// What the phone knows about its clock.
    pub enum ClockState {
        /// The clock agrees with the monotonic clock, or the platform has none.
        Trusted = "trusted",
        /// Somebody set the clock since the last exchange with the server. Times come from the monotonic clock.
        Moved = "moved",
        /// The device was restarted since the last exchange, so nothing confirms its clock.
        Unverified = "unverified",
    }
}

/// The device's clocks at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClockReading {
    pub(super) wall: Timestamp,
    pub(super) monotonic_ms: Option<u64>,
    pub(super) boot_id: Option<String>,
}

impl ClockReading {
    /// Reads the monotonic clock beside a given time of the wall clock.
    pub(super) fn at(wall: Timestamp, clock: Option<&dyn Clock>) -> Self {
        Self {
            wall,
            monotonic_ms: clock.and_then(Clock::monotonic_ms),
            boot_id: clock.and_then(Clock::boot_id),
        }
    }

    /// The milliseconds from `earlier` to this reading by the monotonic clock. `None` if the device was restarted in
    /// between, or has no such clock.
    pub(super) fn elapsed_since(&self, earlier: &Self) -> Option<u64> {
        let boot = self.boot_id.as_ref()?;
        if earlier.boot_id.as_ref() != Some(boot) {
            return None;
        }
        self.monotonic_ms?.checked_sub(earlier.monotonic_ms?)
    }
}

/// A moment at which both the server's time and the device's clocks were known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anchor {
    /// The server's time.
    pub(super) server: Timestamp,
    /// The device's clocks.
    pub(super) device: ClockReading,
}

/// A time by the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CorrectedTime {
    pub(super) at: Timestamp,
    pub(super) state: ClockState,
    /// Whether the monotonic clock confirms it.
    pub(super) verified: bool,
}

/// What is known about the device's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DeviceClock {
    /// The server's clock minus the wall clock at the last exchange, in milliseconds.
    pub(super) offset: i64,
    pub(super) anchor: Option<Anchor>,
    /// The latest time that was certain.
    pub(super) verified: Option<Timestamp>,
}

impl DeviceClock {
    /// The time of a reading by the server's clock.
    pub(super) fn corrected(&self, reading: &ClockReading) -> CorrectedTime {
        let by_wall = reading.wall.plus_millis(self.offset);
        let Some(anchor) = &self.anchor else {
            return CorrectedTime {
                at: by_wall,
                state: ClockState::Trusted,
                verified: false,
            };
        };
        if let Some(elapsed) = reading.elapsed_since(&anchor.device) {
            let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX);
            let drift = reading
                .wall
                .millis_since(anchor.device.wall)
                .saturating_sub(elapsed);
            return CorrectedTime {
                at: anchor.server.plus_millis(elapsed),
                state: if drift.saturating_abs() > DRIFT_TOLERANCE_MS {
                    ClockState::Moved
                } else {
                    ClockState::Trusted
                },
                verified: true,
            };
        }
        let floor = anchor.server.max(self.verified.unwrap_or(anchor.server));
        let state = if floor.millis_since(by_wall) > DRIFT_TOLERANCE_MS {
            ClockState::Moved
        } else if anchor.device.monotonic_ms.is_some() {
            ClockState::Unverified
        } else {
            ClockState::Trusted
        };
        CorrectedTime {
            at: by_wall.max(floor),
            state,
            verified: false,
        }
    }

    /// Takes the result of one exchange: `sent_at` and `received` are the device's clocks, `server_time` is the server's
    /// in between. Returns whether the offset changed.
    pub(super) fn measure(&mut self, sent_at: Timestamp, received: ClockReading, server_time: Timestamp) {
        let halfway = received.wall.millis_since(sent_at).max(0) / 2;
        let offset = server_time.millis_since(sent_at.plus_millis(halfway));
        self.offset = if offset.saturating_abs() <= OFFSET_TOLERANCE_MS {
            0
        } else {
            offset
        };
        self.anchor = Some(Anchor {
            server: received.wall.plus_millis(self.offset),
            device: received,
        });
        self.verified = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Timestamp = Timestamp::from_seconds(1_780_000_000);

    fn reading(wall_s: i64, monotonic_s: u64, boot: &str) -> ClockReading {
        ClockReading {
            wall: SERVER.plus_millis(wall_s * 1000),
            monotonic_ms: Some(monotonic_s * 1000),
            boot_id: Some(boot.to_owned()),
        }
    }

    fn without_monotonic(wall_s: i64) -> ClockReading {
        ClockReading {
            monotonic_ms: None,
            boot_id: None,
            ..reading(wall_s, 0, "")
        }
    }

    /// A clock that was 100 s behind the server at its last exchange.
    fn measured(received: ClockReading) -> DeviceClock {
        let mut clock = DeviceClock::default();
        clock.measure(received.wall, received, SERVER);
        clock
    }

    fn corrected(clock: &DeviceClock, reading: &ClockReading) -> (i64, ClockState, bool) {
        let CorrectedTime { at, state, verified } = clock.corrected(reading);
        (at.millis_since(SERVER) / 1000, state, verified)
    }

    #[test]
    fn the_monotonic_clock_gives_the_time_whatever_the_wall_clock_says() {
        let clock = measured(reading(-100, 5000, "a"));
        assert_eq!(clock.offset, 100_000);
        for (wall, state) in [
            (-40, ClockState::Trusted),
            (-44, ClockState::Trusted),
            (-36, ClockState::Trusted),
            (-46, ClockState::Moved),
            (-34, ClockState::Moved),
            (21_600, ClockState::Moved),
            (-21_600, ClockState::Moved),
        ] {
            let shown = corrected(&clock, &reading(wall, 5060, "a"));
            assert_eq!(shown, (60, state, true), "{wall}");
        }
    }

    #[test]
    fn after_a_restart_the_wall_clock_counts_but_never_falls_behind_what_was_certain() {
        let mut clock = measured(reading(-100, 5000, "a"));
        for (wall, at, state) in [
            (-40, 60, ClockState::Unverified),
            (-102, 0, ClockState::Unverified),
            (-106, 0, ClockState::Moved),
            (-21_600, 0, ClockState::Moved),
        ] {
            let shown = corrected(&clock, &reading(wall, 10, "b"));
            assert_eq!(shown, (at, state, false), "{wall}");
        }
        clock.verified = Some(SERVER.plus_millis(50_000));
        assert_eq!(
            corrected(&clock, &reading(-100, 10, "b")),
            (50, ClockState::Moved, false)
        );
    }

    #[test]
    fn a_platform_without_a_monotonic_clock_notices_only_a_clock_that_was_set_back() {
        let clock = measured(without_monotonic(-100));
        for (wall, at, state) in [
            (-40, 60, ClockState::Trusted),
            (-200, 0, ClockState::Moved),
            (21_600, 21_700, ClockState::Trusted),
        ] {
            let shown = corrected(&clock, &without_monotonic(wall));
            assert_eq!(shown, (at, state, false), "{wall}");
        }
    }

    #[test]
    fn before_the_first_exchange_the_wall_clock_counts() {
        let shown = corrected(&DeviceClock::default(), &reading(7, 1, "a"));
        assert_eq!(shown, (7, ClockState::Trusted, false));
    }

    #[test]
    fn time_passes_only_within_one_boot() {
        let earlier = reading(0, 100, "a");
        assert_eq!(reading(0, 107, "a").elapsed_since(&earlier), Some(7000));
        assert_eq!(reading(0, 107, "b").elapsed_since(&earlier), None);
        assert_eq!(reading(0, 99, "a").elapsed_since(&earlier), None);
        assert_eq!(without_monotonic(0).elapsed_since(&without_monotonic(0)), None);
    }
}

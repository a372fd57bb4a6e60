//! Tracks whether the server is available, and when the next attempt is due after a failure.
//!
//! The wait doubles with each failure and is randomised ("equal jitter"), so that phones that lost the network together
//! do not reconnect at the same moment.

use std::time::Duration;

use parking_lot::Mutex;

use crate::client::ClientSettings;
use crate::model::Timestamp;

/// The state of the connection to the server.
#[derive(Debug)]
pub(super) struct Connectivity {
    initial_backoff: Duration,
    max_backoff: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    online: bool,
    failures: u32,
    /// The time of the last failure and the time of the next attempt, by the device's clock.
    backoff: Option<(Timestamp, Timestamp)>,
    last_error: Option<String>,
}

impl Connectivity {
    pub(super) fn new(settings: &ClientSettings) -> Self {
        Self {
            initial_backoff: settings.initial_backoff,
            max_backoff: settings.max_backoff,
            state: Mutex::default(),
        }
    }

    pub(super) fn is_online(&self) -> bool {
        self.state.lock().online
    }

    /// Returns whether the server is available, and the code of the last failure.
    pub(super) fn status(&self) -> (bool, Option<String>) {
        let state = self.state.lock();
        (state.online, state.last_error.clone())
    }

    /// Records that the server is available. Returns whether this changes the state.
    pub(super) fn mark_online(&self) -> bool {
        let mut state = self.state.lock();
        let changed = !state.online || state.last_error.is_some();
        *state = State {
            online: true,
            ..State::default()
        };
        changed
    }

    /// Records that the server is available but refused a request.
    pub(super) fn record_refusal(&self, code: &str) {
        let mut state = self.state.lock();
        state.failures = state.failures.saturating_add(1);
        state.last_error = Some(code.to_owned());
    }

    /// Records that the server is unavailable and starts a backoff of at least `retry_after`, which is what the server
    /// asked for.
    pub(super) fn mark_offline(&self, now: Timestamp, code: &str, retry_after: Option<Duration>) {
        let mut state = self.state.lock();
        let doubled = self
            .initial_backoff
            .saturating_mul(1 << state.failures.min(16))
            .min(self.max_backoff);
        // Between half of it and all of it.
        let backoff = doubled
            .mul_f64(0.5 + 0.5 * random_fraction())
            .max(retry_after.unwrap_or_default());
        state.online = false;
        state.failures = state.failures.saturating_add(1);
        state.backoff = Some((now, now.plus(backoff)));
        state.last_error = Some(code.to_owned());
    }

    /// Ends the backoff: the network changed, so the server may be available again.
    pub(super) fn end_backoff(&self) {
        let mut state = self.state.lock();
        state.backoff = None;
        state.failures = 0;
    }

    /// Returns the rest of the backoff. `None` if an attempt is due.
    pub(super) fn backoff(&self, now: Timestamp) -> Option<Duration> {
        let (since, until) = self.state.lock().backoff?;
        // A clock that was set back must not prolong the backoff.
        if now < since || now >= until {
            return None;
        }
        u64::try_from(until.millis_since(now))
            .ok()
            .map(Duration::from_millis)
    }
}

/// Returns a random number from 0 to 1.
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    crate::model::random::fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_maximum_and_is_at_least_half_of_it() {
        let connectivity = Connectivity::new(&ClientSettings::default());
        let now = Timestamp::from_seconds(1_780_000_000);
        assert!(
            !connectivity.is_online() && connectivity.backoff(now).is_none(),
            "the first attempt is due at once"
        );
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            connectivity.mark_offline(now, "offline", None);
            let backoff = connectivity.backoff(now).expect("a backoff");
            let longest = Duration::from_secs(seconds);
            assert!(
                backoff >= longest / 2 && backoff <= longest,
                "{backoff:?} of {longest:?}"
            );
        }
        assert!(
            connectivity.backoff(now.plus_millis(-1)).is_none(),
            "the clock was set back"
        );
        assert!(connectivity.backoff(now.plus(Duration::from_mins(1))).is_none());
        connectivity.mark_offline(now, "rate_limited", Some(Duration::from_mins(5)));
        assert_eq!(
            connectivity.backoff(now),
            Some(Duration::from_mins(5)),
            "the server's Retry-After"
        );
        connectivity.end_backoff();
        assert!(
            connectivity.backoff(now).is_none() && !connectivity.is_online(),
            "the network changed: an attempt is due at once"
        );
        connectivity.mark_offline(now, "offline", None);
        let backoff = connectivity.backoff(now).expect("a backoff");
        assert!(backoff <= Duration::from_secs(1), "it begins anew: {backoff:?}");
        assert!(connectivity.mark_online(), "the state changes");
        assert!(!connectivity.mark_online() && connectivity.backoff(now).is_none());
    }
}

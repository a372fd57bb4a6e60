//! Is the server there? And if not, when is it worth asking again?

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::client::ClientSettings;
use crate::model::Timestamp;

/// What is known of the way to the server.
#[derive(Debug)]
pub(super) struct Connectivity {
    first_retry: Duration,
    longest_retry: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    online: bool,
    failures: u32,
    /// By the device's clock: from the failure until it is worth asking again.
    pause: Option<(Timestamp, Timestamp)>,
    last_error: Option<String>,
}

impl Connectivity {
    pub(super) fn new(settings: &ClientSettings) -> Self {
        Self {
            first_retry: settings.first_retry,
            longest_retry: settings.longest_retry,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_up(&self) -> bool {
        self.lock().online
    }

    /// Whether the server is there, and the code of the last failure.
    pub(super) fn report(&self) -> (bool, Option<String>) {
        let state = self.lock();
        (state.online, state.last_error.clone())
    }

    /// The server is there; whether that is new.
    pub(super) fn up(&self) -> bool {
        let mut state = self.lock();
        let new = !state.online || state.last_error.is_some();
        *state = State {
            online: true,
            ..State::default()
        };
        new
    }

    /// The server is there, and refuses.
    pub(super) fn refused(&self, code: &str) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        state.last_error = Some(code.to_owned());
    }

    /// The server is not there: not to be asked for a while, twice as long each time; `wait` is what it asked for.
    pub(super) fn down(&self, now: Timestamp, code: &str, wait: Option<Duration>) {
        let mut state = self.lock();
        let doubled = self
            .first_retry
            .saturating_mul(1 << state.failures.min(16))
            .min(self.longest_retry);
        // Between half and all of it: phones that lost the network together do not come back together.
        let pause = doubled
            .mul_f64(0.5 + 0.5 * fraction())
            .max(wait.unwrap_or_default());
        state.online = false;
        state.failures = state.failures.saturating_add(1);
        state.pause = Some((now, now.plus(pause)));
        state.last_error = Some(code.to_owned());
    }

    /// How long it is not worth asking yet; nothing where it is.
    pub(super) fn pause(&self, now: Timestamp) -> Option<Duration> {
        let (since, until) = self.lock().pause?;
        // A clock that was set back must not lengthen a pause.
        if now < since || now >= until {
            return None;
        }
        u64::try_from(until.millis_since(now))
            .ok()
            .map(Duration::from_millis)
    }
}

/// A random number from 0 to 1.
fn fraction() -> f64 {
    let mut bytes = [0; 4];
    crate::model::random::fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_between_half_and_all_of_it_up_to_the_longest() {
        let link = Connectivity::new(&ClientSettings::default());
        let now = Timestamp::from_seconds(1_780_000_000);
        assert!(
            !link.is_up() && link.pause(now).is_none(),
            "at first it is asked at once"
        );
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            link.down(now, "offline", None);
            let pause = link.pause(now).expect("a pause");
            let longest = Duration::from_secs(seconds);
            assert!(
                pause >= longest / 2 && pause <= longest,
                "{pause:?} of {longest:?}"
            );
        }
        assert!(
            link.pause(now.plus_millis(-1)).is_none(),
            "the clock was set back"
        );
        assert!(link.pause(now.plus(Duration::from_mins(1))).is_none());
        link.down(now, "rate_limited", Some(Duration::from_mins(5)));
        assert_eq!(
            link.pause(now),
            Some(Duration::from_mins(5)),
            "what the server asked for"
        );
        assert!(link.up(), "that is new");
        assert!(!link.up() && link.pause(now).is_none());
    }
}

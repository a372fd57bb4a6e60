//! Waiting for a condition instead of for a time, and reporting how long it took.

use std::time::{Duration, Instant};

use tokio::time::sleep;

/// The longest wait for one read or one response. A test that waits longer hangs.
pub const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// The longest wait for a condition that needs a service to start, to fail or to recover.
pub const CONDITION_TIMEOUT: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Polls a condition until it is true and returns how long that took. Panics after [`CONDITION_TIMEOUT`].
pub async fn wait_until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) -> Duration {
    let started = Instant::now();
    while !condition().await {
        assert!(
            started.elapsed() < CONDITION_TIMEOUT,
            "{what}: not within {CONDITION_TIMEOUT:?}"
        );
        sleep(POLL_INTERVAL).await;
    }
    started.elapsed()
}

/// Prints a duration that a test measured. `--nocapture` shows it, and so does a failing test.
#[expect(clippy::print_stderr, reason = "a person reads the measurements")]
pub fn report_duration(what: &str, duration: Duration) {
    eprintln!("{what}: {duration:?}");
}

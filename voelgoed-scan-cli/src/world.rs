//! What do the clock and the environment say? The one file that asks them.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use voelgoed_scan_core::model::Timestamp;
use zeroize::Zeroizing;

/// The variable that carries the credential: an API key or a device token.
pub(crate) const TOKEN: &str = "VOELGOED_SCAN_TOKEN";

/// The variable that names the server.
pub(crate) const SERVER: &str = "VOELGOED_SCAN_SERVER";

/// What time it is.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// A moment to measure from.
pub(crate) fn stopwatch() -> Instant {
    Instant::now()
}

/// The credential of the environment, if it has one.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub(crate) fn token() -> Option<Zeroizing<String>> {
    let text = Zeroizing::new(std::env::var(TOKEN).ok()?);
    let text = text.trim();
    (!text.is_empty()).then(|| Zeroizing::new(text.to_owned()))
}

/// Waits until somebody has had enough: Ctrl-C, or a polite request to end.
pub(crate) async fn enough() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Where no signal can be waited for, waiting is all that is left.
    if interrupted.await.is_err() {
        std::future::pending::<()>().await;
    }
}

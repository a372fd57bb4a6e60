//! Access to the clock, the environment variables and the process signals. No other file reads them.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use voelgoed_scan_core::model::Timestamp;
use zeroize::Zeroizing;

/// The variable with the credential: an API key or a device token.
pub(crate) const TOKEN: &str = "VOELGOED_SCAN_TOKEN";

/// What some editors put at the start of a text file. It is not part of the text.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// The variable with the server's address.
pub(crate) const SERVER: &str = "VOELGOED_SCAN_SERVER";

/// The server where none is said.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// The variable with the event that commands are about where none is said.
pub(crate) const EVENT: &str = "VOELGOED_SCAN_EVENT";

/// The current time.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// The current monotonic time, for measuring durations.
pub(crate) fn monotonic_now() -> Instant {
    Instant::now()
}

/// The credential from [`TOKEN`]; `None` where it is unset or empty.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub(crate) fn token() -> Option<Zeroizing<String>> {
    let text = Zeroizing::new(std::env::var(TOKEN).ok()?);
    let text = text.trim();
    (!text.is_empty()).then(|| Zeroizing::new(text.to_owned()))
}

/// The server from [`SERVER`], or the default one. Only for completions, which read no arguments.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub(crate) fn server() -> String {
    let server = std::env::var(SERVER).ok().filter(|server| !server.is_empty());
    server.unwrap_or_else(|| DEFAULT_SERVER.to_owned())
}

/// The shell that completes a command line, as clap names it. clap removes the variable while it completes, so that this has to be
/// called before.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub(crate) fn completed_shell() -> Option<String> {
    std::env::var("COMPLETE").ok()
}

/// Whether a variable is set to an empty text, which counts as unset.
pub(crate) fn is_empty(name: &std::ffi::OsStr) -> bool {
    std::env::var_os(name).is_some_and(|text| text.is_empty())
}

/// Completes on Ctrl-C (SIGINT) or, on Unix, on SIGTERM.
pub(crate) async fn shutdown_signal() {
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
    // Without a signal handler there is no shutdown to wait for: never complete.
    if interrupted.await.is_err() {
        std::future::pending::<()>().await;
    }
}

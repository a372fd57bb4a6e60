//! How far is it? A bar on standard error, only on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// A bar over `total` bytes; over an unknown number of them, a count.
pub(crate) fn bytes(total: Option<u64>, quiet: bool) -> ProgressBar {
    bar(
        total,
        quiet,
        "{spinner} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        "{spinner} {bytes} {bytes_per_sec}",
    )
}

/// A bar over `total` things.
pub(crate) fn things(total: u64, quiet: bool) -> ProgressBar {
    bar(
        Some(total),
        quiet,
        "{spinner} {wide_bar} {pos}/{len} {eta}",
        "{spinner} {pos}",
    )
}

/// A line that says what goes on.
pub(crate) fn watching(quiet: bool) -> ProgressBar {
    bar(None, quiet, "{spinner} {msg}", "{spinner} {msg}")
}

/// A bar over the bytes of a file that are replayed; over an unknown number of them, a count. It says what came of them.
pub(crate) fn replayed(total: Option<u64>, quiet: bool) -> ProgressBar {
    bar(
        total,
        quiet,
        "{spinner} {wide_bar} {percent}% {eta}  {msg}",
        "{spinner} {bytes} {elapsed}  {msg}",
    )
}

fn bar(total: Option<u64>, quiet: bool, known: &str, unknown: &str) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    // Draws nothing where standard error is not a terminal.
    let bar = total
        .map_or_else(ProgressBar::new_spinner, ProgressBar::new)
        .with_finish(ProgressFinish::AndClear);
    let template = if total.is_some() { known } else { unknown };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

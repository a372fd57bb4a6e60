//! Progress bars on standard error. They are drawn only on a terminal, and not with `--quiet`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// A bar over `total` bytes, or a byte count where the total is unknown.
pub(crate) fn bytes(total: Option<u64>, quiet: bool) -> ProgressBar {
    bar(
        total,
        quiet,
        "{spinner} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        "{spinner} {bytes} {bytes_per_sec}",
    )
}

/// A bar over `total` items.
pub(crate) fn items(total: u64, quiet: bool) -> ProgressBar {
    bar(
        Some(total),
        quiet,
        "{spinner} {wide_bar} {pos}/{len} {eta}",
        "{spinner} {pos}",
    )
}

/// A spinner with a message.
pub(crate) fn spinner(quiet: bool) -> ProgressBar {
    bar(None, quiet, "{spinner} {msg}", "{spinner} {msg}")
}

/// A bar over the bytes of a file that is replayed, or a byte count where its length is unknown, with a message.
pub(crate) fn replay(total: Option<u64>, quiet: bool) -> ProgressBar {
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
    // indicatif draws nothing where standard error is not a terminal.
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

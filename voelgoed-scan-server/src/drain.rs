//! The announced stop of the server.
//!
//! Every response asks whether it has begun, so that this costs no lock.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

/// Whether the stop was announced.
#[derive(Default)]
pub(crate) struct Drain {
    has_begun: AtomicBool,
    begun: CancellationToken,
}

impl Drain {
    /// Announces the stop. Returns whether it was not announced before.
    pub(crate) fn begin(&self) -> bool {
        let is_first = !self.has_begun.swap(true, Ordering::Relaxed);
        self.begun.cancel();
        is_first
    }

    /// Whether the stop was announced.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// Waits for the announcement.
    pub(crate) async fn begun(&self) {
        self.begun.cancelled().await;
    }
}

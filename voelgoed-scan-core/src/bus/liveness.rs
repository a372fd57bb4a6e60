//! Measures whether the bus works, by the heartbeats that a node receives from itself.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A node that receives no heartbeat of its own for this long treats the bus as down.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_millis(450);

struct Heartbeats {
    /// The first one since the last gap.
    first: Instant,
    last: Instant,
}

/// The node's own heartbeats as the bus delivered them.
#[derive(Default)]
pub(super) struct Liveness(Mutex<Option<Heartbeats>>);

impl Liveness {
    /// Records a heartbeat of this node.
    pub(super) fn record_heartbeat(&self) {
        let now = Instant::now();
        let mut heartbeats = self.0.lock();
        let first = heartbeats
            .as_ref()
            .filter(|heartbeats| now - heartbeats.last < HEARTBEAT_TIMEOUT)
            .map_or(now, |heartbeats| heartbeats.first);
        *heartbeats = Some(Heartbeats { first, last: now });
    }

    /// Records that the connection was lost.
    pub(super) fn reset(&self) {
        *self.0.lock() = None;
    }

    /// For how long heartbeats have arrived without a gap; `None` while the bus is down.
    pub(super) fn connected_for(&self) -> Option<Duration> {
        let heartbeats = self.0.lock();
        let Heartbeats { first, last } = heartbeats.as_ref()?;
        let now = Instant::now();
        (now - *last < HEARTBEAT_TIMEOUT).then(|| now - *first)
    }
}

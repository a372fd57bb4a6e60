//! Measures whether the bus works, by the heartbeats that a node receives from itself, and knows the other nodes by theirs.

use std::time::Duration;

use foldhash::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

/// A node that receives no heartbeat of its own for this long treats the bus as down.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_millis(450);

/// How long a node counts as a peer after its last heartbeat. By then it has noticed that it is cut off
/// ([`HEARTBEAT_TIMEOUT`]) and has recorded what its caches answered before.
const PEER_TIMEOUT: Duration = Duration::from_secs(2);

struct Heartbeats {
    /// The first one since the last gap.
    first: Instant,
    last: Instant,
}

/// What the heartbeats up to a time say.
#[derive(Default)]
struct Received {
    own: Option<Heartbeats>,
    /// The last heartbeat of each other node.
    peers: HashMap<Uuid, Instant>,
}

impl Received {
    fn record_heartbeat(&mut self, now: Instant) {
        let first = self
            .own
            .as_ref()
            .filter(|heartbeats| now - heartbeats.last < HEARTBEAT_TIMEOUT)
            .map_or(now, |heartbeats| heartbeats.first);
        self.own = Some(Heartbeats { first, last: now });
    }

    fn connected_for(&self, now: Instant) -> Option<Duration> {
        let Heartbeats { first, last } = self.own.as_ref()?;
        (now - *last < HEARTBEAT_TIMEOUT).then(|| now - *first)
    }

    fn peers(&mut self, now: Instant) -> Vec<Uuid> {
        self.peers.retain(|_, last| now - *last < PEER_TIMEOUT);
        self.peers.keys().copied().collect()
    }
}

/// The heartbeats as the bus delivered them.
#[derive(Default)]
pub(super) struct Liveness(Mutex<Received>);

impl Liveness {
    /// Records a heartbeat of this node.
    pub(super) fn record_heartbeat(&self) {
        self.0.lock().record_heartbeat(Instant::now());
    }

    /// Records a heartbeat of another node.
    pub(super) fn record_peer(&self, node: Uuid) {
        self.0.lock().peers.insert(node, Instant::now());
    }

    /// Forgets a node that stops.
    pub(super) fn remove_peer(&self, node: Uuid) {
        self.0.lock().peers.remove(&node);
    }

    /// Records that the connection was lost. The other nodes count as present until they are silent for long enough.
    pub(super) fn reset(&self) {
        self.0.lock().own = None;
    }

    /// For how long heartbeats have arrived without a gap; `None` while the bus is down.
    pub(super) fn connected_for(&self) -> Option<Duration> {
        self.0.lock().connected_for(Instant::now())
    }

    /// The other nodes.
    pub(super) fn peers(&self) -> Vec<Uuid> {
        self.0.lock().peers(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_peer_until_it_is_silent_for_two_seconds() {
        let (mut received, start) = (Received::default(), Instant::now());
        let [node, other] = [1, 2].map(Uuid::from_u128);
        received.peers.insert(node, start);
        received.peers.insert(other, start + Duration::from_millis(1));
        let mut peers = received.peers(start + Duration::from_millis(1999));
        peers.sort_unstable();
        assert_eq!(peers, [node, other]);
        assert_eq!(received.peers(start + PEER_TIMEOUT), [other]);
    }

    #[test]
    fn a_gap_between_own_heartbeats_starts_the_connection_anew() {
        let (mut received, start) = (Received::default(), Instant::now());
        let later = start + Duration::from_millis(400);
        assert_eq!(received.connected_for(start), None);
        received.record_heartbeat(start);
        received.record_heartbeat(later);
        assert_eq!(received.connected_for(later), Some(Duration::from_millis(400)));
        let gap = later + HEARTBEAT_TIMEOUT;
        assert_eq!(received.connected_for(gap), None);
        received.record_heartbeat(gap);
        assert_eq!(received.connected_for(gap), Some(Duration::ZERO));
    }
}

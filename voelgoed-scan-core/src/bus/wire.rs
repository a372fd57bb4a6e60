//! What the two buses share on the wire: the envelope of a message, and the settings of a listener.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The pause before a listener connects again.
pub(super) const RECONNECT_INTERVAL: Duration = Duration::from_millis(250);

/// How many received messages wait until the node processes them.
pub(super) const RECEIVE_CAPACITY: usize = 4096;

/// A message with the id of its sender, so that a node recognises its own messages.
#[derive(Serialize, Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) node: Uuid,
    #[serde(flatten)]
    pub(super) message: T,
}

/// A random id for this node, valid for the life of the process.
pub(super) fn new_node_id() -> Uuid {
    let mut bytes = [0_u8; 16];
    crate::model::random::fill(&mut bytes);
    Uuid::from_bytes(bytes)
}

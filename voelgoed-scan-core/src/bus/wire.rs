//! What the two buses share on the wire: the envelope of a message, its treatment at the receiver, and the settings of a
//! listener.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bus::Message;
use crate::bus::liveness::Liveness;

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

impl Envelope<Message> {
    /// The message for this node, if it is one. Heartbeats go to `liveness`, and a node ignores its own messages.
    pub(super) fn receive(self, node: Uuid, liveness: &Liveness) -> Option<Message> {
        let is_own = self.node == node;
        match self.message {
            Message::Heartbeat { .. } if is_own => liveness.record_heartbeat(),
            Message::Heartbeat { listening: true } => liveness.record_peer(self.node),
            Message::Leaving => liveness.remove_peer(self.node),
            Message::Heartbeat { listening: false } => {}
            message => return (!is_own).then_some(message),
        }
        None
    }
}

/// A random id for this node, valid for the life of the process.
pub(super) fn new_node_id() -> Uuid {
    let mut bytes = [0_u8; 16];
    crate::model::random::fill(&mut bytes);
    Uuid::from_bytes(bytes)
}

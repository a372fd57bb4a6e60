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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OrganizationId, ScanId, TicketCode, Timestamp};

    #[test]
    fn a_message_arrives_in_its_envelope_as_it_was_sent() {
        let [node, other, claimant] = [1, 2, 3].map(Uuid::from_u128);
        let organization_id = OrganizationId::generate(Timestamp::from_millis(0));
        let scan_ids = vec![ScanId::generate(Timestamp::from_millis(0))];
        let messages = [
            Message::ScanIdsSeen {
                organization_id,
                scan_ids: scan_ids.clone(),
            },
            Message::ScansClaimed {
                claimant,
                claim: 7,
                organization_id,
                scan_ids,
                ticket_codes: vec![TicketCode::from_bytes([1; 12]).expect("a code")],
            },
            Message::ClaimConfirmed {
                confirmer: node,
                claimant,
                claim: 7,
            },
            Message::FactsChanged { organization_id },
        ];
        for message in messages {
            let text = serde_json::to_string(&Envelope {
                node,
                message: &message,
            })
            .expect("JSON");
            let receive = |node| {
                let envelope: Envelope<Message> = serde_json::from_str(&text).expect("an envelope");
                envelope.receive(node, &Liveness::default())
            };
            assert_eq!(receive(other), Some(message.clone()));
            assert_eq!(receive(node), None, "a node ignores its own {message:?}");
        }
    }
}

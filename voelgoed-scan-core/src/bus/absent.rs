//! The bus of a node that shares its database with others, but has no connection to them.
//!
//! It is never up, so the node treats itself as cut off: it says so in the database, and decides without what the others only
//! have in their caches. Changes of other nodes arrive through the change counters.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::bus::{Bus, Message};
use crate::model::{EventId, OrganizationId};

/// A bus that carries nothing.
pub(crate) struct AbsentBus {
    node: Uuid,
}

impl AbsentBus {
    pub(crate) fn new() -> Self {
        Self { node: Uuid::new_v4() }
    }
}

#[async_trait]
impl Bus for AbsentBus {
    async fn publish(&self, _: &[Message]) {}

    fn listen(&self) -> mpsc::Receiver<Message> {
        let (sender, receiver) = mpsc::channel(1);
        // Keeps the channel open until the node stops listening, as the other buses do.
        tokio::spawn(async move { sender.closed().await });
        receiver
    }

    fn subscribe_scans(&self, _: OrganizationId, _: EventId) {}

    fn unsubscribe_scans(&self, _: OrganizationId, _: EventId) {}

    async fn scans_subscribed(&self, _: OrganizationId, _: EventId) {}

    fn connected_for(&self) -> Option<Duration> {
        None
    }

    fn node(&self) -> Uuid {
        self.node
    }

    fn peers(&self) -> Vec<Uuid> {
        Vec::new()
    }
}

//! The bus over PostgreSQL's LISTEN and NOTIFY, where there is no Redis.
//!
//! A notification holds at most 8,000 bytes. Scans and occupancy are therefore published by id, and a node that needs
//! them reads the database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::bus::liveness::Liveness;
use crate::bus::wire::{Envelope, RECEIVE_CAPACITY, RECONNECT_INTERVAL, new_node_id};
use crate::bus::{Bus, Message};
use crate::model::{EventId, OrganizationId, ScanId};

/// How many scan ids a notification holds. It is limited to 8,000 bytes.
const MAX_SCAN_IDS: usize = 150;

/// The channel of all messages.
const CHANNEL: &str = "voelgoed";

/// The bus over PostgreSQL.
pub(crate) struct PostgresBus {
    node: Uuid,
    pool: PgPool,
    liveness: Arc<Liveness>,
    /// Whether `LISTEN` succeeded and the connection is open.
    listening: watch::Sender<bool>,
}

impl PostgresBus {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self {
            node: new_node_id(),
            pool,
            liveness: Arc::default(),
            listening: watch::Sender::new(false),
        }
    }

    /// Notifies the other nodes. The messages need no durability, so the commit does not wait for the disk.
    async fn notify(&self, texts: &[String]) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("set local synchronous_commit = off")
            .execute(&mut *transaction)
            .await?;
        sqlx::query("select pg_notify('voelgoed', text) from unnest($1::text[]) as text")
            .bind(texts)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}

/// The ids of scans, those of an organization together, in messages that fit into a notification.
fn scan_ids(messages: &[Message]) -> Vec<Message> {
    let mut by_organization: BTreeMap<OrganizationId, Vec<ScanId>> = BTreeMap::new();
    for message in messages {
        if let Message::ScanIdsSeen {
            organization_id,
            scan_ids,
        } = message
        {
            by_organization
                .entry(*organization_id)
                .or_default()
                .extend(scan_ids);
        }
    }
    let split = |(organization_id, scan_ids): (OrganizationId, Vec<ScanId>)| {
        let parts: Vec<Message> = scan_ids
            .chunks(MAX_SCAN_IDS)
            .map(|scan_ids| Message::ScanIdsSeen {
                organization_id,
                scan_ids: scan_ids.to_vec(),
            })
            .collect();
        parts
    };
    by_organization.into_iter().flat_map(split).collect()
}

/// The message in the form that fits into a notification. `None` for [`Message::ScanIdsSeen`], see [`scan_ids`].
fn shorten(message: &Message) -> Option<Message> {
    match message {
        Message::Scan(record) => Some(Message::ScanStored {
            organization_id: record.organization_id,
            event_id: record.event_id,
            scan_id: record.scan_id,
        }),
        Message::ScanIdsSeen { .. } => None,
        Message::Occupancy {
            organization_id,
            event_id,
            at,
            ..
        } => Some(Message::OccupancyChanged {
            organization_id: *organization_id,
            event_id: *event_id,
            at: *at,
        }),
        short => Some(short.clone()),
    }
}

#[async_trait]
impl Bus for PostgresBus {
    async fn publish(&self, messages: &[Message]) {
        let texts: Result<Vec<String>, _> = messages
            .iter()
            .filter_map(shorten)
            .chain(scan_ids(messages))
            .map(|message| {
                serde_json::to_string(&Envelope {
                    node: self.node,
                    message,
                })
            })
            .collect();
        match texts {
            Ok(texts) => {
                if let Err(error) = self.notify(&texts).await {
                    tracing::debug!(%error, "messages could not be published");
                }
            }
            Err(error) => tracing::error!(%error, "a message could not be serialised"),
        }
    }

    fn listen(&self) -> mpsc::Receiver<Message> {
        let (sender, receiver) = mpsc::channel(RECEIVE_CAPACITY);
        let (pool, liveness, node) = (self.pool.clone(), Arc::clone(&self.liveness), self.node);
        let listening = self.listening.clone();
        tokio::spawn(async move {
            while !sender.is_closed() {
                if let Err(error) = listen_once(&pool, &liveness, &listening, node, &sender).await {
                    tracing::debug!(%error, "the bus is down");
                }
                listening.send_replace(false);
                liveness.reset();
                tokio::time::sleep(RECONNECT_INTERVAL).await;
            }
        });
        receiver
    }

    /// Does nothing: the one channel carries the id of every scan to every node.
    fn subscribe_scans(&self, _: OrganizationId, _: EventId) {}

    /// Does nothing, like [`Self::subscribe_scans`].
    fn unsubscribe_scans(&self, _: OrganizationId, _: EventId) {}

    async fn scans_subscribed(&self, _: OrganizationId, _: EventId) {
        // The sender lives as long as the bus, so that the wait ends only when the value is true.
        let _ = self.listening.subscribe().wait_for(|listening| *listening).await;
    }

    fn connected_for(&self) -> Option<Duration> {
        self.liveness.connected_for()
    }

    fn node(&self) -> Uuid {
        self.node
    }

    fn peers(&self) -> Vec<Uuid> {
        self.liveness.peers()
    }
}

/// Receives messages over one connection until it is lost.
async fn listen_once(
    pool: &PgPool,
    liveness: &Liveness,
    listening: &watch::Sender<bool>,
    node: Uuid,
    sender: &mpsc::Sender<Message>,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    listening.send_replace(true);
    // `None` means that the connection was lost. The change counters make up for the messages lost with it.
    while let Some(notification) = listener.try_recv().await? {
        let Ok(envelope) = serde_json::from_str::<Envelope<Message>>(notification.payload()) else {
            continue;
        };
        if let Some(message) = envelope.receive(node, liveness)
            && sender.send(message).await.is_err()
        {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    /// The limit of PostgreSQL.
    const MAX_NOTIFICATION: usize = 8000;

    #[test]
    fn scan_ids_are_published_in_notifications_that_postgresql_accepts() {
        let [organization, other] = [1, 2].map(|at| OrganizationId::generate(Timestamp::from_millis(at)));
        let ids: Vec<ScanId> = (0..400)
            .map(|at| ScanId::generate(Timestamp::from_millis(at)))
            .collect();
        let seen = |organization_id, scan_ids: &[ScanId]| Message::ScanIdsSeen {
            organization_id,
            scan_ids: scan_ids.to_vec(),
        };
        let mut published = Vec::new();
        for message in scan_ids(&[
            seen(organization, &ids[..1]),
            Message::Leaving,
            seen(other, &ids[..1]),
            seen(organization, &ids[1..]),
        ]) {
            let node = Uuid::from_u128(u128::MAX);
            let text = serde_json::to_string(&Envelope {
                node,
                message: &message,
            })
            .expect("JSON");
            assert!(text.len() < MAX_NOTIFICATION, "{} bytes", text.len());
            let Message::ScanIdsSeen {
                organization_id,
                scan_ids,
            } = message
            else {
                panic!("{message:?}");
            };
            published.extend(scan_ids.into_iter().map(|scan| (organization_id, scan)));
        }
        let expected: Vec<_> = ids.iter().map(|scan| (organization, *scan)).collect();
        published.sort_unstable();
        let mut all = [expected, vec![(other, ids[0])]].concat();
        all.sort_unstable();
        assert_eq!(published, all);
    }
}

//! The bus over PostgreSQL's LISTEN and NOTIFY, where there is no Redis.
//!
//! A notification holds at most 8,000 bytes: scans are told by their ids and occupancy by the event's, and whoever
//! wants them reads the database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::{mpsc, watch};

use crate::bus::{Bus, Liveness, Message};
use crate::model::{EventId, OrganizationId};

/// The channel of everything.
const CHANNEL: &str = "voelgoed";

/// How long a lost connection rests before it is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// How many messages may wait for this node to read them.
const BACKLOG: usize = 4096;

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    node: uuid::Uuid,
    #[serde(flatten)]
    message: T,
}

/// The bus over PostgreSQL.
pub(crate) struct PostgresBus {
    node: uuid::Uuid,
    pool: PgPool,
    pulse: Arc<Liveness>,
    /// Whether PostgreSQL took this node's `LISTEN`, and the connection lives.
    listening: watch::Sender<bool>,
}

impl PostgresBus {
    pub(crate) fn new(pool: PgPool) -> Self {
        let mut node = [0_u8; 16];
        crate::model::random::fill(&mut node);
        Self {
            node: uuid::Uuid::from_bytes(node),
            pool,
            pulse: Arc::default(),
            listening: watch::Sender::new(false),
        }
    }
}

/// The message as it fits into a notification; `None` for what another one tells already.
fn shorten(message: &Message) -> Option<Message> {
    match message {
        Message::Scan(record) => Some(Message::Scanned {
            organization_id: record.organization_id,
            event_id: record.event_id,
            scan_id: record.scan_id,
        }),
        Message::Seen { .. } => None,
        Message::Occupancy {
            organization_id,
            event_id,
            at,
            ..
        } => Some(Message::Moved {
            organization_id: *organization_id,
            event_id: *event_id,
            at: *at,
        }),
        short => Some(short.clone()),
    }
}

#[async_trait]
impl Bus for PostgresBus {
    async fn publish(&self, messages: &[Message]) -> bool {
        let texts: Result<Vec<String>, _> = messages
            .iter()
            .filter_map(shorten)
            .map(|message| {
                serde_json::to_string(&Envelope {
                    node: self.node,
                    message,
                })
            })
            .collect();
        let texts = match texts {
            Ok(texts) => texts,
            Err(error) => {
                tracing::error!(%error, "a message could not be written");
                return false;
            }
        };
        // Nothing durable is at stake: this commit need not wait for the disk.
        let published = async {
            let mut transaction = self.pool.begin().await?;
            sqlx::query("set local synchronous_commit = off")
                .execute(&mut *transaction)
                .await?;
            sqlx::query("select pg_notify('voelgoed', text) from unnest($1::text[]) as text")
                .bind(&texts)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        };
        match published.await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "the bus did not take a message");
                false
            }
        }
    }

    fn listen(&self) -> mpsc::Receiver<Message> {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let (pool, pulse, node) = (self.pool.clone(), Arc::clone(&self.pulse), self.node);
        let listening = self.listening.clone();
        tokio::spawn(async move {
            while !sender.is_closed() {
                if let Err(error) = listen_once(&pool, &pulse, &listening, node, &sender).await {
                    tracing::debug!(%error, "the bus is down");
                }
                listening.send_replace(false);
                pulse.lost();
                tokio::time::sleep(RETRY).await;
            }
        });
        receiver
    }

    /// Every scan is told to all anyway, by its id.
    fn want_scans(&self, _: OrganizationId, _: EventId, _: bool) {}

    async fn hears_scans(&self, _: OrganizationId, _: EventId) {
        // The sender lives as long as the bus: the wait ends only by the value.
        let _ = self.listening.subscribe().wait_for(|listening| *listening).await;
    }

    fn heard_for(&self) -> Option<Duration> {
        self.pulse.age()
    }
}

async fn listen_once(
    pool: &PgPool,
    pulse: &Liveness,
    listening: &watch::Sender<bool>,
    node: uuid::Uuid,
    sender: &mpsc::Sender<Message>,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    listening.send_replace(true);
    // `None` is a lost connection: what was told meanwhile is lost, and the change counters put it right.
    while let Some(notification) = listener.try_recv().await? {
        let Ok(envelope) = serde_json::from_str::<Envelope<Message>>(notification.payload()) else {
            continue;
        };
        match (envelope.message, envelope.node == node) {
            (Message::Heartbeat, true) => pulse.felt(),
            (Message::Heartbeat, false) | (_, true) => {}
            (message, false) => {
                if sender.send(message).await.is_err() {
                    break;
                }
            }
        }
    }
    Ok(())
}

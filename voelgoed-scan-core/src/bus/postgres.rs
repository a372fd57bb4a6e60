//! The bus over PostgreSQL's LISTEN and NOTIFY, where there is no Redis.
//!
//! A notification holds at most 8,000 bytes: scans are told by their ids and occupancy by the event's, and whoever
//! wants them reads the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgListener, PgPool};
use tokio::sync::mpsc;

use crate::bus::{Bus, Message};
use crate::{EventId, OrganizationId};

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
    up: Arc<AtomicBool>,
}

impl PostgresBus {
    pub(crate) fn new(pool: PgPool) -> Self {
        let mut node = [0_u8; 16];
        crate::random::fill(&mut node);
        Self {
            node: uuid::Uuid::from_bytes(node),
            pool,
            up: Arc::new(AtomicBool::new(false)),
        }
    }
}

/// The message as it fits into a notification.
fn shorten(message: Message) -> Message {
    match message {
        Message::Scan(record) => Message::Scanned {
            organization_id: record.organization_id,
            event_id: record.event_id,
            scan_id: record.scan_id,
        },
        Message::Occupancy {
            organization_id,
            event_id,
            at,
            ..
        } => Message::Moved {
            organization_id,
            event_id,
            at,
        },
        short => short,
    }
}

#[async_trait]
impl Bus for PostgresBus {
    async fn publish(&self, messages: Vec<Message>) {
        let texts: Result<Vec<String>, _> = messages
            .into_iter()
            .map(|message| {
                serde_json::to_string(&Envelope {
                    node: self.node,
                    message: shorten(message),
                })
            })
            .collect();
        let texts = match texts {
            Ok(texts) => texts,
            Err(error) => return tracing::error!(%error, "a message could not be written"),
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
        if let Err(error) = published.await {
            tracing::debug!(%error, "the bus did not take a message");
        }
    }

    fn listen(&self) -> mpsc::Receiver<Message> {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let (pool, up, node) = (self.pool.clone(), Arc::clone(&self.up), self.node);
        tokio::spawn(async move {
            while !sender.is_closed() {
                if let Err(error) = listen_once(&pool, &up, node, &sender).await {
                    tracing::debug!(%error, "the bus is down");
                }
                up.store(false, Ordering::Relaxed);
                tokio::time::sleep(RETRY).await;
            }
        });
        receiver
    }

    /// Every scan is told to all anyway, by its id.
    fn want_scans(&self, _: OrganizationId, _: EventId, _: bool) {}

    fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }
}

async fn listen_once(
    pool: &PgPool,
    up: &AtomicBool,
    node: uuid::Uuid,
    sender: &mpsc::Sender<Message>,
) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    up.store(true, Ordering::Relaxed);
    // `None` is a lost connection: what was told meanwhile is lost, and the change counters put it right.
    while let Some(notification) = listener.try_recv().await? {
        let Ok(envelope) = serde_json::from_str::<Envelope<Message>>(notification.payload()) else {
            continue;
        };
        if envelope.node != node && sender.send(envelope.message).await.is_err() {
            break;
        }
    }
    Ok(())
}

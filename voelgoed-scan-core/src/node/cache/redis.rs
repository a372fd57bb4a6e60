//! The second cache tier: tickets in Redis, for the length of the window, shared by all nodes.
//!
//! Invariants:
//! - An entry is a hint. A Redis that is down, slow, full, flushed or wrong never changes a decision, and never delays one
//!   by more than [`CALL_TIMEOUT`]: the first failure opens a circuit breaker (`breaker.rs`), and a probe in the background
//!   closes it again.
//! - An older version never overwrites a newer one, whichever node writes last (`entry.rs`).
//! - A tombstone is written again until Redis accepts it or the window is over (`tombstones.rs`).
//! - An entry carries the change counter under which its ticket was read, so that a node refuses what was read before a change
//!   that it knows ([`TicketCache::accept`](crate::node::cache::tickets::TicketCache::accept)).

mod breaker;
mod entry;
mod lookups;
mod platform_keys;
mod tombstones;

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::Instrument as _;

use breaker::CircuitBreaker;
pub use breaker::RedisHealth;
pub(crate) use entry::StoredTicket;
use entry::{EntryWrite, TicketKey};
use lookups::Lookup;
pub(crate) use platform_keys::PlatformKeys;
use tombstones::PendingTombstones;

use crate::bus::{PresentServer, recent_scans_key};
use crate::model::{EventId, OrganizationId, TicketCode, TicketFacts};
use crate::spans::span;

/// The longest time that a scan waits for Redis.
const CALL_TIMEOUT: Duration = Duration::from_millis(50);

/// How often a Redis that failed is probed, and pending tombstones are written again.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);

/// How long the key of a probe lives.
const PROBE_TTL_MILLIS: i64 = 10_000;

/// The maximal number of tickets that one command reads or writes. Redis runs nothing else meanwhile.
const MAX_KEYS_PER_COMMAND: usize = 256;

/// The tickets in Redis; cheap to clone.
#[derive(Clone)]
pub(crate) struct RedisTicketCache(Arc<RedisTicketCacheParts>);

struct RedisTicketCacheParts {
    server: PresentServer,
    breaker: CircuitBreaker,
    lookups: mpsc::UnboundedSender<Lookup>,
    window: Duration,
    /// Tombstones that Redis has not accepted yet.
    pending_tombstones: PendingTombstones,
}

impl RedisTicketCache {
    /// Starts the cache on a server, with a task that serves lookups and one that probes the server.
    pub(crate) fn start(server: PresentServer, window: Duration) -> Self {
        let (lookups, receiver) = mpsc::unbounded_channel();
        let cache = Self(Arc::new(RedisTicketCacheParts {
            server,
            breaker: CircuitBreaker::default(),
            lookups,
            window,
            pending_tombstones: PendingTombstones::default(),
        }));
        let weak = Arc::downgrade(&cache.0);
        tokio::spawn(lookups::serve(Weak::clone(&weak), receiver));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PROBE_INTERVAL).await;
                let Some(parts) = weak.upgrade() else { return };
                RedisTicketCache(parts).probe().await;
            }
        });
        cache
    }

    pub(crate) fn health(&self) -> RedisHealth {
        self.0.breaker.health()
    }

    /// The ticket as a node last wrote it. `None` is a miss, whatever the cause.
    pub(crate) async fn get(&self, organization: OrganizationId, code: TicketCode) -> Option<StoredTicket> {
        if !self.0.breaker.is_closed() {
            return None;
        }
        let (reply, facts) = oneshot::channel();
        let lookup = Lookup {
            key: (organization, code),
            deadline: Instant::now() + CALL_TIMEOUT,
            reply,
        };
        self.0.lookups.send(lookup).ok()?;
        facts.instrument(span!("redis.get")).await.ok()?
    }

    /// Stores tickets after a write, each with the change counter of its organization from before. Most keys do not exist yet, and a plain `SET NX` is enough for them; only the others
    /// need the script that compares versions.
    pub(crate) fn put<'a>(
        &self,
        tickets: impl Iterator<Item = (&'a TicketFacts, i64)>,
    ) -> BoxFuture<'static, ()> {
        let writes: Vec<EntryWrite> = tickets
            .map(|(facts, counter)| EntryWrite::ticket(facts, counter))
            .collect();
        let cache = self.clone();
        Box::pin(async move {
            if writes.is_empty() {
                return;
            }
            let deadline = Instant::now() + CALL_TIMEOUT;
            let call = async {
                let mut connection = cache.0.server.connection()?;
                let pipeline = entry::set_if_absent(&writes, cache.window_millis());
                let stored: Vec<bool> = pipeline.query_async(&mut connection).await?;
                let remaining: Vec<&EntryWrite> = writes
                    .iter()
                    .zip(stored)
                    .filter_map(|(write, stored)| (!stored).then_some(write))
                    .collect();
                if remaining.is_empty() {
                    return Ok(());
                }
                entry::set_if_newer(&remaining, cache.window_millis())
                    .exec_async(&mut connection)
                    .await
            };
            let span = span!(parent: None, "redis.put", tickets = writes.len());
            cache.0.breaker.call(deadline, call).instrument(span).await;
        })
    }

    /// Invalidates tickets that changed by something other than an admission. Tombstones that Redis does not accept are
    /// written again in the background until the window is over.
    pub(crate) async fn invalidate(&self, organization: OrganizationId, tickets: &[(TicketCode, i64)]) {
        let tombstones: Vec<_> = tickets
            .iter()
            .map(|&(code, version)| ((organization, code), version))
            .collect();
        let expires_at = Instant::now() + self.0.window;
        self.0.pending_tombstones.add(&tombstones, expires_at);
        self.write_tombstones(&tombstones).await;
    }

    /// Deletes the latest scans of an event, which hold what people wrote into them. Without an answer of Redis they expire.
    pub(crate) async fn delete_recent_scans(&self, organization: OrganizationId, event: EventId) {
        let mut command = redis::cmd("DEL");
        command.arg(recent_scans_key(organization, event));
        let deadline = Instant::now() + CALL_TIMEOUT;
        let call = async { command.exec_async(&mut self.0.server.connection()?).await };
        self.0.breaker.call(deadline, call).await;
    }

    /// Writes pending tombstones, if Redis is up.
    async fn write_tombstones(&self, tombstones: &[(TicketKey, i64)]) {
        if !self.0.breaker.is_closed() {
            return;
        }
        let call = |writes: Vec<EntryWrite>| async move {
            let pipeline = entry::set_if_newer(&writes.iter().collect::<Vec<_>>(), self.window_millis());
            let deadline = Instant::now() + CALL_TIMEOUT;
            let call = async { pipeline.exec_async(&mut self.0.server.connection()?).await };
            self.0.breaker.call(deadline, call).await.is_some()
        };
        self.0.pending_tombstones.write(tombstones, call).await;
    }

    fn window_millis(&self) -> i64 {
        i64::try_from(self.0.window.as_millis())
            .unwrap_or(i64::MAX)
            .max(1)
    }

    /// Writes pending tombstones if Redis is up; otherwise tests whether it is up again. A Redis that became read-only is
    /// connected anew, also where no scan would find out: a node on a replica hears the others, and they do not hear it.
    async fn probe(&self) {
        let is_up = self.0.breaker.is_closed();
        self.0.pending_tombstones.expire(Instant::now());
        if is_up {
            self.write_tombstones(&self.0.pending_tombstones.all()).await;
        }
        let probe = entry::probe(PROBE_TTL_MILLIS);
        let call = async { probe.exec_async(&mut self.0.server.connection()?).await };
        match tokio::time::timeout(CALL_TIMEOUT, call).await {
            Ok(Ok(())) if !is_up => self.0.breaker.close(),
            Ok(Err(error)) if error.code() == Some("READONLY") => self.0.server.connect_anew(),
            _ => {}
        }
    }
}

//! Was this ticket seen a moment ago at another node? The second tier: tickets in Redis, for the window.
//!
//! Invariants: a hint only. Redis away, slow, full, flushed or wrong never changes a decision, and never delays one by
//! more than [`PATIENCE`]: the first failure opens a breaker, and a probe in the background closes it again. An older
//! version never overwrites a newer, whoever writes last. Tombstones are tried until Redis took them or the window is
//! over.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use redis::aio::ConnectionManager;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::model::json::{objects, to_json};
use crate::model::{OrganizationId, TicketCode, TicketFacts, Timestamp};

/// The longest that a scan waits for Redis.
const PATIENCE: Duration = Duration::from_millis(50);

/// How often a Redis that failed is asked whether it is back, and tombstones are tried again.
const PROBE: Duration = Duration::from_millis(250);

/// The most tickets that one command sets or gets: Redis does nothing else meanwhile.
const MOST_AT_ONCE: usize = 256;

/// Sets keys, each unless it holds a newer version, or a tombstone as new. Takes version and text of each key, then for
/// how many milliseconds they are kept.
const SET_IF_NEWER: &str = "\
local window = ARGV[#ARGV]
for i, key in ipairs(KEYS) do
  local new, text = tonumber(ARGV[2 * i - 1]), ARGV[2 * i]
  local held = redis.call('GET', key)
  local version = held and tonumber(string.match(held, '^{\"v\":(%-?%d+)'))
  local tombstone = held and not string.find(held, '\"f\":', 1, true)
  if not (version and (version > new or (tombstone and version == new))) then
    redis.call('SET', key, text, 'PX', window)
  end
end
return #KEYS";

/// The most commands that look tickets up at a time.
const MOST_COMMANDS: usize = 4;

/// What stands under a key: a ticket, or a tombstone without one.
#[derive(Deserialize)]
struct Held {
    v: i64,
    f: Option<TicketFacts>,
}

/// A ticket as it is to stand there: its version first, which the script reads without parsing the rest.
struct Keeping<'a> {
    v: i64,
    f: &'a TicketFacts,
}

objects! {
    Keeping<'_> {
        v,
        f,
    }
}

/// What is to stand under a key.
struct Kept {
    key: String,
    version: i64,
    text: String,
}

impl Kept {
    fn ticket(facts: &TicketFacts) -> Self {
        let version = facts.version;
        Self {
            key: ticket_key((facts.ticket.organization_id, facts.ticket.code)),
            version,
            text: to_json(&Keeping { v: version, f: facts }),
        }
    }

    fn tombstone(key: Key, version: i64) -> Self {
        Self {
            key: ticket_key(key),
            version,
            text: format!("{{\"v\":{version}}}"),
        }
    }
}

/// How the tier is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierHealth {
    /// Whether it is asked now.
    pub up: bool,
    /// How often it failed and was left alone.
    pub failures: u64,
}

struct Tombstone {
    version: i64,
    until: Timestamp,
}

type Key = (OrganizationId, TicketCode);

/// A ticket that somebody asks for, until then.
struct Lookup {
    key: Key,
    until: Instant,
    asker: oneshot::Sender<Option<TicketFacts>>,
}

/// The Redis tier; cheap to clone.
#[derive(Clone)]
pub(crate) struct RedisTier(Arc<Parts>);

struct Parts {
    connection: ConnectionManager,
    lookups: mpsc::UnboundedSender<Lookup>,
    window: Duration,
    up: AtomicBool,
    failures: AtomicU64,
    /// Tombstones that Redis has not taken yet.
    owed: Mutex<HashMap<Key, Tombstone>>,
}

impl RedisTier {
    /// Starts the tier on a connection, with a task that probes it.
    pub(crate) fn start(connection: ConnectionManager, window: Duration) -> Self {
        let (lookups, receiver) = mpsc::unbounded_channel();
        let tier = Self(Arc::new(Parts {
            connection,
            lookups,
            window,
            up: AtomicBool::new(true),
            failures: AtomicU64::new(0),
            owed: Mutex::new(HashMap::new()),
        }));
        let weak = Arc::downgrade(&tier.0);
        tokio::spawn(serve(Weak::clone(&weak), receiver));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PROBE).await;
                let Some(parts) = weak.upgrade() else { return };
                RedisTier(parts).probe().await;
            }
        });
        tier
    }

    pub(crate) fn health(&self) -> TierHealth {
        TierHealth {
            up: self.0.up.load(Ordering::Relaxed),
            failures: self.0.failures.load(Ordering::Relaxed),
        }
    }

    /// The ticket as some node last saw it; `None` is a miss, whatever the cause.
    pub(crate) async fn get(&self, organization: OrganizationId, code: TicketCode) -> Option<TicketFacts> {
        if !self.0.up.load(Ordering::Relaxed) {
            return None;
        }
        let (asker, answered) = oneshot::channel();
        let lookup = Lookup {
            key: (organization, code),
            until: Instant::now() + PATIENCE,
            asker,
        };
        self.0.lookups.send(lookup).ok()?;
        answered.await.ok()?
    }

    /// Looks tickets up with one command, which is given up when the first of them is.
    async fn look_up(self, lookups: Vec<Lookup>) {
        let mut command = redis::cmd("MGET");
        for Lookup { key, .. } in &lookups {
            command.arg(ticket_key(*key));
        }
        let until = lookups.first().map_or_else(Instant::now, |first| first.until);
        let mut connection = self.0.connection.clone();
        let texts: Option<Vec<Option<Vec<u8>>>> = self
            .until(until, async { command.query_async(&mut connection).await })
            .await;
        for (Lookup { key, asker, .. }, text) in lookups.into_iter().zip(texts.unwrap_or_default()) {
            // An asker that went away needs no answer; one that gets none has missed.
            let _ = asker.send(text.and_then(|text| held(key, &text)));
        }
    }

    /// Keeps tickets as a write left them. Most of them Redis holds nothing of yet, and that needs no script.
    pub(crate) fn put<'a>(&self, tickets: impl Iterator<Item = &'a TicketFacts>) -> BoxFuture<'static, ()> {
        let kept: Vec<Kept> = tickets.map(Kept::ticket).collect();
        let tier = self.clone();
        Box::pin(async move {
            if kept.is_empty() {
                return;
            }
            tier.within_patience(async {
                let mut connection = tier.0.connection.clone();
                let mut pipeline = redis::pipe();
                for Kept { key, text, .. } in &kept {
                    let command = pipeline.cmd("SET").arg(key).arg(text);
                    command.arg("PX").arg(tier.window_millis()).arg("NX");
                }
                let taken: Vec<bool> = pipeline.query_async(&mut connection).await?;
                let left: Vec<&Kept> = kept
                    .iter()
                    .zip(taken)
                    .filter_map(|(kept, taken)| (!taken).then_some(kept))
                    .collect();
                if left.is_empty() {
                    return Ok(());
                }
                tier.set_if_newer(&left).exec_async(&mut connection).await
            })
            .await;
        })
    }

    /// Notes that tickets changed otherwise than by an admission; tried until Redis took it or the window is over.
    pub(crate) async fn invalidate(
        &self,
        organization: OrganizationId,
        tickets: &[(TicketCode, i64)],
        now: Timestamp,
    ) {
        let until = now.plus(self.0.window);
        {
            let mut owed = self.0.owed.lock().unwrap_or_else(PoisonError::into_inner);
            for &(code, version) in tickets {
                let newer = owed
                    .get(&(organization, code))
                    .is_some_and(|held| held.version > version);
                if !newer {
                    owed.insert((organization, code), Tombstone { version, until });
                }
            }
        }
        self.pay(now).await;
    }

    /// Writes the tombstones that are owed.
    async fn pay(&self, now: Timestamp) {
        let due: Vec<(Key, i64)> = {
            let mut owed = self.0.owed.lock().unwrap_or_else(PoisonError::into_inner);
            owed.retain(|_, tombstone| tombstone.until >= now);
            owed.iter()
                .map(|(key, tombstone)| (*key, tombstone.version))
                .collect()
        };
        if due.is_empty() {
            return;
        }
        let tombstones: Vec<Kept> = due
            .iter()
            .map(|&(key, version)| Kept::tombstone(key, version))
            .collect();
        let pipeline = self.set_if_newer(&tombstones.iter().collect::<Vec<_>>());
        let mut connection = self.0.connection.clone();
        if self
            .within_patience(async { pipeline.exec_async(&mut connection).await })
            .await
            .is_some()
        {
            let mut owed = self.0.owed.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, version) in due {
                if owed
                    .get(&key)
                    .is_some_and(|tombstone| tombstone.version <= version)
                {
                    owed.remove(&key);
                }
            }
        }
    }

    /// Sets keys that hold nothing newer, many with each script.
    fn set_if_newer(&self, kept: &[&Kept]) -> redis::Pipeline {
        let mut pipeline = redis::pipe();
        for kept in kept.chunks(MOST_AT_ONCE) {
            let script = pipeline.cmd("EVAL").arg(SET_IF_NEWER).arg(kept.len());
            for Kept { key, .. } in kept {
                script.arg(key);
            }
            for Kept { version, text, .. } in kept {
                script.arg(*version).arg(text);
            }
            script.arg(self.window_millis()).ignore();
        }
        pipeline
    }

    fn window_millis(&self) -> i64 {
        i64::try_from(self.0.window.as_millis())
            .unwrap_or(i64::MAX)
            .max(1)
    }

    /// Runs a call unless the breaker is open; a failure or a wait too long opens it.
    async fn within_patience<T>(&self, call: impl Future<Output = redis::RedisResult<T>>) -> Option<T> {
        self.until(Instant::now() + PATIENCE, call).await
    }

    /// The same, until then.
    async fn until<T>(&self, until: Instant, call: impl Future<Output = redis::RedisResult<T>>) -> Option<T> {
        if !self.0.up.load(Ordering::Relaxed) {
            return None;
        }
        let failure = match tokio::time::timeout_at(until, call).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        if self.0.up.swap(false, Ordering::Relaxed) {
            tracing::warn!(failure, "the Redis tier is left alone until it answers again");
        }
        None
    }

    async fn probe(&self) {
        if self.0.up.load(Ordering::Relaxed) {
            let now = self.latest_tombstone();
            if let Some(now) = now {
                self.pay(now).await;
            }
            return;
        }
        let mut connection = self.0.connection.clone();
        let ping = redis::cmd("PING");
        let answer = tokio::time::timeout(PATIENCE, ping.query_async::<String>(&mut connection)).await;
        if matches!(answer, Ok(Ok(_))) {
            self.0.up.store(true, Ordering::Relaxed);
            tracing::info!("the Redis tier answers again");
        }
    }

    /// A time at which every tombstone that is owed still counts: the core asks no clock.
    fn latest_tombstone(&self) -> Option<Timestamp> {
        let owed = self.0.owed.lock().unwrap_or_else(PoisonError::into_inner);
        owed.values()
            .map(|tombstone| tombstone.until.minus(self.0.window))
            .min()
    }
}

fn ticket_key((organization, code): Key) -> String {
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    let organization = organization.as_uuid().hyphenated().encode_lower(&mut buffer);
    [
        "voelgoed:org:",
        organization,
        ":ticket:",
        code.text().as_str(),
        ":last_scan",
    ]
    .concat()
}

/// The ticket that stands under a key, believed only as far as it names that key.
fn held((organization, code): Key, text: &[u8]) -> Option<TicketFacts> {
    let held: Held = serde_json::from_slice(text).ok()?;
    let facts = held.f.filter(|facts| facts.version == held.v)?;
    (facts.ticket.organization_id == organization && facts.ticket.code == code).then_some(facts)
}

/// Answers lookups until the tier is gone: those that come while [`MOST_COMMANDS`] are under way go together in the next.
async fn serve(tier: Weak<Parts>, mut lookups: mpsc::UnboundedReceiver<Lookup>) {
    let mut commands = FuturesUnordered::new();
    let mut together = Vec::new();
    loop {
        let many = tokio::select! {
            biased;
            // One that panicked has answered nobody, and the others go on.
            Some(_) = commands.next() => continue,
            many = lookups.recv_many(&mut together, MOST_AT_ONCE), if commands.len() < MOST_COMMANDS => many,
        };
        let Some(parts) = tier.upgrade().filter(|_| many > 0) else {
            return;
        };
        let command = RedisTier(parts).look_up(std::mem::take(&mut together));
        commands.push(AssertUnwindSafe(command).catch_unwind());
    }
}

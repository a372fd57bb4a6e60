//! Batches lookups: those that arrive while [`MAX_COMMANDS`] commands are running go together into the next command.

use std::panic::AssertUnwindSafe;
use std::sync::Weak;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::entry::{self, StoredTicket, TicketKey};
use super::{MAX_KEYS_PER_COMMAND, RedisTicketCache, RedisTicketCacheParts};

/// The maximal number of lookup commands that run at the same time.
const MAX_COMMANDS: usize = 4;

/// A request for a ticket.
pub(super) struct Lookup {
    pub(super) key: TicketKey,
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Option<StoredTicket>>,
}

/// Serves lookups until the cache is dropped.
pub(super) async fn serve(cache: Weak<RedisTicketCacheParts>, mut lookups: mpsc::UnboundedReceiver<Lookup>) {
    let mut commands = FuturesUnordered::new();
    let mut batch = Vec::new();
    loop {
        let received = tokio::select! {
            biased;
            // A command that panicked drops its reply channels, which counts as misses.
            Some(_) = commands.next() => continue,
            received = lookups.recv_many(&mut batch, MAX_KEYS_PER_COMMAND), if commands.len() < MAX_COMMANDS => received,
        };
        let Some(parts) = cache.upgrade().filter(|_| received > 0) else {
            return;
        };
        let command = look_up(RedisTicketCache(parts), std::mem::take(&mut batch));
        commands.push(AssertUnwindSafe(command).catch_unwind());
    }
}

/// Reads tickets with one command. The deadline of the first lookup applies to all of them.
async fn look_up(cache: RedisTicketCache, lookups: Vec<Lookup>) {
    let mut command = redis::cmd("MGET");
    for Lookup { key, .. } in &lookups {
        command.arg(entry::key_text(*key));
    }
    let deadline = lookups.first().map_or_else(Instant::now, |first| first.deadline);
    let call = async { command.query_async(&mut cache.0.server.connection()?).await };
    let values: Option<Vec<Option<Vec<u8>>>> = cache.0.breaker.call(deadline, call).await;
    for (Lookup { key, reply, .. }, value) in lookups.into_iter().zip(values.unwrap_or_default()) {
        // A caller that went away needs no answer. A caller whose reply channel is dropped has a miss.
        let _ = reply.send(value.and_then(|value| entry::parse(key, &value)));
    }
}

//! Lets bulk writes (uploads and imports) wait behind the scans. Bulk work is split into chunks, and each chunk waits for a
//! [`BulkPermit`].
//!
//! Chunks and scans contend in a scope: on PostgreSQL that is one organization, because its scans lock the rows that its
//! chunks lock. On SQLite it is the whole database, because one connection writes.
//!
//! Invariants:
//! - One chunk of a scope runs at a time, and a node runs at most [`MAX_CHUNKS`], besides those that have run for longer
//!   than [`SLOW_AFTER`], because they probably wait for a lock.
//! - A chunk starts while no scan of its scope is queued or being written. A chunk that has waited for
//!   [`MAX_SCAN_WRITES_AHEAD`] writes of scans starts nevertheless, so scans delay bulk work but never stop it. Work in the
//!   background, for which nobody waits, lets more writes ahead.
//! - The organizations of a scope take turns, and so do the scopes. Within an organization, chunks start in the order in
//!   which they were requested.
//! - The size of a chunk follows the time that the chunks before it took, so that a scan that arrives during a chunk
//!   waits for about the target time.

mod chunk_size;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::model::OrganizationId;
pub(super) use chunk_size::ChunkSize;

/// How many chunks a node writes at a time where organizations do not contend.
const MAX_CHUNKS: usize = 3;

/// How many chunks a node writes at a time, including those that wait for locks.
const MAX_CHUNKS_WITH_SLOW: usize = 6;

/// How long a chunk runs before it leaves its place to another one.
const SLOW_AFTER: Duration = Duration::from_millis(250);

/// After how many writes of scans a waiting chunk starts although scans are waiting.
const MAX_SCAN_WRITES_AHEAD: u32 = 8;

/// The same where all chunks that wait are work in the background.
const MAX_SCAN_WRITES_AHEAD_OF_BACKGROUND: u32 = 16;

/// How long a chunk should take where it stops the scans of all organizations.
const TARGET_OF_EXCLUSIVE_CHUNKS: Duration = Duration::from_millis(20);

/// How long a chunk should take where it stops the scans of one organization.
const TARGET_OF_SHARED_CHUNKS: Duration = Duration::from_millis(30);

/// What a chunk writes. Each kind has its own chunk size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BulkKind {
    /// Scans that a device decided offline.
    Upload,
    /// Lines of a ticket list.
    Import,
    /// What tasks in the background derive from recorded scans.
    Background,
}

/// How bulk writes and scans of a database get in each other's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contention {
    /// One write at a time in the whole database.
    Database,
    /// One write at a time in an organization.
    Organization,
}

impl Contention {
    /// How long a chunk should take.
    pub(super) fn target(self) -> Duration {
        match self {
            Self::Database => TARGET_OF_EXCLUSIVE_CHUNKS,
            Self::Organization => TARGET_OF_SHARED_CHUNKS,
        }
    }

    fn scope(self, organization: OrganizationId) -> ScopeKey {
        match self {
            Self::Database => None,
            Self::Organization => Some(organization),
        }
    }

    /// How many chunks run at a time, and how many including the slow ones.
    fn max_chunks(self) -> (usize, usize) {
        match self {
            Self::Database => (1, 1),
            Self::Organization => (MAX_CHUNKS, MAX_CHUNKS_WITH_SLOW),
        }
    }
}

/// An organization, or the whole database.
type ScopeKey = Option<OrganizationId>;

/// The bulk writes of a node; cheap to clone.
#[derive(Clone)]
pub(crate) struct BulkWrites(Arc<Shared>);

struct Shared {
    contention: Contention,
    upload_size: ChunkSize,
    import_size: ChunkSize,
    background_size: ChunkSize,
    state: Mutex<State>,
}

/// The right to write one chunk. Dropping it ends the chunk.
pub(crate) struct BulkPermit {
    bulk_writes: BulkWrites,
    scope: ScopeKey,
    kind: BulkKind,
    started: Instant,
    delays_scans: bool,
}

impl BulkPermit {
    /// Whether scans waited when the chunk started.
    pub(crate) fn delays_scans(&self) -> bool {
        self.delays_scans
    }

    /// The maximum number of items (scans or lines) of the chunk.
    pub(crate) fn max_items(&self) -> usize {
        self.bulk_writes.size(self.kind).items()
    }

    /// Ends a chunk of `items` that was written. The size of the next chunks follows its duration.
    pub(crate) fn complete(self, items: usize) {
        self.bulk_writes
            .size(self.kind)
            .record(items, self.started.elapsed());
    }
}

impl Drop for BulkPermit {
    fn drop(&mut self) {
        self.bulk_writes.0.state.lock().end_chunk(self.scope);
        self.bulk_writes.start_chunks();
    }
}

impl BulkWrites {
    pub(super) fn new(contention: Contention) -> Self {
        let target = contention.target();
        Self(Arc::new(Shared {
            contention,
            upload_size: ChunkSize::new(target),
            import_size: ChunkSize::new(target),
            background_size: ChunkSize::new(target),
            state: Mutex::default(),
        }))
    }

    fn size(&self, kind: BulkKind) -> &ChunkSize {
        match kind {
            BulkKind::Upload => &self.0.upload_size,
            BulkKind::Import => &self.0.import_size,
            BulkKind::Background => &self.0.background_size,
        }
    }

    /// Waits for the turn of a chunk of an organization. A caller writes at most [`BulkPermit::max_items`] items, then
    /// calls [`BulkPermit::complete`], and asks again for the next chunk. Dropping the future gives up the turn.
    pub(crate) async fn start_chunk(&self, organization: OrganizationId, kind: BulkKind) -> BulkPermit {
        let scope = self.0.contention.scope(organization);
        let (reply, mut granted) = oneshot::channel();
        self.0
            .state
            .lock()
            .scopes
            .entry(scope)
            .or_default()
            .waiting
            .entry(organization)
            .or_default()
            .push_back(WaitingChunk { kind, reply });
        loop {
            // Again after a while, because a running chunk may have become slow.
            self.start_chunks();
            match timeout(SLOW_AFTER, &mut granted).await {
                Ok(Ok(permit)) => return permit,
                // A waiting chunk is dropped only after its caller, so nothing waits here.
                Ok(Err(_)) => std::future::pending().await,
                Err(_) => {}
            }
        }
    }

    /// An organization has scans that are queued or being written.
    pub(super) fn scans_started(&self, organization: OrganizationId) {
        let scope = self.0.contention.scope(organization);
        let mut state = self.0.state.lock();
        state.scopes.entry(scope).or_default().scanning += 1;
    }

    /// A write of scans has ended.
    pub(super) fn scans_written(&self, organization: OrganizationId) {
        let scope = self.0.contention.scope(organization);
        if let Some(scope) = self.0.state.lock().scopes.get_mut(&scope)
            && !scope.waiting.is_empty()
        {
            scope.scan_writes_ahead += 1;
        }
        self.start_chunks();
    }

    /// An organization has no more scans that are queued or being written.
    pub(super) fn scans_ended(&self, organization: OrganizationId) {
        let key = self.0.contention.scope(organization);
        {
            let mut state = self.0.state.lock();
            if let Some(scope) = state.scopes.get_mut(&key) {
                scope.scanning = scope.scanning.saturating_sub(1);
            }
            state.remove_if_idle(key);
        }
        self.start_chunks();
    }

    /// Starts every chunk whose turn it is.
    fn start_chunks(&self) {
        loop {
            let now = Instant::now();
            let next = self
                .0
                .state
                .lock()
                .next_chunk(self.0.contention.max_chunks(), now);
            let Some(NextChunk {
                scope,
                chunk: WaitingChunk { kind, reply },
                delays_scans,
            }) = next
            else {
                return;
            };
            // A caller that has gone away drops its permit, which ends the chunk. The lock is not held here.
            let _ = reply.send(BulkPermit {
                bulk_writes: self.clone(),
                scope,
                kind,
                started: now,
                delays_scans,
            });
        }
    }

    /// How many chunks wait for their turn.
    #[cfg(test)]
    pub(super) fn waiting_chunks(&self) -> usize {
        let state = self.0.state.lock();
        let waiting = state.scopes.values().flat_map(|scope| scope.waiting.values());
        waiting.map(VecDeque::len).sum()
    }

    /// Runs bulk work of an organization while its scans wait and are written.
    #[cfg(test)]
    pub(crate) async fn run_among_scans<T>(
        &self,
        organization: OrganizationId,
        work: impl Future<Output = T>,
    ) -> T {
        self.scans_started(organization);
        let writes = async {
            loop {
                self.scans_written(organization);
                tokio::task::yield_now().await;
            }
        };
        let done = tokio::select! {
            done = work => done,
            () = writes => unreachable!("scans are written for ever"),
        };
        self.scans_ended(organization);
        done
    }

    /// How many scopes are tracked.
    #[cfg(test)]
    fn tracked_scopes(&self) -> usize {
        self.0.state.lock().scopes.len()
    }
}

struct WaitingChunk {
    kind: BulkKind,
    reply: oneshot::Sender<BulkPermit>,
}

struct NextChunk {
    scope: ScopeKey,
    chunk: WaitingChunk,
    delays_scans: bool,
}

#[derive(Default)]
struct State {
    /// The scopes with scans, with a running chunk or with waiting chunks.
    scopes: BTreeMap<ScopeKey, Scope>,
    /// The scope of the chunk that started last. The next one's turn follows.
    last: ScopeKey,
    /// When the running chunks started.
    running: BTreeMap<ScopeKey, Instant>,
}

#[derive(Default)]
struct Scope {
    /// How many organizations have scans that are queued or being written.
    scanning: usize,
    chunk_running: bool,
    /// How many writes of scans ended since a chunk began to wait.
    scan_writes_ahead: u32,
    /// The organization of the chunk that started last.
    last: Option<OrganizationId>,
    waiting: BTreeMap<OrganizationId, VecDeque<WaitingChunk>>,
}

impl Scope {
    fn may_start(&self) -> bool {
        let scans_give_way = self.scanning == 0 || self.scan_writes_ahead >= self.max_scan_writes_ahead();
        !self.waiting.is_empty() && !self.chunk_running && scans_give_way
    }

    fn max_scan_writes_ahead(&self) -> u32 {
        let mut chunks = self.waiting.values().flatten();
        if chunks.all(|chunk| chunk.kind == BulkKind::Background) {
            MAX_SCAN_WRITES_AHEAD_OF_BACKGROUND
        } else {
            MAX_SCAN_WRITES_AHEAD
        }
    }

    /// Removes the first chunk, whose caller still waits, of the next organization.
    fn take_next(&mut self) -> Option<WaitingChunk> {
        while let Some(organization) = next_after(&self.waiting, self.last.as_ref()) {
            let queue = self.waiting.get_mut(&organization)?;
            let chunk = queue.pop_front();
            if queue.is_empty() {
                self.waiting.remove(&organization);
            }
            if let Some(chunk) = chunk.filter(|chunk| !chunk.reply.is_closed()) {
                self.last = Some(organization);
                return Some(chunk);
            }
        }
        None
    }
}

impl State {
    /// Removes the next chunk that may start, and counts it as running.
    fn next_chunk(&mut self, (max_fast, max_all): (usize, usize), now: Instant) -> Option<NextChunk> {
        let is_fast = |started: &&Instant| **started + SLOW_AFTER > now;
        while self.running.len() < max_all && self.running.values().filter(is_fast).count() < max_fast {
            let ready = |(key, scope): (&ScopeKey, &Scope)| scope.may_start().then_some(*key);
            let mut after = self.scopes.iter().filter(|(key, _)| **key > self.last);
            let key = after
                .find_map(ready)
                .or_else(|| self.scopes.iter().find_map(ready))?;
            let scope = self.scopes.get_mut(&key)?;
            scope.scan_writes_ahead = 0;
            if let Some(chunk) = scope.take_next() {
                scope.chunk_running = true;
                let delays_scans = scope.scanning > 0;
                self.running.insert(key, now);
                self.last = key;
                return Some(NextChunk {
                    scope: key,
                    chunk,
                    delays_scans,
                });
            }
            self.remove_if_idle(key);
        }
        None
    }

    fn end_chunk(&mut self, key: ScopeKey) {
        self.running.remove(&key);
        if let Some(scope) = self.scopes.get_mut(&key) {
            scope.chunk_running = false;
        }
        self.remove_if_idle(key);
    }

    fn remove_if_idle(&mut self, key: ScopeKey) {
        let idle = |scope: &Scope| scope.scanning == 0 && !scope.chunk_running && scope.waiting.is_empty();
        if self.scopes.get(&key).is_some_and(idle) {
            self.scopes.remove(&key);
        }
    }
}

/// The first key after `last`, or the first of all.
pub(super) fn next_after<K: Ord + Copy, V>(map: &BTreeMap<K, V>, last: Option<&K>) -> Option<K> {
    use std::ops::Bound;
    let following = last.and_then(|last| map.range((Bound::Excluded(last), Bound::Unbounded)).next());
    following.or_else(|| map.iter().next()).map(|(key, _)| *key)
}

#[cfg(test)]
mod tests;

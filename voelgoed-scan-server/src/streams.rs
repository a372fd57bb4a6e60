//! The open event streams of this server: how many a caller may have, and when one ends.
//!
//! Invariants:
//! - A credential has at most [`MAX_OF_CREDENTIAL`] streams, an organization [`MAX_OF_ORGANIZATION`], the server [`MAX`].
//! - A stream whose caller may no longer see what it shows ends within a second. Its credential is looked up once for
//!   all of its streams.
//! - A client that does not read is cut off: when it is too many scans behind, or after [`READ_TIMEOUT`].

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::model::{OrganizationId, TokenHash};
use voelgoed_scan_core::node::Backlog;

use crate::auth::{Caller, Credential, Permission};
use crate::cut::CutHandle;
use crate::problem::{Code, Problem};
use crate::state::ServerState;

/// The maximum number of streams of a credential.
const MAX_OF_CREDENTIAL: usize = 64;

/// The maximum number of streams of an organization, so that it leaves some to the others.
const MAX_OF_ORGANIZATION: usize = 1024;

/// The maximum number of streams of the server.
const MAX: usize = 4096;

/// How often the streams are checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(150);

/// How long a client may leave a part of the stream unread.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the answer to a client that is too far behind may stand still.
const BEHIND_TIMEOUT: Duration = Duration::from_secs(1);

/// When a caller refused for its streams should try again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The open streams of a server. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Registry>);

#[derive(Default)]
struct Registry {
    open: Mutex<OpenStreams>,
    /// The number of checks so far, which is the clock of the streams.
    checks: AtomicU64,
}

#[derive(Default)]
struct OpenStreams {
    by_credential: HashMap<TokenHash, CredentialStreams>,
    by_organization: HashMap<OrganizationId, usize>,
    count: usize,
    next_id: u64,
}

struct CredentialStreams {
    credential: Credential,
    organization: OrganizationId,
    with_codes: bool,
    streams: HashMap<u64, Arc<StreamState>>,
}

/// What the server knows of a stream.
#[derive(Default)]
struct StreamState {
    /// Ends the stream after what the client is reading.
    ended: CancellationToken,
    /// Ends the stream of a client that does not read.
    cut: Option<CutHandle>,
    backlog: Mutex<Arc<Backlog>>,
    /// The check after which a part was handed to the client. 0 while the stream waits for something to send.
    unread_since: AtomicU64,
}

impl StreamState {
    /// Ends the stream. The second call cuts off a client that was not reading at the first.
    fn end(&self) {
        if self.ended.is_cancelled() {
            self.cut();
        }
        self.ended.cancel();
    }

    fn cut(&self) {
        if let Some(cut) = &self.cut {
            cut.cut();
        }
    }

    /// Whether the client has left a part of the stream unread for too long.
    fn is_stuck(&self, checks: u64) -> bool {
        let since = self.unread_since.load(Ordering::Relaxed);
        let limit = if self.backlog.lock().is_cut_off() {
            BEHIND_TIMEOUT
        } else {
            READ_TIMEOUT
        };
        since != 0
            && u128::from(checks.saturating_sub(since)) * CHECK_INTERVAL.as_millis() > limit.as_millis()
    }
}

/// An open stream. It counts until this is dropped.
pub(crate) struct OpenStream {
    streams: Streams,
    token: TokenHash,
    organization: OrganizationId,
    id: u64,
    state: Arc<StreamState>,
}

impl Streams {
    /// Opens a stream of a caller. The problem says that there are too many.
    pub(crate) fn open(&self, credential: Credential, caller: &Caller) -> Result<OpenStream, Problem> {
        let mut open = self.0.open.lock();
        let token = credential.token();
        let organization = caller.organization();
        let of_credential = open.by_credential.get(&token).map_or(0, |all| all.streams.len());
        let of_organization = open.by_organization.get(&organization).copied().unwrap_or(0);
        if of_credential >= MAX_OF_CREDENTIAL || of_organization >= MAX_OF_ORGANIZATION {
            return Err(Problem::rate_limited(RETRY_AFTER));
        }
        if open.count >= MAX {
            return Err(Code::Overloaded.into());
        }
        open.next_id += 1;
        let id = open.next_id;
        let state = Arc::new(StreamState {
            cut: CutHandle::current(),
            ..StreamState::default()
        });
        open.by_credential
            .entry(token)
            .or_insert_with(|| CredentialStreams {
                credential,
                organization,
                with_codes: caller.may_see_codes(),
                streams: HashMap::new(),
            })
            .streams
            .insert(id, Arc::clone(&state));
        *open.by_organization.entry(organization).or_insert(0) += 1;
        open.count += 1;
        drop(open);
        Ok(OpenStream {
            streams: self.clone(),
            token,
            organization,
            id,
            state,
        })
    }

    /// Checks the streams until the server stops.
    pub(crate) async fn supervise(state: Arc<ServerState>) {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = state.stopping.cancelled() => return,
            }
            let credentials = state.streams.check_progress();
            for (token, credential, organization, with_codes) in credentials {
                if !is_permitted(&state, &credential, organization, with_codes).await {
                    state.streams.end_all_of(&token);
                }
            }
        }
    }

    /// Cuts off the clients that do not read. Returns the credentials that have streams.
    fn check_progress(&self) -> Vec<(TokenHash, Credential, OrganizationId, bool)> {
        let checks = self.0.checks.fetch_add(1, Ordering::Relaxed) + 1;
        let open = self.0.open.lock();
        for state in open.by_credential.values().flat_map(|all| all.streams.values()) {
            if state.is_stuck(checks) {
                state.cut();
            }
        }
        let of_credential = |(token, all): (&TokenHash, &CredentialStreams)| {
            (*token, all.credential, all.organization, all.with_codes)
        };
        open.by_credential.iter().map(of_credential).collect()
    }

    fn end_all_of(&self, token: &TokenHash) {
        if let Some(all) = self.0.open.lock().by_credential.get(token) {
            all.streams.values().for_each(|state| state.end());
        }
    }
}

/// Whether a credential still permits its streams. They continue while the database is unavailable.
async fn is_permitted(
    state: &ServerState,
    credential: &Credential,
    organization: OrganizationId,
    with_codes: bool,
) -> bool {
    match credential.caller(&state.scanner, &state.admin, false).await {
        Ok(caller) => {
            caller.organization() == organization
                && Permission::Viewer.admits(&caller)
                && caller.may_see_codes() == with_codes
        }
        Err(problem) => problem.is_unavailable(),
    }
}

impl OpenStream {
    /// Waits until the stream has to end.
    pub(crate) async fn ended(&self) {
        self.state.ended.cancelled().await;
    }

    /// The stream waits for something to send: the client has read all before it.
    pub(crate) fn begin_wait(&self) {
        self.state.unread_since.store(0, Ordering::Relaxed);
    }

    /// A part is handed to the client.
    pub(crate) fn end_wait(&self, backlog: &Arc<Backlog>) {
        let checks = self.streams.0.checks.load(Ordering::Relaxed);
        self.state.unread_since.store(checks.max(1), Ordering::Relaxed);
        *self.state.backlog.lock() = Arc::clone(backlog);
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.streams.0.open.lock();
        if let Some(all) = open.by_credential.get_mut(&self.token) {
            all.streams.remove(&self.id);
            if all.streams.is_empty() {
                open.by_credential.remove(&self.token);
            }
        }
        if let Some(count) = open.by_organization.get_mut(&self.organization) {
            *count -= 1;
            if *count == 0 {
                open.by_organization.remove(&self.organization);
            }
        }
        open.count -= 1;
    }
}

//! Accepting connections, and waiting for them at a stop.
//!
//! Invariants: a node that has too many connections lets new ones wait; a stop serves the connections that the system
//! completed before it, and finishes the requests in flight and the changes that began.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::connection;
use super::connection_limit::{ConnectionLimit, OpenConnection, Refused};
use super::progress::Progress;
use crate::cut::cuttable;
use crate::state::ServerState;
use crate::tls::ReloadableTls;

/// At shutdown connections are accepted until none arrives for this long, and at most for the time limit: the system's
/// queue may contain some.
const QUEUE_PAUSE: Duration = Duration::from_millis(10);
const QUEUE_TIMEOUT: Duration = Duration::from_millis(250);

/// The interval at which a node without a place for another connection looks for one.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// The time limit for requests in flight at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(5750);

/// The time limit at shutdown for changes whose connections have ended.
const CHANGE_TIMEOUT: Duration = Duration::from_millis(1500);

/// Accepts connections until the server stops, then waits for the requests in flight.
pub(super) async fn accept(
    state: Arc<ServerState>,
    listener: TcpListener,
    tls: Option<Arc<ReloadableTls>>,
    limit: ConnectionLimit,
) {
    let mut connections = Connections {
        state: Arc::clone(&state),
        tls,
        limit: Arc::new(limit),
        tasks: JoinSet::new(),
        is_refusing: false,
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.tasks.join_next() => continue,
            () = state.stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => connections.serve(stream, peer).await,
            Err(error) => {
                // Most likely the process is out of file descriptors, until other connections close.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(RETRY_INTERVAL).await;
            }
        }
    }
    // The system has completed these connections, so that their clients may have sent requests.
    let until = Instant::now() + QUEUE_TIMEOUT;
    while Instant::now() < until
        && let Ok(Ok((stream, peer))) = timeout(QUEUE_PAUSE, listener.accept()).await
    {
        connections.serve(stream, peer).await;
    }
    drop(listener);
    let tasks = &mut connections.tasks;
    let drained = async { while tasks.join_next().await.is_some() {} };
    if timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!("some requests did not finish in time and were aborted");
        tasks.shutdown().await;
    }
    // Changes whose connections have ended, by themselves or just now, take effect before the process ends.
    if timeout(CHANGE_TIMEOUT, state.changes.finished()).await.is_err() {
        tracing::error!("some changes did not finish in time");
    }
}

/// The connections of a server.
struct Connections {
    state: Arc<ServerState>,
    tls: Option<Arc<ReloadableTls>>,
    limit: Arc<ConnectionLimit>,
    tasks: JoinSet<()>,
    /// Whether the last connection was refused. Refusals are logged once, until a connection is accepted again.
    is_refusing: bool,
}

impl Connections {
    /// Serves a connection in a task of its own. A full node waits here for a place, while others wait in the system's queue.
    async fn serve(&mut self, stream: TcpStream, peer: SocketAddr) {
        let peer = peer.ip().to_canonical();
        let progress = Progress::new(self.state.connection_timeout);
        let open = loop {
            match self.admit(peer, &progress) {
                Ok(open) => break open,
                Err(Refused::Address) => return,
                Err(Refused::Node) => {
                    tokio::select! {
                        Some(_) = self.tasks.join_next() => {}
                        () = sleep(RETRY_INTERVAL) => {}
                        // At the stop of a full node, waiting clients have no place.
                        () = self.state.stopping.cancelled() => return,
                    }
                }
            }
        };
        let tls = self.tls.as_ref().map(|tls| tls.acceptor());
        let connection = connection::serve(Arc::clone(&self.state), stream, peer, tls, progress);
        self.tasks.spawn(cuttable(async move {
            tokio::select! {
                () = connection => {}
                () = open.evicted() => {}
            }
        }));
    }

    fn admit(&mut self, peer: IpAddr, progress: &Arc<Progress>) -> Result<OpenConnection, Refused> {
        // A proxy on this machine may be undeclared.
        let is_exempt = peer.is_loopback() || self.state.trusted_proxies.contains(peer);
        let admitted = self.limit.admit(peer, is_exempt, progress, Instant::now());
        let was_refusing = std::mem::replace(&mut self.is_refusing, admitted.is_err());
        if let Err(refused) = &admitted
            && !was_refusing
        {
            tracing::warn!(%peer, ?refused, "too many connections are open");
        }
        admitted
    }
}

//! The Redis server that is used at present, with the connection that all commands share.
//!
//! With sentinels another server may take its place at any time, and a server that became a replica is connected anew. Everybody
//! asks here for each call, and keeps no connection.

use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ErrorKind, RedisError, RedisResult};
use tokio::sync::watch;

/// The shortest and the longest pause between two attempts to connect.
const MIN_RECONNECT_DELAY: Duration = Duration::from_millis(50);
const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(500);

/// The limit of a connect and of a response. The ticket cache has a shorter limit of its own.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

/// A server with its connection. The connection is made, and made again after a failure, in the background.
#[derive(Clone)]
pub(super) struct Server {
    client: Client,
    connection: ConnectionManager,
}

impl Server {
    /// Must be called within a tokio runtime.
    pub(super) fn new(client: Client) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_max_delay(MAX_RECONNECT_DELAY)
            .set_min_delay(MIN_RECONNECT_DELAY)
            .set_number_of_retries(1)
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self { client, connection })
    }
}

/// The present server; cheap to clone.
#[derive(Clone)]
pub(crate) struct PresentServer(Arc<watch::Sender<Option<Server>>>);

impl PresentServer {
    /// A server that no other one replaces.
    pub(super) fn only(server: Server) -> Self {
        Self(Arc::new(watch::Sender::new(Some(server))))
    }

    /// There is no server until one is named.
    pub(super) fn not_known_yet() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// The same, without keeping it alive.
    pub(super) fn downgrade(&self) -> PresentServerRef {
        PresentServerRef(Arc::downgrade(&self.0))
    }

    /// Names the server that is used from now on.
    pub(super) fn replace(&self, server: Option<Server>) {
        self.0.send_replace(server);
    }

    /// Makes all connections to the server anew, also those of the bus. For a server that became a replica: its address may be
    /// that of another server by now.
    pub(crate) fn connect_anew(&self) {
        tracing::debug!("Redis is read-only, so that it is connected anew");
        self.0.send_if_modified(|present| {
            let anew = present.as_ref().map(|server| Server::new(server.client.clone()));
            let Some(Ok(anew)) = anew else { return false };
            *present = Some(anew);
            true
        });
    }

    /// The connection that all commands share. Fails while no server is known.
    pub(crate) fn connection(&self) -> RedisResult<ConnectionManager> {
        let server = self.0.borrow();
        server
            .as_ref()
            .map_or_else(|| Err(no_server()), |server| Ok(server.connection.clone()))
    }

    /// The server for a connection of one's own, and what tells that this connection is to be given up.
    pub(super) fn client(&self) -> RedisResult<(Client, Replacement)> {
        let mut receiver = self.0.subscribe();
        let client = receiver
            .borrow_and_update()
            .as_ref()
            .map(|one| one.client.clone());
        Ok((client.ok_or_else(no_server)?, Replacement(receiver)))
    }

    /// Waits until a server is known.
    pub(super) async fn known(&self) {
        // The sender lives as long as anybody waits.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }
}

/// A [`PresentServer`] that may have no user any more.
pub(super) struct PresentServerRef(Weak<watch::Sender<Option<Server>>>);

impl PresentServerRef {
    pub(super) fn upgrade(&self) -> Option<PresentServer> {
        self.0.upgrade().map(PresentServer)
    }
}

/// Tells that a connection is to be given up: another server took the place, or the server is connected anew.
pub(super) struct Replacement(watch::Receiver<Option<Server>>);

impl Replacement {
    /// Waits for that.
    pub(super) async fn replaced(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody is left who could name another server.
            std::future::pending::<()>().await;
        }
    }
}

fn no_server() -> RedisError {
    RedisError::from((ErrorKind::Io, "the sentinels name no server"))
}

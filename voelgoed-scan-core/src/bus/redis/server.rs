//! The Redis server that is used at present, with the connection that all commands share.
//!
//! With sentinels another server may take its place at any time. Everybody asks here for each call, and keeps no connection.

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
pub(crate) struct PresentServer(watch::Receiver<Option<Server>>);

impl PresentServer {
    /// A server that is never replaced.
    pub(super) fn only(server: Server) -> Self {
        Self(watch::channel(Some(server)).1)
    }

    /// The server that a sender names. There is none until the sender names the first one.
    pub(super) fn named_by(receiver: watch::Receiver<Option<Server>>) -> Self {
        Self(receiver)
    }

    /// The connection that all commands share. Fails while no server is known.
    pub(crate) fn connection(&self) -> RedisResult<ConnectionManager> {
        let server = self.0.borrow();
        server
            .as_ref()
            .map_or_else(|| Err(no_server()), |server| Ok(server.connection.clone()))
    }

    /// The server for a connection of one's own, and what tells that another one took its place.
    pub(super) fn client(&self) -> RedisResult<(Client, Replacement)> {
        let mut receiver = self.0.clone();
        let client = receiver
            .borrow_and_update()
            .as_ref()
            .map(|one| one.client.clone());
        Ok((client.ok_or_else(no_server)?, Replacement(receiver)))
    }

    /// Waits until a server is known.
    pub(super) async fn known(&self) {
        // The sender lives as long as anybody waits.
        let _ = self.0.clone().wait_for(Option::is_some).await;
    }
}

/// Tells that another server took the place of one.
pub(super) struct Replacement(watch::Receiver<Option<Server>>);

impl Replacement {
    /// Waits until another server took the place.
    pub(super) async fn replaced(&mut self) {
        if self.0.changed().await.is_err() {
            // The only server is never replaced.
            std::future::pending().await
        }
    }
}

fn no_server() -> RedisError {
    RedisError::from((ErrorKind::Io, "the sentinels have named no server yet"))
}

//! Opens Redis by its URL, for the ticket cache and for the bus.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};

use crate::bus::Bus;
use crate::bus::redis::RedisBus;

/// The shortest and the longest pause between two attempts to connect.
const MIN_RECONNECT_DELAY: Duration = Duration::from_millis(50);
const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(500);

/// The limit of a connect and of a response. The ticket cache has a shorter limit of its own.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

/// The text is not a Redis URL, or this build does not support its scheme.
#[derive(Debug, thiserror::Error)]
#[error("not a Redis URL: give redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]")]
pub struct InvalidRedisUrl;

/// A Redis server. It need not run yet: the connection is made, and made again after a failure, in the background.
#[derive(Clone)]
pub struct RedisConnection {
    client: redis::Client,
    connection: ConnectionManager,
    platform_keys: bool,
}

impl RedisConnection {
    /// Parses a `redis://` URL. Must be called within a tokio runtime.
    pub fn new(url: &str) -> Result<Self, InvalidRedisUrl> {
        let client = redis::Client::open(url).map_err(|_| InvalidRedisUrl)?;
        let config = ConnectionManagerConfig::new()
            .set_max_delay(MAX_RECONNECT_DELAY)
            .set_min_delay(MIN_RECONNECT_DELAY)
            .set_number_of_retries(1)
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connection =
            ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(|_| InvalidRedisUrl)?;
        Ok(Self {
            client,
            connection,
            platform_keys: false,
        })
    }

    /// Has the node write the keys that the ticketing platform documents, beside its own.
    #[must_use]
    pub fn with_platform_keys(mut self) -> Self {
        self.platform_keys = true;
        self
    }

    /// Whether the node writes the platform's keys.
    pub(crate) const fn writes_platform_keys(&self) -> bool {
        self.platform_keys
    }

    /// The connection that all commands share.
    pub(crate) fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

    /// A bus over this server. `window` is how long it keeps the latest scans of an event.
    pub(crate) fn bus(&self, window: Duration) -> Arc<dyn Bus> {
        Arc::new(RedisBus::new(
            self.client.clone(),
            self.connection.clone(),
            window,
        ))
    }
}

impl std::fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.write_str("RedisConnection")
    }
}

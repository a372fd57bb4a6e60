//! Where is Redis? A URL becomes the second tier and the bus.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};

use crate::bus::Bus;
use crate::bus::redis::RedisBus;

/// The longest wait between two tries to connect.
const LONGEST_REST: Duration = Duration::from_millis(500);

/// The longest wait for an answer; the tier itself is more impatient.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

/// A text that is not a Redis URL, or one that this build cannot use.
#[derive(Debug, thiserror::Error)]
#[error("not a Redis URL: give redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]")]
pub struct InvalidRedisUrl;

/// A Redis that need not be there yet: connections are made, and made again, in the background.
#[derive(Clone)]
pub struct RedisConnection {
    client: redis::Client,
    connection: ConnectionManager,
}

impl RedisConnection {
    /// Takes a `redis://` URL. To be called within a tokio runtime.
    pub fn new(url: &str) -> Result<Self, InvalidRedisUrl> {
        let client = redis::Client::open(url).map_err(|_| InvalidRedisUrl)?;
        let config = ConnectionManagerConfig::new()
            .set_max_delay(LONGEST_REST)
            .set_min_delay(Duration::from_millis(50))
            .set_number_of_retries(1)
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connection =
            ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(|_| InvalidRedisUrl)?;
        Ok(Self { client, connection })
    }

    /// The connection that commands share.
    pub(crate) fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

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
        f.write_str("RedisLink")
    }
}

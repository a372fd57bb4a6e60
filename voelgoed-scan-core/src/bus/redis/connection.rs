//! Opens Redis by its URL, for the ticket cache and for the bus.

use std::sync::Arc;
use std::time::Duration;

use crate::bus::Bus;
use crate::bus::redis::RedisBus;
use crate::bus::redis::address::{RedisAddress, SentinelAddress, parse};
use crate::bus::redis::sentinels;
use crate::bus::redis::server::{PresentServer, Server};

/// How long the check at the start waits for an answer.
pub(super) const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Why Redis cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RedisSetupError {
    /// The text is no URL of Redis.
    #[error(
        "not a Redis URL: give redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss:// for TLS, or \
         redis+sentinel://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT]/MASTER[/DATABASE]"
    )]
    InvalidUrl,
    /// The URL names sentinels, but not what they are to be asked for.
    #[error(
        "the name of the master is missing: give redis+sentinel://HOST[:PORT],HOST[:PORT]/MASTER, with the name that \
         `sentinel monitor` has in the configuration of the sentinels"
    )]
    SentinelWithoutMaster,
    /// The sentinels watch no master of this name.
    #[error(
        "the sentinels know no master `{0}`: give redis+sentinel://HOST[:PORT],HOST[:PORT]/MASTER, with the name that \
         `sentinel monitor` has in their configuration"
    )]
    UnknownMaster(String),
    /// The URL asks for TLS that checks nothing.
    #[error(
        "certificates are always checked: leave #insecure out, and give the certificate authority of the server"
    )]
    InsecureTls,
    /// The file holds no certificate.
    #[error("no certificate in PEM format was found for the certificate authority")]
    InvalidCa,
    /// There is a certificate authority, but no TLS.
    #[error("a certificate authority needs TLS: give a rediss:// or rediss+sentinel:// URL")]
    CaWithoutTls,
    /// The server is a node of a Redis Cluster.
    #[error(
        "this Redis is a node of a Redis Cluster, which spreads keys over servers; a node uses commands with several keys. \
         Give one Redis server, or one that sentinels watch (redis+sentinel://HOST,HOST/MASTER); with a managed service turn \
         cluster mode off. A few hundred MB are enough"
    )]
    Cluster,
    /// The server is a sentinel.
    #[error(
        "this is a sentinel, not a Redis server: give redis+sentinel://HOST[:PORT],HOST[:PORT]/MASTER with all sentinels"
    )]
    IsSentinel,
}

/// A Redis server, or the one that sentinels name. It need not run yet.
#[derive(Clone)]
pub struct RedisConnection {
    server: PresentServer,
    sentinels: Option<SentinelAddress>,
    platform_keys: bool,
}

impl RedisConnection {
    /// Parses a URL (`docs/redis.md` lists the forms). `ca` holds certificates of authorities (PEM), which replace the public
    /// ones. Must be called within a tokio runtime.
    pub fn new(url: &str, ca: Option<&[u8]>) -> Result<Self, RedisSetupError> {
        let (server, sentinels) = match parse(url, ca)? {
            RedisAddress::Server(client) => {
                let server = Server::new(client).map_err(|_| RedisSetupError::InvalidUrl)?;
                (PresentServer::only(server), None)
            }
            RedisAddress::Sentinels(address) => (sentinels::follow(address.clone()), Some(address)),
        };
        Ok(Self {
            server,
            sentinels,
            platform_keys: false,
        })
    }

    /// Refuses what a node cannot work with. A server that does not answer is not refused: it may start later.
    pub async fn check(&self) -> Result<(), RedisSetupError> {
        if let Some(sentinels) = &self.sentinels {
            sentinels::check(sentinels).await?;
        }
        match tokio::time::timeout(CHECK_TIMEOUT, self.description()).await {
            Ok(Ok(description)) => check_description(&description),
            Ok(Err(error)) => {
                tracing::warn!(%error, "Redis did not answer at the start");
                Ok(())
            }
            Err(_) => {
                tracing::warn!("Redis did not answer at the start");
                Ok(())
            }
        }
    }

    async fn description(&self) -> redis::RedisResult<String> {
        self.server.known().await;
        let mut connection = self.server.connection()?;
        redis::cmd("INFO").query_async(&mut connection).await
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

    /// The present server.
    pub(crate) fn server(&self) -> PresentServer {
        self.server.clone()
    }

    /// A bus over this server. `window` is how long it keeps the latest scans of an event.
    pub(crate) fn bus(&self, window: Duration) -> Arc<dyn Bus> {
        Arc::new(RedisBus::new(self.server.clone(), window))
    }
}

/// Checks what Redis says of itself.
fn check_description(description: &str) -> Result<(), RedisSetupError> {
    for line in description.lines() {
        match line.trim_end() {
            "redis_mode:cluster" | "cluster_enabled:1" => return Err(RedisSetupError::Cluster),
            "redis_mode:sentinel" => return Err(RedisSetupError::IsSentinel),
            _ => {}
        }
    }
    Ok(())
}

impl std::fmt::Debug for RedisConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.write_str("RedisConnection")
    }
}

//! Starts a node: takes a database, a master secret and a window, and returns the scanner and the administration.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

#[cfg(feature = "redis")]
use crate::bus::RedisConnection;
use crate::bus::{Bus, BusPublisher};
use crate::model::{OrganizationId, RuleSettings};
use crate::node::audit::AuditTask;
use crate::node::cache::identities::IdentityCache;
use crate::node::cache::invalidation::Invalidator;
use crate::node::cache::occupancy::OccupancyCache;
#[cfg(feature = "redis")]
use crate::node::cache::redis::{PlatformKeys, RedisTicketCache};
use crate::node::cache::scan_ids::ScanIds;
use crate::node::cache::tickets::TicketCache;
use crate::node::cluster::Cluster;
use crate::node::cluster::claims::Claims;
use crate::node::health::{ConflictStats, DatabaseLiveness};
use crate::node::keyrings::Keyrings;
use crate::node::manifest_cache::ManifestCache;
use crate::node::purge::Purge;
use crate::node::scanner::{PostCommitEffects, ScannerParts};
use crate::node::signals::{SignalCounts, SignalFeed};
use crate::node::webhooks::Webhooks;
use crate::node::write_queue::WriteQueue;
use crate::node::{Admin, Deliveries, Feed, Scanner};
use crate::store::{Store, StoreError};
use crate::token::{Keyring, KeyringError, MasterSecret, PhoenixKeys};

/// The parts and settings of a node.
pub struct Setup {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The secret that all signing keys derive from.
    pub master: MasterSecret,
    /// The platform's keys, where its tokens are accepted.
    pub phoenix: Option<PhoenixKeys>,
    /// The deduplication window. It must be the same on all nodes. A program that changes it stores it first
    /// (`NodeStore::keep_dedup_window`), so that uploads judge the scans of before by the window of their time.
    pub window: Duration,
    /// Redis, where there is one: the second cache tier and the bus.
    #[cfg(feature = "redis")]
    pub redis: Option<RedisConnection>,
}

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The writer's thread did not start.
    #[error("the writer's thread did not start: {0}")]
    Thread(#[from] std::io::Error),
    /// The signing keys in the database do not derive from this master secret.
    #[error("organization {organization}: {error}")]
    Keys {
        /// The organization that owns the keys.
        organization: OrganizationId,
        /// The difference.
        error: KeyringError,
    },
}

impl Setup {
    #[expect(
        clippy::too_many_lines,
        reason = "connects the parts of a node, one after the other"
    )]
    /// Checks that the stored public keys derive from this master secret, and starts the node. Must be called within a
    /// tokio runtime.
    pub async fn open(self) -> Result<(Scanner, Admin), SetupError> {
        self.check_signing_keys().await?;
        let bus = self.bus();
        let Self {
            store,
            master,
            phoenix,
            window,
            #[cfg(feature = "redis")]
            redis,
        } = self;
        let rules = RuleSettings { dedup_window: window };
        #[cfg(feature = "redis")]
        let writes_platform_keys = redis.as_ref().is_some_and(RedisConnection::writes_platform_keys);
        #[cfg(feature = "redis")]
        let redis_cache = redis.map(|redis| RedisTicketCache::start(redis.server(), window));
        #[cfg(feature = "redis")]
        let platform_keys = redis_cache
            .clone()
            .filter(|_| writes_platform_keys)
            .map(PlatformKeys::start);
        let (publisher, publisher_queue) = BusPublisher::channel(bus.is_some());
        let identity_cache = Arc::new(IdentityCache::new());
        let ticket_cache = Arc::new(TicketCache::new(window));
        let scan_ids = Arc::new(ScanIds::new());
        let occupancy_cache = Arc::new(OccupancyCache::default());
        let keyrings = Keyrings::new(master, phoenix, Arc::clone(&store), Arc::clone(&identity_cache));
        let feed = Arc::new(Feed::new(Arc::clone(&store), bus.clone()));
        let signals = Arc::new(SignalFeed::new(Arc::clone(&store), Arc::clone(&feed)));
        signals.start();
        let effects = PostCommitEffects {
            ticket_cache: Arc::clone(&ticket_cache),
            scan_ids: Arc::clone(&scan_ids),
            #[cfg(feature = "redis")]
            redis_cache: redis_cache.clone(),
            #[cfg(feature = "redis")]
            platform_keys: platform_keys.clone(),
            occupancy_cache: Arc::clone(&occupancy_cache),
            feed: Arc::clone(&feed),
            publisher: publisher.clone(),
        };
        let write_queue = WriteQueue::start(Arc::clone(&store), rules, Arc::new(effects))?;
        let database_liveness = Arc::new(DatabaseLiveness::default());
        let claims = Claims::new(
            bus.clone().filter(|_| store.is_shared()),
            Arc::clone(&scan_ids),
            Arc::clone(&ticket_cache),
            write_queue.clone(),
        );
        let cluster = Cluster {
            database_liveness: Arc::clone(&database_liveness),
            store: Arc::clone(&store),
            identity_cache: Arc::clone(&identity_cache),
            ticket_cache: Arc::clone(&ticket_cache),
            scan_ids: Arc::clone(&scan_ids),
            occupancy_cache: Arc::clone(&occupancy_cache),
            claims: claims.clone(),
            feed: Arc::clone(&feed),
            #[cfg(feature = "redis")]
            platform_keys: platform_keys.clone(),
        };
        cluster.start(bus.clone(), publisher_queue);
        let bulk_writes = write_queue.bulk_writes();
        let webhooks = Webhooks::start(Arc::clone(&store), Arc::clone(&feed), bulk_writes.clone());
        let invalidator = Invalidator {
            identity_cache: Arc::clone(&identity_cache),
            ticket_cache: Arc::clone(&ticket_cache),
            #[cfg(feature = "redis")]
            redis_cache: redis_cache.clone(),
            publisher,
        };
        let purge_wake = Arc::new(Notify::new());
        Purge::start(
            Arc::clone(&store),
            write_queue.clone(),
            Arc::clone(&feed),
            Arc::clone(&purge_wake),
        );
        let deliveries = Deliveries::new(Arc::clone(&store), keyrings.clone(), bulk_writes.clone());
        let admin = Admin {
            store: Arc::clone(&store),
            keyrings: keyrings.clone(),
            identity_cache: Arc::clone(&identity_cache),
            invalidator: invalidator.clone(),
            manifest_cache: Arc::new(ManifestCache::new(window)),
            write_queue: write_queue.clone(),
            purge_wake,
            webhooks: Arc::clone(&webhooks),
        };
        let audit_task = AuditTask {
            store: Arc::clone(&store),
            keyrings: keyrings.clone(),
            bulk_writes: bulk_writes.clone(),
        };
        audit_task.start(Uuid::new_v4(), Arc::clone(&feed));
        let scanner = Scanner::new(ScannerParts {
            store,
            keyrings,
            rules,
            identity_cache,
            ticket_cache,
            scan_ids,
            claims,
            #[cfg(feature = "redis")]
            redis_cache,
            #[cfg(feature = "redis")]
            platform_keys,
            bus,
            invalidator,
            occupancy_cache,
            feed,
            write_queue,
            database_liveness,
            signals,
            signal_counts: SignalCounts::default(),
            webhooks,
            deliveries,
            conflict_stats: ConflictStats::default(),
        });
        Ok((scanner, admin))
    }

    async fn check_signing_keys(&self) -> Result<(), SetupError> {
        for organization in self.store.organizations().await? {
            let keys = self.store.signing_keys(organization).await?;
            Keyring::derive(&self.master, organization, &keys)
                .map_err(|error| SetupError::Keys { organization, error })?;
        }
        Ok(())
    }

    /// Redis where there is one, otherwise the bus of the database, if it has one.
    fn bus(&self) -> Option<Arc<dyn Bus>> {
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.redis {
            return Some(redis.bus(self.window));
        }
        self.store.bus()
    }
}

//! How is a gate put together? A database, a master secret, a window; out come the scanner and the back office.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::bus::Bus;
use crate::model::{OrganizationId, RuleSettings};
use crate::node::cache::identities::IdentityCache;
use crate::node::cache::invalidation::{Invalidator, Outbox};
use crate::node::cache::occupancy::OccupancyCache;
#[cfg(feature = "redis")]
use crate::node::cache::redis::RedisTier;
use crate::node::cache::tickets::TicketCache;
use crate::node::cluster::Node;
use crate::node::health::DatabaseLiveness;
use crate::node::manifest_cache::ManifestCache;
use crate::node::scanner::{Parts, PostCommitEffects};
use crate::node::write_queue::WriteQueue;
use crate::node::{Admin, Feed, Scanner};
use crate::store::{Store, StoreError};
use crate::token::{Keyring, KeyringError, MasterSecret, PhoenixKeys};

/// What a gate is made of.
pub struct Setup {
    /// The database.
    pub store: Arc<dyn Store>,
    /// What signing keys derive from.
    pub master: MasterSecret,
    /// The platform's keys, where its tokens are to be read.
    pub phoenix: Option<PhoenixKeys>,
    /// The deduplication window; the same on all nodes.
    pub window: Duration,
    /// Redis, where there is one: second tier and bus.
    #[cfg(feature = "redis")]
    pub redis: Option<crate::bus::RedisConnection>,
}

/// Why a gate could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that records scans did not start.
    #[error("the recorder's thread did not start: {0}")]
    Thread(#[from] std::io::Error),
    /// The signing keys in the database are not those of this master secret.
    #[error("organization {organization}: {error}")]
    Keys {
        /// Whose keys.
        organization: OrganizationId,
        /// What is wrong.
        error: KeyringError,
    },
}

impl Setup {
    /// Checks that the stored public keys are this master secret's, and starts the gate. To be called within a tokio
    /// runtime.
    pub async fn open(self) -> Result<(Scanner, Admin), SetupError> {
        let Self {
            store,
            master,
            phoenix,
            window,
            ..
        } = &self;
        let keys = Keys(Arc::new(Secrets {
            master: master.clone(),
            phoenix: phoenix.clone(),
        }));
        for organization in store.organizations().await? {
            let rows = store.signing_keys(organization).await?;
            Keyring::derive(keys.master(), organization, &rows)
                .map_err(|error| SetupError::Keys { organization, error })?;
        }
        let store = Arc::clone(store);
        let rules = RuleSettings {
            dedup_window: *window,
        };
        #[cfg(feature = "redis")]
        let redis = self
            .redis
            .as_ref()
            .map(|redis| RedisTier::start(redis.connection(), *window));
        let bus = self.bus();
        let (sender, receiver) = mpsc::unbounded_channel();
        let outbox = Outbox(bus.is_some().then_some(sender));
        let memory = Arc::new(IdentityCache::new());
        let recent = Arc::new(TicketCache::new(*window));
        let occupancy_cache = Arc::new(OccupancyCache::default());
        let feed = Arc::new(Feed::new(bus.clone()));
        let effects = PostCommitEffects {
            recent: Arc::clone(&recent),
            #[cfg(feature = "redis")]
            redis: redis.clone(),
            occupancy_cache: Arc::clone(&occupancy_cache),
            feed: Arc::clone(&feed),
            outbox: outbox.clone(),
        };
        let write_queue = WriteQueue::start(Arc::clone(&store), rules, Arc::new(effects))?;
        let pulse = Arc::new(DatabaseLiveness::default());
        let node = Node {
            pulse: Arc::clone(&pulse),
            store: Arc::clone(&store),
            memory: Arc::clone(&memory),
            recent: Arc::clone(&recent),
            occupancy_cache: Arc::clone(&occupancy_cache),
            feed: Arc::clone(&feed),
        };
        node.start(bus.clone(), receiver);
        let changes = Invalidator {
            memory: Arc::clone(&memory),
            recent: Arc::clone(&recent),
            #[cfg(feature = "redis")]
            redis: redis.clone(),
            outbox,
        };
        let admin = Admin::new(
            Arc::clone(&store),
            keys.clone(),
            Arc::clone(&memory),
            changes.clone(),
            ManifestCache::new(*window),
        );
        let scanner = Scanner::new(Parts {
            store,
            keys,
            rules,
            memory,
            recent,
            #[cfg(feature = "redis")]
            redis,
            bus,
            changes,
            occupancy_cache,
            feed,
            write_queue,
            pulse,
        });
        Ok((scanner, admin))
    }

    fn bus(&self) -> Option<Arc<dyn Bus>> {
        #[cfg(feature = "redis")]
        if let Some(link) = &self.redis {
            return Some(link.bus(self.window));
        }
        self.store.bus()
    }
}

struct Secrets {
    master: MasterSecret,
    phoenix: Option<PhoenixKeys>,
}

/// The secrets, and the keyrings that derive from them.
#[derive(Clone)]
pub(crate) struct Keys(Arc<Secrets>);

impl Keys {
    pub(crate) fn master(&self) -> &MasterSecret {
        &self.0.master
    }

    pub(crate) fn phoenix(&self) -> Option<&PhoenixKeys> {
        self.0.phoenix.as_ref()
    }

    /// The keyring of an organization, from memory where it can be.
    pub(crate) async fn keyring(
        &self,
        organization: OrganizationId,
        memory: &IdentityCache,
        store: &dyn Store,
    ) -> Result<Arc<Keyring>, StoreError> {
        match memory.keyring(organization) {
            Some(keyring) => Ok(keyring),
            None => Box::pin(self.derive(organization, memory, store)).await,
        }
    }

    async fn derive(
        &self,
        organization: OrganizationId,
        memory: &IdentityCache,
        store: &dyn Store,
    ) -> Result<Arc<Keyring>, StoreError> {
        let since = memory.epoch();
        let rows = store.signing_keys(organization).await?;
        let keyring = Keyring::derive(&self.0.master, organization, &rows)
            .map_err(|error| StoreError::failed(error.to_string()))?;
        let keyring = Arc::new(keyring);
        memory.keep_keyring(organization, since, &keyring);
        Ok(keyring)
    }
}

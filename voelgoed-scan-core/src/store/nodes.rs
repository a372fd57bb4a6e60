//! What a node asks the database because other nodes may use it too, and for its metrics.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::bus::Bus;
use crate::model::{OrganizationId, Timestamp};
use crate::store::{DeviceCounts, LiveEvent, StoreError};

/// The change counters of an organization. A node that sees a counter rise drops what it has cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeCounters {
    /// The organization.
    pub organization_id: OrganizationId,
    /// Counts changes of events, gates, devices, sessions and keys.
    pub facts: i64,
    /// Counts changes of existing tickets that no scan makes.
    pub tickets: i64,
}

/// How many connections of a pool are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// What the connections are for: `scans` and `rest` on PostgreSQL, `read` and `write` on SQLite.
    pub name: &'static str,
    /// Connections in use.
    pub busy: u32,
    /// Connections that are open and not in use.
    pub idle: u32,
    /// The maximum number of connections.
    pub max: u32,
}

/// Whether acknowledged commits survive a crash of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// They do.
    Durable,
    /// They do because this node overrides `synchronous_commit=off` for its own connections.
    Overridden,
    /// They do not: the server runs with `fsync=off`, or a worker of Citus with that or `synchronous_commit=off`, which no client
    /// can override.
    AtRisk,
}

/// What a node asks a database that other nodes may share.
#[async_trait]
pub trait NodeStore: Send + Sync {
    /// The change counters of all organizations.
    async fn change_counters(&self) -> Result<Vec<ChangeCounters>, StoreError>;

    /// Says that a node is cut off from the others, for the next two seconds.
    async fn mark_cut_off(&self, node: Uuid) -> Result<(), StoreError>;

    /// Whether another node than this one is cut off.
    async fn others_cut_off(&self, node: Uuid) -> Result<bool, StoreError>;

    /// Whether other processes may write to this database. A SQLite file belongs to one process.
    fn is_shared(&self) -> bool;

    /// Finds out what the next scan will meet: inserts a scan and rolls it back, then commits to the log.
    async fn check_writable(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Whether acknowledged commits survive a crash of the database.
    async fn durability(&self) -> Result<Durability, StoreError>;

    /// Keeps the deduplication window of the deployment from now on. Scans from before that arrive later are judged by the
    /// window of their own time. Called when a server starts.
    async fn keep_dedup_window(&self, window: Duration, now: Timestamp) -> Result<(), StoreError>;

    /// Lets another server open an SQLite file. The store must not be used after that.
    fn release(&self);

    /// The bus that the database itself offers, if it does.
    fn bus(&self) -> Option<Arc<dyn Bus>>;

    /// The use of each connection pool.
    fn pools(&self) -> Vec<PoolUse>;

    /// The live events of all organizations that changed last, with at most `limit` gates in all.
    async fn live_events(&self, now: Timestamp, limit: u16) -> Result<Vec<LiveEvent>, StoreError>;

    /// The active devices of all organizations.
    async fn device_counts(&self, now: Timestamp) -> Result<DeviceCounts, StoreError>;
}

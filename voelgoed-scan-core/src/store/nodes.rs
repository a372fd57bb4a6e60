//! What does a node ask of a database because there are others?

use std::sync::Arc;

use async_trait::async_trait;

use crate::bus::Bus;
use crate::model::{OrganizationId, ScanId, ScanRecord};
use crate::store::StoreError;

/// The change counters of an organization: a node that finds one raised forgets what it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeCounters {
    /// Whose.
    pub organization_id: OrganizationId,
    /// Events, gates, devices, sessions, keys.
    pub facts: i64,
    /// Tickets that were there before, otherwise than by scans.
    pub tickets: i64,
}

/// How many connections to the database there are, of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// What they are for: `read`, `write`, or `all` where one pool is for both.
    pub name: &'static str,
    /// In use.
    pub busy: u32,
    /// Open and not in use.
    pub idle: u32,
    /// The most that there may be.
    pub most: u32,
}

/// What a node asks of a database.
#[async_trait]
pub trait NodeStore: Send + Sync {
    /// The change counters of all organizations.
    async fn change_counters(&self) -> Result<Vec<ChangeCounters>, StoreError>;

    /// Whether other processes may change what is here: a file is one process's.
    fn is_shared(&self) -> bool;

    /// The record of a scan.
    async fn scan(
        &self,
        organization: OrganizationId,
        scan: ScanId,
    ) -> Result<Option<ScanRecord>, StoreError>;

    /// A way to the other nodes that the database itself offers.
    fn bus(&self) -> Option<Arc<dyn Bus>>;

    /// How many connections are in use.
    fn pools(&self) -> Vec<PoolUse>;
}

//! The caches of a node, and their invalidation: callers and keys, tickets (in process and in Redis),
//! scan ids, and occupancy.
//!
//! Invariant: a cache may deny, never admit. A cache failure counts as a miss.

pub(crate) mod identities;
pub(crate) mod invalidation;
pub(crate) mod occupancy;
#[cfg(feature = "redis")]
pub(crate) mod redis;
pub(crate) mod scan_ids;
pub(crate) mod tickets;

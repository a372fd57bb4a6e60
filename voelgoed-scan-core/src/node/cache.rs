//! What a node remembers, and how it forgets.
//!
//! Invariant: a cache may deny, never admit; a cache failure counts as a miss.

pub(crate) mod identities;
pub(crate) mod invalidation;
pub(crate) mod occupancy;
#[cfg(feature = "redis")]
pub(crate) mod redis;
pub(crate) mod tickets;

//! A running node: the scanner with its caches, write queue and feed, and the administration of an organization.

mod admin;
pub(crate) mod cache;
mod cluster;
mod feed;
mod health;
mod manifest_cache;
mod scanner;
mod setup;
mod write_queue;

pub use admin::Admin;
#[cfg(feature = "redis")]
pub use cache::redis::TierHealth;
pub use feed::{Feed, FeedItem, Subscription};
pub use health::{NodeHealth, WRITE_TIMES, WriteCounts};
pub use manifest_cache::{ManifestFailure, ManifestIssue, ManifestResponse, Precondition};
pub use scanner::{ScanError, Scanner, Undoer};
pub use setup::{Setup, SetupError};

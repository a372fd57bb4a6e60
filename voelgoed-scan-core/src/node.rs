//! A running node: the scanner with its caches, write queue and feed, and the administration of organizations.
//!
//! `setup` starts a node and connects its parts. `scanner` decides scans, `write_queue` batches their writes, `cache`
//! shortens their answers, `feed` distributes them, and `cluster` exchanges messages with the other nodes. `admin` changes
//! the facts that scans depend on, and `manifest_cache` issues the manifests that phones decide by while they are offline.

mod admin;
mod audit;
mod background;
mod cache;
mod cluster;
mod deliveries;
mod feed;
mod health;
mod keyrings;
mod manifest_cache;
mod purge;
mod scanner;
mod setup;
mod signals;
pub(crate) mod webhooks;
mod write_queue;

pub use admin::{Admin, TicketImport};
#[cfg(feature = "redis")]
pub use cache::redis::RedisHealth;
pub use deliveries::{Deliveries, LeasedDeliveries};
pub use feed::{Backlog, Feed, FeedItem, OccupancyItem, Rendering, ScansItem, Subscription};
pub use health::{NodeHealth, WRITE_DURATION_BUCKETS, WriteCounts};
pub use manifest_cache::{ManifestFailure, ManifestResponse, Precondition, SignedManifest};
pub use scanner::{ScanError, Scanner, UndoActor};
pub use setup::{Setup, SetupError};
pub use signals::{SignalFeed, SignalSubscription};
pub use webhooks::Webhooks;

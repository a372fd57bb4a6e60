//! The HTTP server of voelgoed-scan, built on hyper.
//!
//! A request passes through `serve` (connections), `pipeline` (the checks in their order), `route` (the route
//! table) and a file in `api` (the handler) to the core. `problem` defines the error responses; `json` and `query` validate
//! the fields of requests.
//!
//! ```no_run
//! # async fn example() -> Result<(), voelgoed_scan_server::StartError> {
//! let server = voelgoed_scan_server::start(voelgoed_scan_server::Config::default()).await?;
//! println!("listening on {}", server.address());
//! server.stop().await;
//! # Ok(())
//! # }
//! ```

mod api;
pub mod app_version;
mod auth;
mod body;
mod changes;
mod client_address;
pub mod clock;
pub mod config;
mod console;
pub mod cors;
mod cut;
mod drain;
mod head;
mod json;
mod last_seen;
mod limit;
pub mod log;
mod metrics;
mod openapi;
mod pipeline;
pub mod problem;
pub mod qr;
mod query;
mod ranges;
mod reference;
mod request;
mod resource;
mod response;
mod route;
pub mod secret;
pub mod serve;
mod state;
mod streams;
pub mod tls;
pub mod traces;
pub mod webhooks;

/// The version of the programs with the commit that they were built from: `0.1.0 (5e2dd1ec62f0)`. A build that does not know the
/// commit says `0.1.0 (commit unknown)`.
pub const VERSION: &str = env!("VOELGOED_SCAN_VERSION");

pub use config::Config;
pub use serve::{Running, Signals, StartError, migrate_database, start};
pub use traces::Traces;

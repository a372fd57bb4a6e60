//! The ticket-scanning gate over HTTP, on hyper itself.
//!
//! A request travels: `serve` (connections) → `answer` (the checks in the order of the contract) → `route` (the one
//! table of calls) → a file in `api` (the endpoint) → the core. `problem` is what comes back when something goes wrong,
//! `json` and `query` say which field was wrong.
//!
//! ```no_run
//! # async fn example() -> Result<(), voelgoed_scan_server::StartError> {
//! let server = voelgoed_scan_server::start(voelgoed_scan_server::Config::default()).await?;
//! println!("listening on {}", server.address());
//! server.wait().await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod api;
mod auth;
mod call;
mod clock;
pub mod config;
mod intake;
mod json;
mod limit;
pub mod log;
mod measure;
mod node;
mod openapi;
pub mod problem;
pub mod qr;
mod query;
mod reply;
mod route;
pub mod secret;
pub mod serve;
mod thing;
pub mod tls;

pub use config::Config;
pub use serve::{Running, StartError, start};

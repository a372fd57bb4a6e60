//! Outages: PostgreSQL, Redis or a node fails while tickets are scanned. No ticket is admitted twice, and no
//! acknowledged admission is lost.

pub(crate) mod load;
mod node;
mod postgresql;
mod redis;

use voelgoed_scan_suite::{Client, Response};

async fn readiness(anonymous: &Client) -> Response {
    anonymous.get("/readyz").await
}

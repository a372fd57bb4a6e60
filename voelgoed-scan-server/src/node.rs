//! What does one running server hold? The scanner, the back office, the routes, and the limits.

use std::net::SocketAddr;
use std::sync::OnceLock;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::node::{Admin, Scanner};

use crate::clock::Clock;
use crate::limit::{Limit, Tries};
use crate::measure::Measures;
use crate::route::Routes;

/// One running server.
pub(crate) struct Node {
    pub(crate) scanner: Scanner,
    pub(crate) admin: Admin,
    pub(crate) routes: Routes,
    pub(crate) limit: Limit,
    pub(crate) tries: Tries,
    pub(crate) clock: Clock,
    pub(crate) measures: Measures,
    /// The kind of database, as it is counted: `sqlite` or `postgres`.
    pub(crate) database: &'static str,
    /// Cancelled when the server stops: streams end then.
    pub(crate) stopping: CancellationToken,
    pub(crate) openapi: OnceLock<Bytes>,
    /// Where phones reach the server, where it was said.
    pub(crate) public_url: Option<String>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// `https`, where it speaks TLS itself.
    pub(crate) scheme: &'static str,
}

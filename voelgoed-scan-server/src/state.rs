//! The state that all requests of a server share.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::node::{Admin, Scanner};
use voelgoed_scan_core::store::Durability;

use crate::api::ReadinessProbe;
use crate::app_version::AppVersion;
use crate::body::BodyReader;
use crate::changes::Changes;
use crate::client_address::TrustedProxies;
use crate::clock::Clock;
use crate::cors::Cors;
use crate::drain::Drain;
use crate::last_seen::LastSeen;
use crate::limit::{AddressLimit, DeviceLimit, DeviceTurns, MemberShares};
use crate::metrics::{LiveReader, Metrics, MetricsToken};
use crate::route::Router;
use crate::streams::Streams;

/// The state of one running server.
pub(crate) struct ServerState {
    pub(crate) scanner: Scanner,
    pub(crate) admin: Admin,
    pub(crate) router: Router,
    pub(crate) device_limit: DeviceLimit,
    pub(crate) address_limit: AddressLimit,
    pub(crate) last_seen: LastSeen,
    pub(crate) device_turns: DeviceTurns,
    pub(crate) member_shares: MemberShares,
    pub(crate) clock: Clock,
    /// The open event streams.
    pub(crate) streams: Streams,
    pub(crate) metrics: Metrics,
    /// What the metrics show of events and devices.
    pub(crate) live_reader: LiveReader,
    /// The token that `/metrics` asks for.
    pub(crate) metrics_token: Option<MetricsToken>,
    /// The kind of database, as a metric label: `sqlite` or `postgres`.
    pub(crate) database: &'static str,
    /// The changes whose clients have gone.
    pub(crate) changes: Changes,
    /// The reads that were given up. A stop does not wait for them.
    pub(crate) reads: Changes,
    /// The proxies that tell the addresses of their clients.
    pub(crate) trusted_proxies: TrustedProxies,
    /// How long a connection may make no progress.
    pub(crate) connection_timeout: Duration,
    pub(crate) body_reader: BodyReader,
    /// The announcement of the stop.
    pub(crate) drain: Drain,
    /// Cancelled when the server stops; event streams end then.
    pub(crate) stopping: CancellationToken,
    /// The OpenAPI document, built at the first request for it.
    pub(crate) openapi: OnceLock<Bytes>,
    /// The page that shows it, rendered at the first request for it.
    pub(crate) reference: OnceLock<Bytes>,
    /// The configured URL by which phones reach the server.
    pub(crate) public_url: Option<String>,
    /// The origins whose pages may call.
    pub(crate) cors: Cors,
    /// Whether webhooks may have http URLs and private addresses.
    pub(crate) webhook_allow_private: bool,
    /// The minimum version of the scanner app.
    pub(crate) min_app_version: Option<AppVersion>,
    /// The address that the server listens on.
    pub(crate) address: SocketAddr,
    /// Whether the database records scans.
    pub(crate) readiness: ReadinessProbe,
    /// Whether acknowledged scans survive a crash of the database.
    pub(crate) durability: Durability,
    /// `https` if the server terminates TLS itself, else `http`.
    pub(crate) scheme: &'static str,
}

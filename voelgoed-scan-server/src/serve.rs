//! The life of a server: it starts, serves each connection in a task of its own, drains, and shuts down gracefully.
//!
//! Invariants: after the drain, a shutdown finishes the requests in flight and the changes that began, and flushes pending
//! writes, within ten seconds in total.

mod accept;
mod connection;
mod connection_limit;
mod database;
mod progress;
mod redis;
mod signals;
mod socket;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::bus::RedisSetupError;
use voelgoed_scan_core::node::{Admin, Scanner, SetupError};
use voelgoed_scan_core::store::OpenError;

use crate::api::{self, ReadinessProbe};
use crate::body::BodyReader;
use crate::changes::Changes;
use crate::client_address::TrustedProxies;
use crate::clock::{self, Clock};
use crate::config::{Config, PhoenixError};
use crate::cors::Cors;
use crate::drain::Drain;
use crate::last_seen::LastSeen;
use crate::limit::{AddressLimit, DeviceLimit, DeviceTurns, MemberShares};
use crate::metrics::{LiveReader, Metrics, MetricsToken};
use crate::route::Router;
use crate::secret::SecretError;
use crate::state::ServerState;
use crate::streams::Streams;
use crate::tls::{ReloadableTls, TlsError};
use crate::webhooks::{WebhookSender, WebhookSettings, WebhookTlsError};
use accept::accept;
use connection_limit::ConnectionLimit;
pub use database::migrate_database;
use database::open_database;
use signals::Signal;
pub use signals::Signals;

/// How long a node of several goes on serving after SIGTERM, so that proxies notice in time.
const DEFAULT_DRAIN_DELAY: Duration = Duration::from_secs(5);

/// The time limit for pending writes at shutdown.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The interval at which samples are aggregated and idle rate limits are removed.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);

/// How soon a device that calls after a quiet time is marked.
const MARK_INTERVAL: Duration = Duration::from_secs(1);

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The server cannot listen on the address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The master secret cannot be loaded.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The configuration of the platform's keys is incomplete or invalid.
    #[error(transparent)]
    Phoenix(#[from] PhoenixError),
    /// The TLS certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The certificate authorities of webhooks cannot be used.
    #[error("--webhook-tls-ca: {0}")]
    WebhookTls(#[from] WebhookTlsError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Redis cannot be used.
    #[error("--redis-url: {0}")]
    Redis(#[from] RedisSetupError),
    /// The certificate authorities of Redis cannot be used.
    #[error("--redis-ca: {}: {reason}", path.display())]
    RedisCa {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The database does not belong to this server.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// A running server.
pub struct Running {
    address: SocketAddr,
    state: Arc<ServerState>,
    accept_task: JoinHandle<()>,
    webhook_task: JoinHandle<()>,
    tls: Option<Arc<ReloadableTls>>,
    drain_delay: Duration,
}

/// Starts a server. It serves requests when this returns. The address is bound first, because that fails fastest.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let tls = match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => Some(Arc::new(ReloadableTls::load(cert.clone(), key.clone())?)),
        _ => None,
    };
    let metrics_token = config.metrics_token_file.as_deref();
    let metrics_token = metrics_token.map(MetricsToken::from_file).transpose()?;
    let listen_error = |source| StartError::Listen {
        address: config.listen.clone(),
        source,
    };
    let listener = TcpListener::bind(&config.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let clock = Clock::new(config.clock_offset_millis, config.standing_clock.clone());
    let (scanner, admin, durability) = open_database(&config, &clock).await?;
    let limit = ConnectionLimit::new(
        config
            .max_connections
            .unwrap_or_else(connection_limit::derived_limit),
        config.max_connections_per_address,
    );
    let is_sqlite = config.database_url.starts_with("sqlite:");
    let drain_delay = config.drain_delay.unwrap_or(if is_sqlite {
        Duration::ZERO
    } else {
        DEFAULT_DRAIN_DELAY
    });
    let webhook_settings = WebhookSettings {
        allow_private: config.webhook_allow_private,
        tls_ca: config.webhook_tls_ca,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let state = Arc::new(ServerState {
        scanner,
        admin,
        router: Router::new(api::routes()),
        device_limit: DeviceLimit::new(config.rate_limit),
        address_limit: AddressLimit::default(),
        last_seen: LastSeen::default(),
        device_turns: DeviceTurns::default(),
        member_shares: MemberShares::new(),
        clock,
        streams: Streams::default(),
        metrics: Metrics::new(),
        live_reader: LiveReader::default(),
        metrics_token,
        database: if is_sqlite { "sqlite" } else { "postgres" },
        trusted_proxies: TrustedProxies::new(config.trusted_proxies),
        connection_timeout: config.connection_timeout,
        body_reader: BodyReader::new(config.connection_timeout),
        drain: Drain::default(),
        changes: Changes::new(),
        reads: Changes::new(),
        stopping: CancellationToken::new(),
        openapi: OnceLock::new(),
        reference: OnceLock::new(),
        public_url: config.public_url,
        cors: Cors::new(config.cors_origins),
        webhook_allow_private: config.webhook_allow_private,
        min_app_version: config.min_app_version,
        address,
        readiness: ReadinessProbe::default(),
        durability,
        scheme,
    });
    let webhook_sender = WebhookSender::new(
        &webhook_settings,
        state.scanner.clone(),
        state.clock.clone(),
        state.stopping.clone(),
    )?;
    let webhook_task = tokio::spawn(webhook_sender.run());
    let accept_task = tokio::spawn(accept(Arc::clone(&state), listener, tls.clone(), limit));
    tokio::spawn(maintain(Arc::clone(&state)));
    tokio::spawn(mark_quiet_devices(Arc::clone(&state)));
    tokio::spawn(Streams::supervise(Arc::clone(&state)));
    let search_clock = state.clock.clone();
    state.scanner.search_signals(move || search_clock.now());
    tracing::info!(version = crate::VERSION, "listening on {scheme}://{address}");
    Ok(Running {
        address,
        state,
        accept_task,
        webhook_task,
        tls,
        drain_delay,
    })
}

impl Running {
    /// The address that the server listens on, with the actual port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The scanner of this server.
    #[must_use]
    pub fn scanner(&self) -> &Scanner {
        &self.state.scanner
    }

    /// The administration of this server.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.state.admin
    }

    /// Announces the stop: `/readyz` answers 503, and every response asks its client to open another connection next time
    /// (`Connection: close`, GOAWAY). The server accepts and serves as before.
    pub fn drain(&self) {
        if self.state.drain.begin() {
            tracing::info!("draining");
        }
    }

    /// Reads the TLS certificate and its key again. New connections use them; if they cannot be used, the previous ones
    /// stay.
    pub fn reload_tls(&self) {
        let Some(tls) = &self.tls else {
            tracing::info!("nothing to reload: TLS is not configured");
            return;
        };
        match tls.reload() {
            Ok(()) => tracing::info!("the TLS certificate was reloaded"),
            Err(error) => {
                tracing::error!(%error, "the TLS certificate was not reloaded, the previous one stays");
            }
        }
    }

    /// Stops the server: refuses new connections, finishes requests in flight and flushes pending writes. Takes at most ten
    /// seconds.
    pub async fn stop(self) {
        self.drain();
        tracing::info!("stopping");
        self.state.stopping.cancel();
        let (accepted, sent) = tokio::join!(self.accept_task, self.webhook_task);
        if let Err(error) = accepted {
            tracing::error!(%error, "accepting connections failed");
        }
        if let Err(error) = sent {
            tracing::error!(%error, "sending webhooks failed");
        }
        if timeout(FLUSH_TIMEOUT, self.state.scanner.shutdown())
            .await
            .is_err()
        {
            tracing::error!("pending writes could not be flushed in time");
        }
        tracing::info!("stopped");
    }

    /// Runs until the process receives SIGTERM or SIGINT, then drains and stops the server. A second one of these signals
    /// ends the drain. SIGHUP reloads the TLS certificate.
    pub async fn wait(self, mut signals: Signals) {
        while signals.next().await == Signal::Reload {
            self.reload_tls();
        }
        self.drain();
        if !self.drain_delay.is_zero() {
            tracing::info!("the node serves on for {:?}", self.drain_delay);
        }
        let second_stop = async { while signals.next().await == Signal::Reload {} };
        // The drain also ends when a second signal arrives.
        let _ = timeout(self.drain_delay, second_stop).await;
        self.stop().await;
    }
}

/// Marks the devices that call after a quiet time, until the server stops.
async fn mark_quiet_devices(state: Arc<ServerState>) {
    let mut ticks = interval(MARK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                state.last_seen.write_at_once(&state.scanner, state.clock.now()).await;
            }
            () = state.stopping.cancelled() => return,
        }
    }
}

/// Runs the periodic maintenance until the server stops.
async fn maintain(state: Arc<ServerState>) {
    let mut ticks = interval(MAINTENANCE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                state.metrics.aggregate();
                state.device_limit.remove_idle();
                state.address_limit.remove_idle(clock::stopwatch());
                state.last_seen.write(&state.scanner, state.clock.now()).await;
            }
            () = state.stopping.cancelled() => return,
        }
    }
}

//! The life of a server: it starts, serves each connection in a task of its own, and shuts down gracefully.
//!
//! Invariants: a connection that does not send a complete head within [`HEAD_TIMEOUT`] is closed; a shutdown finishes the
//! requests in flight and flushes pending writes, within ten seconds in total.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use voelgoed_scan_core::bus::{InvalidRedisUrl, RedisConnection};
use voelgoed_scan_core::node::{Admin, Scanner, Setup, SetupError};
use voelgoed_scan_core::store::{Durability, OpenError, OpenMode, open_as};

use crate::api::{self, ReadinessProbe};
use crate::changes::Changes;
use crate::clock::Clock;
use crate::config::{Config, PhoenixError};
use crate::last_seen::LastSeen;
use crate::limit::{AddressLimit, DeviceLimit, DeviceTurns};
use crate::metrics::Metrics;
use crate::pipeline;
use crate::route::Router;
use crate::secret::{self, SecretError};
use crate::state::ServerState;
use crate::tls::{self, TlsError};

/// The time limit for the first bytes of a connection, for the TLS handshake and for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The interval of HTTP/2 pings, and the time limit for their acknowledgement.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit for requests in flight at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(7);

/// The time limit at shutdown for changes whose connections have ended.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(1);

/// The time limit for pending writes at shutdown.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The interval at which samples are aggregated and idle rate limits are removed.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);

/// The maximum number of concurrent requests on one HTTP/2 connection.
const MAX_HTTP2_STREAMS: u32 = 128;

/// The first bytes of every HTTP/2 connection, with which no HTTP/1.1 request starts (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI ";

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
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The Redis URL is invalid.
    #[error("--redis-url: {0}")]
    Redis(#[from] InvalidRedisUrl),
    /// The database does not belong to this gate.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// A running server.
pub struct Running {
    address: SocketAddr,
    state: Arc<ServerState>,
    accept_task: JoinHandle<()>,
}

/// Starts a server. It serves requests when this returns. The address is bound first, because that fails fastest.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let tls = match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => Some(tls::acceptor(cert, key)?),
        _ => None,
    };
    let listen_error = |source| StartError::Listen {
        address: config.listen.clone(),
        source,
    };
    let listener = TcpListener::bind(&config.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    if !config.create {
        secret::check_database(&config.database_url)?;
    }
    let phoenix = config.secrets.phoenix()?;
    let open_store = open_as(OpenMode::Server, &config.database_url, !config.no_migrate);
    // A secret without its database would look like a database that was lost, so that a new file comes first.
    let (store, master) = if config.database_url.starts_with("sqlite:") {
        let store = open_store.await?;
        (store, config.secrets.master(&config.database_url)?)
    } else {
        let master = config.secrets.master(&config.database_url)?;
        (open_store.await?, master)
    };
    let redis = config
        .redis_url
        .as_deref()
        .map(RedisConnection::new)
        .transpose()?;
    let clock = Clock::new(config.clock_offset_millis);
    if let Err(error) = store.keep_dedup_window(config.dedup_window, clock.now()).await {
        tracing::warn!(%error, "the deduplication window was not stored; uploads are judged by the last stored one");
    }
    let setup = Setup {
        store,
        master,
        phoenix,
        window: config.dedup_window,
        redis,
    };
    let (scanner, admin) = setup.open().await?;
    let durability = scanner.store().durability().await.map_err(SetupError::Store)?;
    match durability {
        Durability::Durable => {}
        Durability::Overridden => tracing::warn!(
            "the database sets synchronous_commit=off; this server overrides it for its own connections"
        ),
        Durability::AtRisk => tracing::error!(
            "PostgreSQL runs with fsync=off: a crash of its machine loses acknowledged admissions"
        ),
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let state = Arc::new(ServerState {
        scanner,
        admin,
        router: Router::new(api::routes()),
        device_limit: DeviceLimit::new(config.rate_limit),
        address_limit: AddressLimit::new(),
        last_seen: LastSeen::default(),
        device_turns: DeviceTurns::default(),
        clock,
        metrics: Metrics::new(),
        database: if config.database_url.starts_with("sqlite:") {
            "sqlite"
        } else {
            "postgres"
        },
        changes: Changes::new(),
        stopping: CancellationToken::new(),
        openapi: OnceLock::new(),
        public_url: config.public_url,
        address,
        readiness: ReadinessProbe::default(),
        durability,
        scheme,
    });
    let accept_task = tokio::spawn(accept(Arc::clone(&state), listener, tls));
    tokio::spawn(maintain(Arc::clone(&state)));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "listening on {scheme}://{address}"
    );
    Ok(Running {
        address,
        state,
        accept_task,
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

    /// Stops the server: refuses new connections, finishes requests in flight and flushes pending writes. Takes at most ten
    /// seconds.
    pub async fn stop(self) {
        tracing::info!("stopping");
        self.state.stopping.cancel();
        if let Err(error) = self.accept_task.await {
            tracing::error!(%error, "accepting connections failed");
        }
        if timeout(FLUSH_TIMEOUT, self.state.scanner.shutdown())
            .await
            .is_err()
        {
            tracing::error!("pending writes could not be flushed in time");
        }
        tracing::info!("stopped");
    }

    /// Runs until the process receives SIGTERM or SIGINT, then stops the server.
    pub async fn wait(self) {
        if let Err(error) = shutdown_signal().await {
            tracing::error!(%error, "no signals can be received: running until killed");
            std::future::pending::<()>().await;
        }
        self.stop().await;
    }
}

#[cfg(unix)]
async fn shutdown_signal() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

#[cfg(not(unix))]
async fn shutdown_signal() -> io::Result<()> {
    tokio::signal::ctrl_c().await
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
                state.address_limit.remove_idle();
                state.last_seen.write(&state.scanner, state.clock.now()).await;
            }
            () = state.stopping.cancelled() => return,
        }
    }
}

/// Accepts connections until the server stops, then waits for the requests in flight.
async fn accept(state: Arc<ServerState>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let graceful = GracefulShutdown::new();
    // Dropping the set closes the connections that are left at the end.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = state.stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let watcher = graceful.watcher();
                let state = Arc::clone(&state);
                connections.spawn(serve_connection(state, stream, peer.ip(), tls.clone(), watcher));
            }
            Err(error) => {
                // Most likely the process is out of file descriptors, until other connections close.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were aborted");
    }
    connections.shutdown().await;
    // Changes whose connections have ended, by themselves or just now, take effect before the process ends.
    if timeout(CHANGE_TIMEOUT, state.changes.finished()).await.is_err() {
        tracing::error!("some changes did not finish in time");
    }
}

/// Serves the requests of one connection.
async fn serve_connection(
    state: Arc<ServerState>,
    stream: TcpStream,
    peer: IpAddr,
    tls: Option<TlsAcceptor>,
    watcher: Watcher,
) {
    let _guard = state.metrics.connection_opened();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let stopping = state.stopping.clone();
    let negotiate = async {
        match tls {
            None => negotiate_plain(stream).await,
            Some(tls) => negotiate_tls(stream, tls).await,
        }
    };
    let negotiated = tokio::select! {
        negotiated = timeout(HEAD_TIMEOUT, negotiate) => negotiated,
        () = stopping.cancelled() => return,
    };
    let Ok(Ok((stream, is_http2))) = negotiated else {
        tracing::debug!("a connection sent no valid first bytes");
        return;
    };
    let service = service_fn(move |request| pipeline::handle(Arc::clone(&state), peer, request));
    let io = TokioIo::new(stream);
    let result = if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_HTTP2_STREAMS)
            .keep_alive_interval(Some(KEEP_ALIVE_INTERVAL))
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .serve_connection(io, service);
        watcher.watch(connection).await
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(io, service);
        watcher.watch(connection).await
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke off");
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The stream, and whether the protocol is HTTP/2.
type Negotiated = io::Result<(Box<dyn Stream>, bool)>;

/// Detects the protocol from the first bytes, because without TLS there is no ALPN.
async fn negotiate_plain(stream: TcpStream) -> Negotiated {
    let mut first = [0; HTTP2_PREFACE.len()];
    loop {
        let length = stream.peek(&mut first).await?;
        let received = first.get(..length).unwrap_or_default();
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !HTTP2_PREFACE.starts_with(received) || length == HTTP2_PREFACE.len() {
            let is_http2 = received == HTTP2_PREFACE;
            return Ok((Box::new(stream), is_http2));
        }
        // Too few bytes to decide. They stay in the socket, so that waiting for readability would return at once.
        sleep(Duration::from_millis(10)).await;
    }
}

async fn negotiate_tls(stream: TcpStream, tls: TlsAcceptor) -> Negotiated {
    let stream = tls.accept(stream).await?;
    let is_http2 = tls::is_http2(stream.get_ref().1);
    Ok((Box::new(stream), is_http2))
}

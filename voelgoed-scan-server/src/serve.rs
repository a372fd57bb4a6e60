//! How do requests come in, and how does it end? A socket, a task a connection, and an orderly end.
//!
//! Invariants: a connection that sends no whole head within [`PATIENCE`] is closed; what is in flight at the end is
//! finished, what waits to be written is flushed, within ten seconds all in all.

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
use voelgoed_scan_core::store::{OpenError, open};

use crate::answer::answer;
use crate::api;
use crate::clock::Clock;
use crate::config::{Config, PhoenixError};
use crate::intake::PATIENCE;
use crate::limit::{Limit, Tries};
use crate::measure::Measures;
use crate::node::Node;
use crate::route::Routes;
use crate::secret::SecretError;
use crate::tls::{self, TlsError};

/// How long requests in flight may take at the end.
const FINISH_TIME: Duration = Duration::from_secs(7);

/// How long what waits to be written may take at the end.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// How often counters are summed up and idle devices forgotten.
const UPKEEP: Duration = Duration::from_secs(5);

/// The most requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;

/// What every HTTP/2 connection starts with, as far as no HTTP/1.1 request does.
const HTTP2_PREFACE: &[u8] = b"PRI ";

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// No master secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The platform's keys are half set up.
    #[error(transparent)]
    Phoenix(#[from] PhoenixError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The Redis URL is none.
    #[error("--redis-url: {0}")]
    Redis(#[from] InvalidRedisUrl),
    /// The database is not this gate's.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// A server that runs.
pub struct Running {
    address: SocketAddr,
    node: Arc<Node>,
    accepting: JoinHandle<()>,
}

/// Starts a server: the address is bound first, because that fails fastest; it is ready when this returns.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let tls = match (&config.tls_cert, &config.tls_key) {
        (Some(cert), Some(key)) => Some(tls::acceptor(cert, key)?),
        _ => None,
    };
    let listening = |source| StartError::Listen {
        address: config.listen.clone(),
        source,
    };
    let listener = TcpListener::bind(&config.listen).await.map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;
    let master = config.secrets.master(&config.database_url)?;
    let phoenix = config.secrets.phoenix()?;
    let store = open(&config.database_url, !config.no_migrate).await?;
    let redis = config
        .redis_url
        .as_deref()
        .map(RedisConnection::new)
        .transpose()?;
    let setup = Setup {
        store,
        master,
        phoenix,
        window: config.dedup_window,
        redis,
    };
    let (scanner, admin) = setup.open().await?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let node = Arc::new(Node {
        scanner,
        admin,
        routes: Routes::new(api::routes()),
        limit: Limit::new(config.rate_limit),
        tries: Tries::new(),
        clock: Clock::new(config.clock_offset_millis),
        measures: Measures::new(),
        database: if config.database_url.starts_with("sqlite:") {
            "sqlite"
        } else {
            "postgres"
        },
        stopping: CancellationToken::new(),
        openapi: OnceLock::new(),
        public_url: config.public_url,
        address,
        scheme,
    });
    let accepting = tokio::spawn(accept(Arc::clone(&node), listener, tls));
    tokio::spawn(upkeep(Arc::clone(&node)));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "listening on {scheme}://{address}"
    );
    Ok(Running {
        address,
        node,
        accepting,
    })
}

impl Running {
    /// The address that is listened on, with the port that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The scanner inside.
    #[must_use]
    pub fn scanner(&self) -> &Scanner {
        &self.node.scanner
    }

    /// The back office inside.
    #[must_use]
    pub fn backoffice(&self) -> &Admin {
        &self.node.admin
    }

    /// Stops: no new connections, requests in flight are finished, what waits is written. Takes at most ten seconds.
    pub async fn stop(self) {
        tracing::info!("stopping");
        self.node.stopping.cancel();
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "accepting connections failed");
        }
        if timeout(FLUSH_TIME, self.node.scanner.shutdown()).await.is_err() {
            tracing::error!("what waited to be written could not be flushed in time");
        }
        tracing::info!("stopped");
    }

    /// Runs until the process is told to end (SIGTERM or SIGINT), then stops.
    pub async fn wait(self) {
        if let Err(error) = told_to_end().await {
            tracing::error!(%error, "no signals can be received: running until killed");
            std::future::pending::<()>().await;
        }
        self.stop().await;
    }
}

#[cfg(unix)]
async fn told_to_end() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

#[cfg(not(unix))]
async fn told_to_end() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}

async fn upkeep(node: Arc<Node>) {
    let mut ticks = interval(UPKEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                node.measures.sum_up();
                node.limit.forget_idle();
                node.tries.forget_idle();
            }
            () = node.stopping.cancelled() => return,
        }
    }
}

/// Takes connections until the server stops, then waits for the requests in flight.
async fn accept(node: Arc<Node>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let graceful = GracefulShutdown::new();
    // Those that are left at the end are cut with it.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = node.stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let watcher = graceful.watcher();
                let node = Arc::clone(&node);
                connections.spawn(connection(node, stream, peer.ip(), tls.clone(), watcher));
            }
            Err(error) => {
                // Out of file descriptors, most likely: connections that close make room.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if timeout(FINISH_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut");
    }
}

/// Keeps one connection, from the first byte to the last.
async fn connection(
    node: Arc<Node>,
    stream: TcpStream,
    peer: IpAddr,
    tls: Option<TlsAcceptor>,
    watcher: Watcher,
) {
    let _connected = node.measures.connected();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let stopping = node.stopping.clone();
    let begin = async {
        match tls {
            None => begin_plain(stream).await,
            Some(tls) => begin_tls(stream, tls).await,
        }
    };
    let begun = tokio::select! {
        begun = timeout(PATIENCE, begin) => begun,
        () = stopping.cancelled() => return,
    };
    let Ok(Ok((stream, is_http2))) = begun else {
        tracing::debug!("a connection said nothing that could be understood");
        return;
    };
    let service = service_fn(move |request| answer(Arc::clone(&node), peer, request));
    let io = TokioIo::new(stream);
    let ended = if is_http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .keep_alive_interval(Some(PATIENCE))
            .keep_alive_timeout(PATIENCE)
            .serve_connection(io, service);
        watcher.watch(connection).await
    } else {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(io, service);
        watcher.watch(connection).await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Begun = io::Result<(Box<dyn Stream>, bool)>;

/// Waits for the first bytes, which tell the protocol: without TLS nobody has agreed on one.
async fn begin_plain(stream: TcpStream) -> Begun {
    let mut first = [0; HTTP2_PREFACE.len()];
    loop {
        let length = stream.peek(&mut first).await?;
        let seen = first.get(..length).unwrap_or_default();
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !HTTP2_PREFACE.starts_with(seen) || length == HTTP2_PREFACE.len() {
            let is_http2 = seen == HTTP2_PREFACE;
            return Ok((Box::new(stream), is_http2));
        }
        // Fewer bytes than tell the protocol: they stay readable, so that waiting for more would not wait.
        sleep(Duration::from_millis(10)).await;
    }
}

async fn begin_tls(stream: TcpStream, tls: TlsAcceptor) -> Begun {
    let stream = tls.accept(stream).await?;
    let is_http2 = tls::speaks_http2(stream.get_ref().1);
    Ok((Box::new(stream), is_http2))
}

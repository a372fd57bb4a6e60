//! One connection: it detects the protocol, serves the requests and closes.
//!
//! Invariants: whatever the client does, a connection that makes no progress for the time limit is closed: before and during
//! a request's head (hyper), during its body (`body`), while something is to be written (the socket), and while an HTTP/2
//! client takes nothing of its responses or asks for nothing (`progress`).

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use hyper::Response;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::progress::{Progress, Verdict};
use super::socket::Socket;
use crate::body::ClientGone;
use crate::cut::CuttableExecutor;
use crate::drain::Drain;
use crate::pipeline;
use crate::state::ServerState;
use crate::tls;

/// The interval of HTTP/2 pings, and the time limit for their acknowledgement.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the other requests of a connection may take after one client of it took nothing of its response for too long.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection without a request stays open after the stop began, because a request may be on its way.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// The size of the buffers of a connection, in bytes: for the head of a request, and for what the client does not take.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// The maximum number of concurrent requests on one HTTP/2 connection.
const MAX_HTTP2_STREAMS: u32 = 128;

/// The first bytes of every HTTP/2 connection, with which no HTTP/1.1 request starts (RFC 9113, 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI ";

/// A connection of either protocol.
type Connection = Pin<Box<dyn GracefulConnection<Error = hyper::Error, Output = hyper::Result<()>> + Send>>;

/// Ends when a connection has to close.
type Closing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves the requests of one connection. The future is boxed because the compiler cannot prove in its caller that it is
/// `Send`.
pub(super) fn serve(
    state: Arc<ServerState>,
    stream: TcpStream,
    peer: IpAddr,
    tls: Option<TlsAcceptor>,
    progress: Arc<Progress>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(serve_stream(state, stream, peer, tls, progress))
}

async fn serve_stream(
    state: Arc<ServerState>,
    stream: TcpStream,
    peer: IpAddr,
    tls: Option<TlsAcceptor>,
    progress: Arc<Progress>,
) {
    let _guard = state.metrics.connection_opened();
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let limit = state.connection_timeout;
    let socket = Socket::new(stream, limit, Arc::clone(&progress));
    let negotiate = async {
        match tls {
            None => negotiate_plain(socket).await,
            Some(tls) => negotiate_tls(socket, tls).await,
        }
    };
    // A token of its own: the future of a connection looks at it each time it is polled, and connections share no lock.
    let stopping = state.stopping.child_token();
    let negotiated = tokio::select! {
        negotiated = timeout(limit, negotiate) => negotiated,
        () = stopped_for(&stopping, STOP_GRACE) => return,
    };
    let Ok(Ok((stream, is_http2))) = negotiated else {
        tracing::debug!("a connection sent no valid first bytes");
        return;
    };
    let draining = Arc::clone(&state);
    let service = service_fn({
        let progress = Arc::clone(&progress);
        move |request| {
            let in_progress = progress.request();
            let response = pipeline::handle(Arc::clone(&state), peer, request);
            async move {
                let (parts, body) = response.await?.into_parts();
                Ok::<_, ClientGone>(Response::from_parts(parts, in_progress.respond(body, is_http2)))
            }
        }
    });
    let io = TokioIo::new(stream);
    let connection: Connection = if is_http2 {
        let builder = &mut http2::Builder::new(CuttableExecutor);
        let builder = builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_HTTP2_STREAMS)
            .max_send_buf_size(MAX_BUFFER_BYTES)
            .keep_alive_interval(Some(KEEP_ALIVE_INTERVAL))
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        Box::pin(builder.serve_connection(io, service))
    } else {
        let builder = &mut http1::Builder::new();
        let builder = builder
            .timer(TokioTimer::new())
            .header_read_timeout(limit)
            .max_buf_size(MAX_BUFFER_BYTES);
        Box::pin(builder.serve_connection(io, service))
    };
    let close: Closing = if is_http2 {
        let progress = Arc::clone(&progress);
        Box::pin(async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = drained(&draining.drain, &progress) => {}
            }
        })
    } else {
        // Each response has `Connection: close` by now. A request on its way to a connection without one is still answered.
        Box::pin(async move { stopped_for(&stopping, STOP_GRACE).await })
    };
    if let Err(error) = until_closed(connection, close, &progress).await {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Waits for the stop of the server, and a while longer.
async fn stopped_for(stopping: &CancellationToken, duration: Duration) {
    stopping.cancelled().await;
    sleep(duration).await;
}

/// Waits for the drain, and for the first request of the connection: one that is opened during the drain serves what its
/// client sends first.
async fn drained(drain: &Drain, progress: &Progress) {
    drain.begun().await;
    progress.first_request().await;
}

/// Runs a connection until it ends. After `close` it finishes what is in flight. It also ends when nothing happens for too
/// long.
async fn until_closed(
    mut connection: Connection,
    mut close: Closing,
    progress: &Progress,
) -> hyper::Result<()> {
    let mut is_closing = false;
    let mut gives_up = None;
    let mut look_again = Instant::now();
    loop {
        tokio::select! {
            result = connection.as_mut() => return result,
            () = close.as_mut(), if !is_closing => {
                is_closing = true;
                connection.as_mut().graceful_shutdown();
                look_again = Instant::now() + STOP_GRACE;
            }
            () = sleep_until(look_again) => {
                let now = Instant::now();
                let is_over = gives_up.is_some_and(|time| time <= now);
                if is_over || (is_closing && progress.is_quiet()) {
                    return Ok(());
                }
                match progress.verdict(now) {
                    _ if is_closing => look_again = now + STOP_GRACE,
                    Verdict::Wait(time) => look_again = time,
                    Verdict::Close => {
                        tracing::debug!("a connection is idle, or its client takes nothing of a response");
                        is_closing = true;
                        gives_up = Some(now + CLOSE_TIMEOUT);
                        look_again = now + STOP_GRACE;
                        connection.as_mut().graceful_shutdown();
                    }
                }
            }
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The stream, and whether the protocol is HTTP/2.
type Negotiated = io::Result<(Box<dyn Stream>, bool)>;

/// Detects the protocol from the first bytes, because without TLS there is no ALPN.
async fn negotiate_plain(mut socket: Socket) -> Negotiated {
    let mut first = BytesMut::new();
    loop {
        if socket.read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let is_http2 = first.starts_with(HTTP2_PREFACE);
        if is_http2 || !HTTP2_PREFACE.starts_with(&first) {
            socket.read_again(first.freeze());
            return Ok((Box::new(socket), is_http2));
        }
    }
}

async fn negotiate_tls(socket: Socket, tls: TlsAcceptor) -> Negotiated {
    let stream = tls.accept(socket).await?;
    let is_http2 = tls::is_http2(stream.get_ref().1);
    Ok((Box::new(stream), is_http2))
}

//! The default transport: hyper and rustls, HTTP/1.1 and HTTP/2, with the root certificates of Mozilla's browsers.
//!
//! Invariant: no request is sent on a connection that may be dead. A request without an answer in time, a cancelled
//! request and a change of the network make the following requests use new connections. Requests under way on the old
//! connections may still end.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;

use crate::client::{HttpHeader, HttpMethod, HttpRequest, HttpResponse, Transport, TransportError};

/// The maximum size of a response body, in bytes: more than a manifest of a million tickets.
const MAX_RESPONSE_BYTES: usize = 128 << 20;

/// How long connecting may take. A request with a shorter timeout ends sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// When connections are checked, and when an unanswered check closes one.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeepAlive {
    /// The time between two pings of an HTTP/2 connection, also of an idle one, so that a dead connection is gone before
    /// the next scan. A phone at a gate scans more often than this.
    pub(super) interval: Duration,
    /// How long a ping may be unanswered.
    pub(super) timeout: Duration,
}

const KEEP_ALIVE: KeepAlive = KeepAlive {
    interval: Duration::from_secs(20),
    timeout: Duration::from_secs(5),
};

/// Loads no private keys: a phone identifies itself by its token, never by a certificate. So its library needs no code that
/// signs with RSA or ECDSA.
#[derive(Debug)]
struct NoClientKeys;

impl KeyProvider for NoClientKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("a phone has no certificate".to_owned()))
    }
}

type HyperClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A [`Transport`] that uses hyper. Requires a tokio runtime.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    connector: HttpsConnector<HttpConnector>,
    keep_alive: KeepAlive,
    /// Whether plain connections use HTTP/2 without negotiation. For tests.
    http2_only: bool,
    pool: Arc<Mutex<Pool>>,
}

/// The connections in use.
#[derive(Debug)]
struct Pool {
    client: HyperClient,
    /// Counts the replacements of the pool.
    generation: u64,
}

/// Replaces the pool when it is dropped, unless the request was answered.
struct ReplaceUnlessAnswered<'a> {
    transport: &'a HttpTransport,
    generation: u64,
    is_answered: bool,
}

impl Drop for ReplaceUnlessAnswered<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.transport.replace_pool(Some(self.generation));
        }
    }
}

impl HttpTransport {
    /// Creates a transport that trusts Mozilla's root certificates.
    pub fn new() -> Result<Self, TransportError> {
        Self::with(KEEP_ALIVE, false)
    }

    pub(super) fn with(keep_alive: KeepAlive, http2_only: bool) -> Result<Self, TransportError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_keepalive(Some(keep_alive.interval));
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(CryptoProvider {
                key_provider: &NoClientKeys,
                ..rustls::crypto::ring::default_provider()
            })
            .map_err(unreachable)?
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let client = hyper_client(&connector, keep_alive, http2_only);
        Ok(Self {
            connector,
            keep_alive,
            http2_only,
            pool: Arc::new(Mutex::new(Pool {
                client,
                generation: 0,
            })),
        })
    }

    fn replace_pool(&self, only_generation: Option<u64>) {
        let mut pool = self.pool.lock();
        if only_generation.is_none_or(|generation| generation == pool.generation) {
            pool.client = hyper_client(&self.connector, self.keep_alive, self.http2_only);
            pool.generation += 1;
        }
    }
}

fn hyper_client(
    connector: &HttpsConnector<HttpConnector>,
    keep_alive: KeepAlive,
    http2_only: bool,
) -> HyperClient {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_only(http2_only)
        .http2_keep_alive_interval(keep_alive.interval)
        .http2_keep_alive_timeout(keep_alive.timeout)
        .http2_keep_alive_while_idle(true)
        .build(connector.clone())
}

fn unreachable(error: impl std::error::Error) -> TransportError {
    // The cause is in the chain of sources: the outer error only says "client error (Connect)".
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason.push_str(": ");
        reason.push_str(&cause.to_string());
        source = cause.source();
    }
    TransportError::Unreachable { reason }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let timeout = request.timeout;
        let (client, generation) = {
            let pool = self.pool.lock();
            (pool.client.clone(), pool.generation)
        };
        let mut guard = ReplaceUnlessAnswered {
            transport: self,
            generation,
            is_answered: false,
        };
        let exchange = async {
            let response = client
                .request(hyper_request(request)?)
                .await
                .map_err(unreachable)?;
            read_response(response).await
        };
        let result = tokio::time::timeout(timeout, exchange)
            .await
            .unwrap_or(Err(TransportError::TimedOut));
        // A connection that broke is closed already.
        guard.is_answered = !matches!(result, Err(TransportError::TimedOut));
        result
    }

    fn close_connections(&self) {
        self.replace_pool(None);
    }
}

fn hyper_request(request: HttpRequest) -> Result<Request<Full<Bytes>>, TransportError> {
    let method = match request.method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
    };
    let mut builder = Request::builder()
        .method(method)
        .uri(request.url)
        .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    for header in request.headers {
        builder = builder.header(header.name, header.value);
    }
    builder.body(Full::from(request.body)).map_err(unreachable)
}

async fn read_response(response: Response<hyper::body::Incoming>) -> Result<HttpResponse, TransportError> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_RESPONSE_BYTES)
        .collect()
        .await
        .map_err(|error| unreachable(&*error))?
        .to_bytes();
    let is_gzip = parts
        .headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding == "gzip");
    let body = if is_gzip { gunzip(&body)? } else { body.into() };
    let headers = parts.headers.iter().filter_map(|(name, value)| {
        Some(HttpHeader {
            name: name.as_str().to_owned(),
            value: value.to_str().ok()?.to_owned(),
        })
    });
    Ok(HttpResponse {
        status: parts.status.as_u16(),
        headers: headers.collect(),
        body,
    })
}

/// Decompresses gzip, at most [`MAX_RESPONSE_BYTES`]: a small body can decompress to a very large one.
fn gunzip(compressed: &[u8]) -> Result<Vec<u8>, TransportError> {
    let mut body = Vec::new();
    let limit = u64::try_from(MAX_RESPONSE_BYTES).unwrap_or(u64::MAX);
    let read = GzDecoder::new(compressed).take(limit + 1).read_to_end(&mut body);
    match read {
        Ok(length) if length <= MAX_RESPONSE_BYTES => Ok(body),
        Ok(_) => Err(TransportError::Unreachable {
            reason: "the response is too large".to_owned(),
        }),
        Err(error) => Err(unreachable(error)),
    }
}

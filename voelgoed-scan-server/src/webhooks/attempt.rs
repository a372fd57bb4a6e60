//! One attempt: sends a delivery and says what the receiver answered.
//!
//! Invariants: an attempt ends after [`TIMEOUT`]; at most [`MAX_ANSWER`] bytes of an answer are read, and none is kept; redirects
//! are not followed; no proxy of the environment is used.

use std::error::Error;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;
use voelgoed_scan_core::SPAN_TARGET;
use voelgoed_scan_core::delivery::{parse_retry_after, signature_header};
use voelgoed_scan_core::model::{DeliveryId, Timestamp, WebhookSecret};

use super::WebhookSettings;
use super::connector::{CheckedConnector, ConnectError};
use super::tls::{WebhookTlsError, client_config};
use crate::traces::{self, TRACEPARENT};

/// How long an attempt may take, from the look-up of the name to the head of the answer and its body.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How many bytes of the body of an answer are read, so that the connection can be used again.
const MAX_ANSWER: usize = 64 * 1024;

/// How many bytes the head of an answer may have.
const MAX_HEAD: usize = 16 * 1024;

/// How long a connection without a request stays open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// How many connections without a request stay open to a host.
const MAX_IDLE: usize = 8;

const AGENT: &str = concat!("voelgoed-scan/", env!("CARGO_PKG_VERSION"));

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AttemptResult {
    /// The status of the answer, if there was one.
    pub(super) status: Option<StatusCode>,
    /// Why the attempt failed; `None` if the receiver has the delivery.
    pub(super) error: Option<&'static str>,
    /// The wait that the receiver asked for.
    pub(super) retry_after: Option<Duration>,
}

impl AttemptResult {
    fn failed(error: &'static str) -> Self {
        Self {
            status: None,
            error: Some(error),
            retry_after: None,
        }
    }
}

/// Sends deliveries; keeps connections open between them.
pub(super) struct Sender {
    client: Client<HttpsConnector<CheckedConnector>, Full<Bytes>>,
    allow_private: bool,
}

/// What an attempt sends.
pub(super) struct Message<'a> {
    pub(super) url: &'a str,
    pub(super) id: DeliveryId,
    pub(super) secrets: &'a [WebhookSecret],
    pub(super) body: String,
    /// The time of this attempt.
    pub(super) at: Timestamp,
}

impl Sender {
    pub(super) fn new(settings: &WebhookSettings) -> Result<Self, WebhookTlsError> {
        let allow_private = settings.allow_private;
        let tls = client_config(settings.tls_ca.as_deref())?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(CheckedConnector { allow_private });
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE)
            .http1_max_buf_size(MAX_HEAD)
            .build(connector);
        Ok(Self {
            client,
            allow_private,
        })
    }

    /// Sends a delivery once.
    pub(super) async fn send(&self, message: Message<'_>) -> AttemptResult {
        let at = message.at;
        let Ok(uri) = message.url.parse::<Uri>() else {
            return AttemptResult::failed("invalid_url");
        };
        if !self.allow_private && uri.scheme_str() != Some("https") {
            return AttemptResult::failed("https_required");
        }
        let span = tracing::trace_span!(target: SPAN_TARGET, parent: None, "webhook.deliver", otel.kind = "client", delivery = %message.id);
        let Ok(mut request) = request(uri, message) else {
            return AttemptResult::failed("invalid_url");
        };
        if let Some(traceparent) = traces::traceparent(&span) {
            request.headers_mut().insert(TRACEPARENT, traceparent);
        }
        let deadline = Instant::now() + TIMEOUT;
        let response = timeout_at(deadline, self.client.request(request)).instrument(span);
        match response.await {
            Ok(Ok(response)) => {
                let result = result(&response, at);
                // The receiver has answered. A body that does not end costs the connection and nothing else.
                let _ = timeout_at(deadline, discard(response.into_body())).await;
                result
            }
            Ok(Err(error)) => AttemptResult::failed(error_name(&error)),
            Err(_) => AttemptResult::failed("timed_out"),
        }
    }
}

fn request(uri: Uri, message: Message<'_>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let id = message.id.to_string();
    let seconds = message.at.as_seconds();
    let secrets = message.secrets.iter().map(WebhookSecret::as_bytes);
    let signature = signature_header(secrets, &id, seconds, message.body.as_bytes());
    Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, AGENT)
        .header("webhook-id", id)
        .header("webhook-timestamp", seconds)
        .header("webhook-signature", signature)
        .body(Full::new(Bytes::from(message.body)))
}

fn result(response: &Response<Incoming>, now: Timestamp) -> AttemptResult {
    let status = response.status();
    let error = match status {
        _ if status.is_success() => None,
        _ if status.is_redirection() => Some("redirect_not_followed"),
        _ => Some("unexpected_status"),
    };
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .filter(|_| error.is_some())
        .and_then(|value| parse_retry_after(value.to_str().ok()?, now));
    AttemptResult {
        status: Some(status),
        error,
        retry_after,
    }
}

/// Reads a body to its end, or up to [`MAX_ANSWER`]. The connection of a longer one is closed.
async fn discard(mut body: Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read >= MAX_ANSWER {
            return;
        }
    }
}

/// The name of an error, as lists of deliveries show it. It tells nothing that the receiver sent.
fn error_name(error: &(dyn Error + 'static)) -> &'static str {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<ConnectError>() {
            return match error {
                ConnectError::AddressNotAllowed => "address_not_allowed",
                ConnectError::NameNotFound => "name_not_found",
                ConnectError::Refused(_) => "connection_failed",
            };
        }
        if error.is::<rustls::Error>() {
            return "tls_failed";
        }
        // `io::Error` skips what it wraps.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .map(|wrapped| wrapped as &(dyn Error + 'static));
        next = wrapped.or_else(|| error.source());
    }
    "connection_lost"
}

#[cfg(test)]
mod tests;

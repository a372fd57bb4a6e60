//! The default transport: hyper and rustls, HTTP/1.1 and HTTP/2, with the root certificates of Mozilla's browsers.

use std::io::Read;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::client::{HttpHeader, HttpMethod, HttpRequest, HttpResponse, Transport, TransportError};

/// The maximum size of a response body, in bytes: more than a manifest of a million tickets.
const MAX_RESPONSE_BYTES: usize = 128 << 20;

/// A [`Transport`] that uses hyper. Requires a tokio runtime.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpTransport {
    /// Creates a transport that trusts Mozilla's root certificates.
    pub fn new() -> Result<Self, TransportError> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .map_err(unreachable)?
            .https_or_http()
            .enable_all_versions()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }
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
        let exchange = async {
            let response = self
                .client
                .request(hyper_request(request)?)
                .await
                .map_err(unreachable)?;
            read_response(response).await
        };
        tokio::time::timeout(timeout, exchange)
            .await
            .unwrap_or(Err(TransportError::TimedOut))
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

//! An HTTP client with a credential. It checks every response against the server's OpenAPI document.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::openapi::OpenApiDocument;

/// A client of one server, with at most one credential.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    token: Option<String>,
    openapi: Option<Arc<OpenApiDocument>>,
    headers: Vec<(String, String)>,
}

/// A complete response.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body as NDJSON, one value a line.
    pub fn lines(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect()
    }

    /// The code of a problem document.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The JSON pointers of the errors of a 422.
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .filter_map(|error| error["pointer"].as_str().map(str::to_owned))
            .collect()
    }

    /// The body without the request id, so that two responses can be compared byte by byte.
    pub fn without_request_id(&self) -> String {
        let id = self.header("x-request-id").expect("a request id");
        self.text().replace(id, "")
    }

    /// Panics unless the response has this status.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "a caller may only need the assertion"
    )]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Panics unless the response is a problem document with this status and code.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "a caller may only need the assertion"
    )]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        let response = self.expect(status);
        assert_eq!(
            response.header("content-type"),
            Some("application/problem+json"),
            "{response:?}"
        );
        let problem = response.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(
            problem["type"],
            format!("urn:voelgoed-scan:problem:{code}"),
            "{problem}"
        );
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(
            problem["request_id"].as_str(),
            response.header("x-request-id"),
            "{problem}"
        );
        response
    }
}

impl Client {
    /// A client without a credential that does not check responses against a document.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            token: None,
            openapi: None,
            headers: Vec::new(),
        }
    }

    /// Checks every response against a document from now on.
    #[must_use]
    pub fn with_openapi(mut self, openapi: Arc<OpenApiDocument>) -> Self {
        self.openapi = Some(openapi);
        self
    }

    /// The same client with a credential.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same client with one more header.
    #[must_use]
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// The address of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The credential, or an empty text without one.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// The same client for another server.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    /// Sends a request and returns the response before its body is read.
    pub async fn open(
        &self,
        method: &str,
        path: &str,
        media_type: Option<&str>,
        body: Bytes,
    ) -> hyper::Response<Incoming> {
        self.try_open(method, path, media_type, body)
            .await
            .expect("a response")
    }

    /// Sends a request with a JSON body to a server that may fail meanwhile. Returns `None` without a complete response.
    pub async fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Response> {
        let (media_type, body) = match body {
            Some(body) => (Some("application/json"), body.to_string()),
            None => (None, String::new()),
        };
        self.try_send(method, path, media_type, body.into()).await
    }

    /// Sends a request with a body of this media type to a server that may close the connection meanwhile. Returns `None`
    /// without a complete response.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        media_type: Option<&str>,
        body: Bytes,
    ) -> Option<Response> {
        let (parts, incoming) = self.try_open(method, path, media_type, body).await?.into_parts();
        Some(Response {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: incoming.collect().await.ok()?.to_bytes(),
        })
    }

    /// Scans at a server that may fail meanwhile. Returns `None` without a complete response.
    pub async fn try_scan(&self, body: &Value) -> Option<Response> {
        self.try_call("POST", "/api/v1/scanning/scan", Some(body)).await
    }

    /// Sends a request to a server that may fail meanwhile, and returns the response before its body is read.
    pub async fn try_open(
        &self,
        method: &str,
        path: &str,
        media_type: Option<&str>,
        body: Bytes,
    ) -> Option<hyper::Response<Incoming>> {
        let stream = TcpStream::connect(self.address).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .ok()?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "gate.test");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).expect("a request");
        sender.send_request(request).await.ok()
    }

    /// Sends a request with a body of this media type and checks the response.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        media_type: Option<&str>,
        body: impl Into<Bytes>,
    ) -> Response {
        let body = body.into();
        let (parts, incoming) = self
            .open(method, path, media_type, body.clone())
            .await
            .into_parts();
        let body_read = incoming.collect().await.expect("a complete body").to_bytes();
        let response = Response {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body_read,
        };
        // Browsers keep the files of the console, and ask whether they are current.
        let is_console = path == "/" || path.starts_with("/console/");
        let cached = if is_console && response.status < 400 {
            "no-cache"
        } else {
            "no-store"
        };
        assert_eq!(
            response.header("cache-control"),
            Some(cached),
            "{method} {path}: {response:?}"
        );
        assert!(
            response.header("x-request-id").is_some(),
            "{method} {path}: {response:?}"
        );
        if let Some(openapi) = &self.openapi {
            let json = media_type == Some("application/json");
            let request = serde_json::from_slice(&body).ok().filter(|_| json);
            openapi.assert_conforms(method, path, request.as_ref(), &response);
        }
        response
    }

    /// Sends a request without a body.
    pub async fn call(&self, method: &str, path: &str) -> Response {
        self.send(method, path, None, Bytes::new()).await
    }

    /// Sends a request with a JSON body.
    pub async fn call_with(&self, method: &str, path: &str, body: &Value) -> Response {
        self.send(method, path, Some("application/json"), body.to_string())
            .await
    }

    /// Sends a `GET` request.
    pub async fn get(&self, path: &str) -> Response {
        self.call("GET", path).await
    }

    /// Sends a `POST` request with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.call_with("POST", path, body).await
    }

    /// Sends a `PUT` request with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Response {
        self.call_with("PUT", path, body).await
    }

    /// Scans a ticket.
    pub async fn scan(&self, body: &Value) -> Response {
        self.post("/api/v1/scanning/scan", body).await
    }

    /// Imports tickets into an event. `lines` is NDJSON.
    pub async fn import(&self, event: &str, lines: impl Into<Bytes>) -> Response {
        let path = format!("/api/v1/events/{event}/tickets");
        self.send("POST", &path, Some("application/x-ndjson"), lines)
            .await
    }
}

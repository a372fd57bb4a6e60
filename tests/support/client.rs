//! A caller: a credential and an address. Every answer is held against the server's document.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::book::Book;

/// A caller.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    token: Option<String>,
    book: Option<Arc<Book>>,
    headers: Vec<(String, String)>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// A header.
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

    /// The body as lines of JSON.
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

    /// The pointers of a 422.
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .filter_map(|error| error["pointer"].as_str().map(str::to_owned))
            .collect()
    }

    /// The body with the request id taken out: the bytes that two answers can be compared by.
    pub fn without_request_id(&self) -> String {
        let id = self.header("x-request-id").expect("a request id");
        self.text().replace(id, "")
    }

    /// Ends the test unless the status is this one.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "that it does not end the test may be all that counts"
    )]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Ends the test unless it is a problem of this status and code.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "that it does not end the test may be all that counts"
    )]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        let reply = self.expect(status);
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json"),
            "{reply:?}"
        );
        let problem = reply.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(
            problem["type"],
            format!("urn:voelgoed-scan:problem:{code}"),
            "{problem}"
        );
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(
            problem["request_id"].as_str(),
            reply.header("x-request-id"),
            "{problem}"
        );
        reply
    }
}

impl Client {
    /// A caller without a credential.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            token: None,
            book: None,
            headers: Vec::new(),
        }
    }

    /// A caller whose answers are held against a document.
    #[must_use]
    pub fn with_book(mut self, book: Arc<Book>) -> Self {
        self.book = Some(book);
        self
    }

    /// The same with a credential.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let mut same = self.clone();
        same.headers.push((name.to_owned(), value.to_owned()));
        same
    }

    /// The server's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The credential.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// The same credential at another server.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    /// Calls and returns before the body is read.
    pub async fn open(
        &self,
        method: &str,
        path: &str,
        media_type: Option<&str>,
        body: Bytes,
    ) -> Response<Incoming> {
        self.try_open(method, path, media_type, body)
            .await
            .expect("an answer")
    }

    /// A call with a JSON body at a server that may go away meanwhile; `None` without a whole answer.
    pub async fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Reply> {
        let (media_type, body) = match body {
            Some(body) => (Some("application/json"), body.to_string()),
            None => (None, String::new()),
        };
        let (parts, incoming) = self
            .try_open(method, path, media_type, body.into())
            .await?
            .into_parts();
        Some(Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: incoming.collect().await.ok()?.to_bytes(),
        })
    }

    /// Scans at a server that may go away meanwhile; `None` without a whole answer.
    pub async fn try_scan(&self, body: &Value) -> Option<Reply> {
        self.try_call("POST", "/api/v1/scanning/scan", Some(body)).await
    }

    async fn try_open(
        &self,
        method: &str,
        path: &str,
        media_type: Option<&str>,
        body: Bytes,
    ) -> Option<Response<Incoming>> {
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

    /// Calls with a body of some media type.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        media_type: Option<&str>,
        body: impl Into<Bytes>,
    ) -> Reply {
        let body = body.into();
        let (parts, incoming) = self
            .open(method, path, media_type, body.clone())
            .await
            .into_parts();
        let read = incoming.collect().await.expect("a whole body").to_bytes();
        let reply = Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: read,
        };
        assert_eq!(
            reply.header("cache-control"),
            Some("no-store"),
            "{method} {path}: {reply:?}"
        );
        assert!(
            reply.header("x-request-id").is_some(),
            "{method} {path}: {reply:?}"
        );
        if let Some(book) = &self.book {
            let json = media_type == Some("application/json");
            let request = serde_json::from_slice(&body).ok().filter(|_| json);
            book.check(method, path, request.as_ref(), &reply);
        }
        reply
    }

    /// Calls without a body.
    pub async fn call(&self, method: &str, path: &str) -> Reply {
        self.send(method, path, None, Bytes::new()).await
    }

    /// Calls with a JSON body.
    pub async fn call_with(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.send(method, path, Some("application/json"), body.to_string())
            .await
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call_with("POST", path, body).await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.call_with("PUT", path, body).await
    }

    /// Scans.
    pub async fn scan(&self, body: &Value) -> Reply {
        self.post("/api/v1/scanning/scan", body).await
    }

    /// Imports tickets.
    pub async fn import(&self, event: &str, lines: impl Into<Bytes>) -> Reply {
        let path = format!("/api/v1/events/{event}/tickets");
        self.send("POST", &path, Some("application/x-ndjson"), lines)
            .await
    }
}

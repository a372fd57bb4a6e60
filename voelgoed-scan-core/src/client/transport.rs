//! How does a call reach the server? By whatever the app calls servers with: a small trait, and one that is ready.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

/// The methods that a scanner uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    /// Reads.
    Get,
    /// Makes.
    Post,
    /// Replaces.
    Put,
}

impl HttpMethod {
    /// Its word in HTTP.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// A header of a request or of an answer.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpHeader {
    /// Its name, in any case.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Shows the name alone: a value may be a credential.
impl fmt::Debug for HttpHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A call.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// What is done.
    pub method: HttpMethod,
    /// To what: the whole URL.
    pub url: String,
    /// With these headers. `Accept-Encoding` is the transport's own: what it asks for it must undo.
    pub headers: Vec<HttpHeader>,
    /// And this body; empty for none.
    pub body: Vec<u8>,
    /// After this the caller has stopped waiting.
    pub timeout: Duration,
}

/// Shows neither credential nor payload.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// An answer, of whatever status.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<HttpHeader>,
    /// Its body, with every content encoding undone.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The value of a header, by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(&header.value)
    }
}

/// Shows no body: it may hold a token.
impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &self.body.len())
            .finish()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No server was reached, or the connection broke.
    #[error("the server cannot be reached: {reason}")]
    Unreachable {
        /// What the transport says, for logs.
        reason: String,
    },
    /// No answer came in time.
    #[error("the server did not answer in time")]
    TimedOut,
}

/// Brings calls to the server.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request and waits for the whole answer. Redirects are not followed; an answer of any status is `Ok`.
    /// Dropping the future gives the call up.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}

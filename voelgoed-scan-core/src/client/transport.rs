//! The HTTP transport interface. An app may implement it with the platform's HTTP client, or use
//! [`HttpTransport`](crate::client::HttpTransport).

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

/// The HTTP methods that the client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpMethod {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
}

impl HttpMethod {
    /// Returns the method's name in HTTP.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// A header of a request or a response.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpHeader {
    /// The name, case-insensitive.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Shows only the name: the value may be a credential.
impl fmt::Debug for HttpHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// An HTTP request.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: HttpMethod,
    /// The complete URL.
    pub url: String,
    /// The headers. The transport adds `Accept-Encoding` itself and decodes the response accordingly.
    pub headers: Vec<HttpHeader>,
    /// The body. Empty if there is none.
    pub body: Vec<u8>,
    /// The caller stops waiting after this time.
    pub timeout: Duration,
}

/// Shows no credentials and no payload.
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

/// An HTTP response.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: Vec<HttpHeader>,
    /// The body, with every content encoding decoded.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// Returns the value of a header. The name is case-insensitive.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        Some(&header.value)
    }
}

/// Shows only the size of the body: the body may contain a token.
impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &self.body.len())
            .finish()
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The server was not reached, or the connection broke.
    #[error("the server cannot be reached: {reason}")]
    Unreachable {
        /// The transport's own message, for logs.
        reason: String,
    },
    /// No response arrived in time.
    #[error("the server did not answer in time")]
    TimedOut,
}

/// Sends HTTP requests.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request and returns the complete response. Follows no redirects. A response with any status is `Ok`.
    /// Dropping the future cancels the request.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;

    /// Makes the next requests use new connections, because the network changed. The default does nothing: the platform's
    /// HTTP client notices by itself.
    fn close_connections(&self) {}
}

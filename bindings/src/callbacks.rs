//! The interfaces that an app implements: the secret store, and optionally the HTTP transport.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use voelgoed_scan_core as core;

pub use voelgoed_scan_core::client::HttpMethod;

use crate::text::shown_as_debug;

/// The HTTP methods that the client uses.
#[uniffi::remote(Enum)]
pub enum HttpMethod {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
}

/// A header of a request or a response. Its text shows only the name.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct HttpHeader {
    /// The name, case-insensitive.
    pub name: String,
    /// The value. It may be a credential: never log it.
    pub value: String,
}

/// An HTTP request. Its text shows no credential and no payload.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct HttpRequest {
    /// The method.
    pub method: HttpMethod,
    /// The complete URL.
    pub url: String,
    /// The headers. The transport adds `Accept-Encoding` itself and decodes the response accordingly.
    pub headers: Vec<HttpHeader>,
    /// The body. Empty if there is none. It contains payloads: never log it.
    pub body: Vec<u8>,
    /// The caller stops waiting after this time.
    pub timeout: std::time::Duration,
}

/// An HTTP response. Its text shows only the size of the body.
#[derive(Clone, PartialEq, Eq, uniffi::Record)]
#[uniffi::export(Debug, Display)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: Vec<HttpHeader>,
    /// The body, with every content encoding decoded.
    pub body: Vec<u8>,
}

impl From<HttpHeader> for core::client::HttpHeader {
    fn from(header: HttpHeader) -> Self {
        let HttpHeader { name, value } = header;
        Self { name, value }
    }
}

impl From<core::client::HttpHeader> for HttpHeader {
    fn from(header: core::client::HttpHeader) -> Self {
        let core::client::HttpHeader { name, value } = header;
        Self { name, value }
    }
}

impl From<core::client::HttpRequest> for HttpRequest {
    fn from(request: core::client::HttpRequest) -> Self {
        let core::client::HttpRequest {
            method,
            url,
            headers,
            body,
            timeout,
        } = request;
        Self {
            method,
            url,
            headers: headers.into_iter().map(Into::into).collect(),
            body,
            timeout,
        }
    }
}

impl From<HttpResponse> for core::client::HttpResponse {
    fn from(response: HttpResponse) -> Self {
        let HttpResponse {
            status,
            headers,
            body,
        } = response;
        Self {
            status,
            headers: headers.into_iter().map(Into::into).collect(),
            body,
        }
    }
}

impl fmt::Debug for HttpHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query may contain the name of a guest.
        let path = self.url.split('?').next().unwrap_or_default();
        write!(f, "{} {path}, {} bytes", self.method.as_str(), self.body.len())
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} bytes", self.status, self.body.len())
    }
}

shown_as_debug!(HttpHeader, HttpRequest, HttpResponse);

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum TransportError {
    /// The server was not reached, or the connection broke.
    #[error("unreachable: {reason}")]
    Unreachable {
        /// The transport's own message, for logs.
        reason: String,
    },
    /// No response arrived in time.
    #[error("timed out: {reason}")]
    TimedOut {
        /// The transport's own message, for logs.
        reason: String,
    },
}

/// Any other error that the app's code throws counts as an unreachable server, so that the phone decides by itself.
impl From<uniffi::UnexpectedUniFFICallbackError> for TransportError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unreachable { reason: error.reason }
    }
}

/// Sends HTTP requests. For apps that use the platform's own HTTP client, with its proxies and pinned certificates.
#[uniffi::export(foreign)]
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request and returns the complete response, whatever its status. Must not follow redirects.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}

/// The secret store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum SecretStoreError {
    /// The store is locked, full or missing.
    #[error("{reason}")]
    Failed {
        /// The store's own message, for logs.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for SecretStoreError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: error.reason }
    }
}

/// Stores small named secrets, for example in Keychain or Keystore. The credentials are stored only here.
#[uniffi::export(foreign)]
pub trait SecretStore: Send + Sync {
    /// Returns the secret with this name.
    fn get(&self, name: String) -> Result<Option<Vec<u8>>, SecretStoreError>;
    /// Stores a secret and replaces the previous one with this name.
    fn set(&self, name: String, secret: Vec<u8>) -> Result<(), SecretStoreError>;
    /// Deletes the secret with this name, if there is one.
    fn delete(&self, name: String) -> Result<(), SecretStoreError>;
}

/// Adapts the app's transport to the core's interface.
pub(crate) struct AppTransport(pub(crate) Arc<dyn Transport>);

#[async_trait]
impl core::client::Transport for AppTransport {
    async fn send(
        &self,
        request: core::client::HttpRequest,
    ) -> Result<core::client::HttpResponse, core::client::TransportError> {
        match self.0.send(request.into()).await {
            Ok(response) => Ok(response.into()),
            Err(TransportError::Unreachable { reason }) => {
                Err(core::client::TransportError::Unreachable { reason })
            }
            Err(TransportError::TimedOut { .. }) => Err(core::client::TransportError::TimedOut),
        }
    }
}

/// Adapts the app's secret store to the core's interface.
pub(crate) struct AppSecrets(pub(crate) Arc<dyn SecretStore>);

fn failed(SecretStoreError::Failed { reason }: SecretStoreError) -> core::client::SecretStoreError {
    core::client::SecretStoreError { reason }
}

impl core::client::SecretStore for AppSecrets {
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, core::client::SecretStoreError> {
        self.0.get(name.to_owned()).map_err(failed)
    }

    fn set(&self, name: &str, secret: Vec<u8>) -> Result<(), core::client::SecretStoreError> {
        self.0.set(name.to_owned(), secret).map_err(failed)
    }

    fn delete(&self, name: &str) -> Result<(), core::client::SecretStoreError> {
        self.0.delete(name.to_owned()).map_err(failed)
    }
}

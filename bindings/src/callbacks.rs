//! What does the app bring? A place for secrets, and if it likes its own way to call servers.

use std::sync::Arc;

use async_trait::async_trait;
use voelgoed_scan_core as core;

pub use voelgoed_scan_core::client::{HttpHeader, HttpMethod, HttpRequest, HttpResponse};

/// The methods that a scanner uses.
#[uniffi::remote(Enum)]
pub enum HttpMethod {
    /// Reads.
    Get,
    /// Makes.
    Post,
    /// Replaces.
    Put,
}

/// A header of a request or of an answer.
#[uniffi::remote(Record)]
pub struct HttpHeader {
    /// Its name, in any case.
    pub name: String,
    /// Its value. It may be a credential: never log it.
    pub value: String,
}

/// A call.
#[uniffi::remote(Record)]
pub struct HttpRequest {
    /// What is done.
    pub method: HttpMethod,
    /// To what: the whole URL.
    pub url: String,
    /// With these headers. `Accept-Encoding` is the transport's own: what it asks for it must undo.
    pub headers: Vec<HttpHeader>,
    /// And this body; empty for none. It holds payloads: never log it.
    pub body: Vec<u8>,
    /// After this the caller has stopped waiting.
    pub timeout: std::time::Duration,
}

/// An answer, of whatever status.
#[uniffi::remote(Record)]
pub struct HttpResponse {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<HttpHeader>,
    /// Its body, with every content encoding undone.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum TransportError {
    /// No server was reached, or the connection broke.
    #[error("unreachable: {reason}")]
    Unreachable {
        /// What the transport says, for logs.
        reason: String,
    },
    /// No answer came in time.
    #[error("timed out: {reason}")]
    TimedOut {
        /// What the transport says, for logs.
        reason: String,
    },
}

/// Whatever else the app's code throws: no answer came, and the phone goes on alone.
impl From<uniffi::UnexpectedUniFFICallbackError> for TransportError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Unreachable { reason: error.reason }
    }
}

/// Brings calls to the server. For apps that want the platform's own client: its proxies, its pinned certificates.
#[uniffi::export(foreign)]
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends a request and waits for the whole answer. Follows no redirect; an answer of any status is returned.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}

/// The secret store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, uniffi::Error)]
pub enum SecretStoreError {
    /// It is locked, full, or not there.
    #[error("{reason}")]
    Failed {
        /// What it says, for logs.
        reason: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for SecretStoreError {
    fn from(error: uniffi::UnexpectedUniFFICallbackError) -> Self {
        Self::Failed { reason: error.reason }
    }
}

/// Keeps small secrets under names: Keychain, Keystore. What an enrolment gave is kept here and nowhere else.
#[uniffi::export(foreign)]
pub trait SecretStore: Send + Sync {
    /// The secret of that name.
    fn get(&self, name: String) -> Result<Option<Vec<u8>>, SecretStoreError>;
    /// Keeps a secret, instead of the one of that name.
    fn set(&self, name: String, secret: Vec<u8>) -> Result<(), SecretStoreError>;
    /// Forgets the secret of that name, where there is one.
    fn delete(&self, name: String) -> Result<(), SecretStoreError>;
}

/// The app's way to call servers, as the core knows it.
pub(crate) struct AppTransport(pub(crate) Arc<dyn Transport>);

#[async_trait]
impl core::client::Transport for AppTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, core::client::TransportError> {
        self.0.send(request).await.map_err(|error| match error {
            TransportError::Unreachable { reason } => core::client::TransportError::Unreachable { reason },
            TransportError::TimedOut { .. } => core::client::TransportError::TimedOut,
        })
    }
}

/// The app's store for secrets, as the core knows it.
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

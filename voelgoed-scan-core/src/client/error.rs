//! The errors of the client. Each has a code, which apps, logs and the bindings share.

use std::sync::Arc;

use crate::client::{OfflineError, SecretStoreError, TransportError};
use crate::model::SessionId;

/// Why a call of the client failed. All callers of one scan attempt get the same error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The server was not reached, and the call needs it.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server refused the request, with a problem document of its own.
    #[error("the server refused the call: {code}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The `code` of the problem document (RFC 9457).
        code: String,
        /// The `detail` of the problem document.
        detail: String,
        /// On `session_already_active`: the active session.
        session_id: Option<SessionId>,
        /// On 429 and 503: the server's `Retry-After`, in seconds.
        retry_after_s: Option<u32>,
    },
    /// The response does not come from the server, does not answer the request, or is not one that this version
    /// understands.
    #[error("the server's response is not one that this version understands")]
    UnexpectedAnswer,
    /// The phone could not decide by itself, or it refused a manifest.
    #[error(transparent)]
    Offline(Arc<OfflineError>),
    /// The secret store failed.
    #[error(transparent)]
    Secrets(#[from] SecretStoreError),
    /// The device has no session.
    #[error("the device has no session")]
    NoActiveSession,
    /// The server's address does not start with `https://`, and plain HTTP is not allowed.
    #[error("the server's address is not https://")]
    InsecureServer,
}

impl From<OfflineError> for ClientError {
    fn from(error: OfflineError) -> Self {
        Self::Offline(Arc::new(error))
    }
}

impl ClientError {
    /// Returns the code: the server's own code for a refusal, otherwise one of the client's.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Transport(_) => "offline",
            Self::Refused { code, .. } => code,
            Self::UnexpectedAnswer => "unexpected_answer",
            Self::Offline(error) => error.code(),
            Self::Secrets(_) => "secret_store_failed",
            Self::NoActiveSession => "no_active_session",
            Self::InsecureServer => "insecure_server",
        }
    }

    /// Returns whether the same call may succeed later: there is no network, or the server is busy or down.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Refused { status, .. } => matches!(*status, 408 | 429 | 500..),
            Self::UnexpectedAnswer
            | Self::Offline(_)
            | Self::Secrets(_)
            | Self::NoActiveSession
            | Self::InsecureServer => false,
        }
    }
}

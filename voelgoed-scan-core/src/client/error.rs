//! What went wrong, as an app shows it: every error has a code.

use crate::client::{OfflineError, SecretStoreError, TransportError};
use crate::model::SessionId;

/// Why a call of the client came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server was not reached, and the call needs it.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server said no.
    #[error("the server refused the call: {code}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem's code.
        code: String,
        /// The problem in words.
        detail: String,
        /// On `session_already_active`: that session.
        session_id: Option<SessionId>,
        /// On 429 and 503: after how many seconds it may be tried again.
        retry_after_s: Option<u32>,
    },
    /// The server said what this version does not understand.
    #[error("the server's answer makes no sense to this version")]
    UnexpectedAnswer,
    /// The phone alone could not decide, or did not take what it was given.
    #[error(transparent)]
    Offline(#[from] OfflineError),
    /// The secret store failed.
    #[error(transparent)]
    Secrets(#[from] SecretStoreError),
    /// The device stands at no gate.
    #[error("the device has no session")]
    NoActiveSession,
    /// The server's address is not `https://`, and plain HTTP was not allowed.
    #[error("the server's address is not https://")]
    InsecureServer,
}

impl ClientError {
    /// The code: the server's own where the server refused, else one of the client's.
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

    /// Whether the same call may well succeed later: no network, a server that is busy or down.
    #[must_use]
    pub const fn passes(&self) -> bool {
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

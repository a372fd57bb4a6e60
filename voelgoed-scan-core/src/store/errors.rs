//! What can go wrong with a database, classified by what the caller can do about it.

use std::error::Error;

/// A failure of the database itself. Its text is for logs: clients never see it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or not in time. The call may be tried again.
    #[error("the database is unavailable: {reason}")]
    Unavailable {
        /// What happened, with the driver's message.
        reason: String,
        /// Whether a statement had no answer in time. Then the rows that it needs may be locked, and other statements
        /// succeed.
        timed_out: bool,
        /// The driver's error, if it reported one.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// Concurrent writers kept this write from succeeding. Nothing was written.
    #[error("the database is contended: {reason}")]
    Contended {
        /// What happened, with the driver's message.
        reason: String,
        /// The driver's error, if it reported one.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The database answered what this version never expects: a row that it does not write, or a damaged file.
    #[error("the database failed: {reason}")]
    Failed {
        /// What happened, with the driver's message.
        reason: String,
        /// The driver's error, if it reported one.
        source: Option<Box<dyn Error + Send + Sync>>,
    },
}

impl StoreError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Contended { .. } => true,
            Self::Failed { .. } => false,
        }
    }

    /// An [`StoreError::Unavailable`] that no driver reported.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable {
            reason: reason.into(),
            timed_out: false,
            source: None,
        }
    }

    /// A [`StoreError::Unavailable`] of a statement that had no answer in time.
    pub fn timed_out(reason: impl Into<String>) -> Self {
        Self::Unavailable {
            reason: reason.into(),
            timed_out: true,
            source: None,
        }
    }

    /// A [`StoreError::Contended`] that no driver reported.
    pub fn contended(reason: impl Into<String>) -> Self {
        Self::Contended {
            reason: reason.into(),
            source: None,
        }
    }

    /// A [`StoreError::Failed`] that no driver reported.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed {
            reason: reason.into(),
            source: None,
        }
    }
}

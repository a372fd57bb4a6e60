//! The pooler in front of PostgreSQL, as the command line names it.

use std::fmt;

use clap::ValueEnum;
use voelgoed_scan_core::store::Pooler;

/// What is between this program and PostgreSQL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DatabasePooler {
    /// Nothing, or a pooler that keeps a session for each connection
    #[default]
    None,
    /// A pooler that serves each transaction from another session
    Transaction,
}

impl fmt::Display for DatabasePooler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::Transaction => "transaction",
        })
    }
}

impl From<DatabasePooler> for Pooler {
    fn from(pooler: DatabasePooler) -> Self {
        match pooler {
            DatabasePooler::None => Self::None,
            DatabasePooler::Transaction => Self::Transaction,
        }
    }
}

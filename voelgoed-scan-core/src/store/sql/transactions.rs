//! How statements are grouped into transactions, which depends on what is between this program and the database.
//!
//! A pooler that serves each transaction from another session keeps nothing of a session: no setting, no prepared statement.
//! Two messages of the driver for one statement may even reach two sessions. Behind such a pooler every statement is part of
//! an explicit transaction, which also sets its own limits.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Transaction};

use crate::store::StoreError;
use crate::store::sql::Dialect;

/// What is between this program and PostgreSQL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing, or a pooler that keeps a session for each connection.
    #[default]
    None,
    /// A pooler that serves each transaction from another session, such as `PgBouncer` with `pool_mode = transaction`.
    Transaction,
}

/// The statements that begin transactions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transactions {
    /// Begins a transaction that writes.
    pub(crate) write: &'static str,
    /// Begins a transaction that reads one state.
    pub(crate) snapshot: &'static str,
    /// Begins the transaction of a single statement that reads. `None` where it needs none.
    pub(crate) read: Option<&'static str>,
}

impl Transactions {
    /// Whether every statement needs a transaction.
    pub(crate) fn are_required(&self) -> bool {
        self.read.is_some()
    }
}

/// A connection that reads. What it does is never committed.
pub(crate) enum ReadConnection<D: Dialect> {
    /// A connection on which each statement stands for itself.
    Plain(PoolConnection<D>),
    /// A connection in a transaction, which ends when this value is dropped.
    Transaction(Transaction<'static, D>),
}

impl<D: Dialect> Deref for ReadConnection<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        match self {
            Self::Plain(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl<D: Dialect> DerefMut for ReadConnection<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        match self {
            Self::Plain(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

/// What a single writing statement runs in.
pub(crate) enum SingleWrite<'c, D: Dialect> {
    /// The database commits the statement by itself.
    Plain(&'c mut D::Connection),
    /// A transaction for the statement.
    Transaction(Transaction<'c, D>),
}

impl<'c, D: Dialect> SingleWrite<'c, D> {
    /// Begins the transaction if one is needed.
    pub(crate) async fn begin(
        transactions: Transactions,
        connection: &'c mut D::Connection,
    ) -> Result<Self, StoreError> {
        if transactions.are_required() {
            let transaction = connection.begin_with(transactions.write).await?;
            return Ok(Self::Transaction(transaction));
        }
        Ok(Self::Plain(connection))
    }

    /// The connection to run the statement on.
    pub(crate) fn connection(&mut self) -> &mut D::Connection {
        match self {
            Self::Plain(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }

    /// Commits what the statement wrote if it succeeded, and otherwise ends the transaction.
    pub(crate) async fn end<T>(self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Self::Transaction(transaction) = self {
            if result.is_ok() {
                transaction.commit().await?;
            } else {
                transaction.rollback().await?;
            }
        }
        result
    }
}

//! Citus, which distributes the tables over several servers of PostgreSQL.
//!
//! A node connects to the coordinator. It sends each statement to the worker that has the rows of the organization. So settings
//! of the session do not reach the server that commits: there they are set in each transaction that writes. The single statement
//! for first admissions is not used: Citus splits it, and reads the parts in another format than it wrote them (13.2).

use sqlx::{Executor as _, PgConnection, Row as _};

use crate::store::StoreError;
use crate::store::sql::transactions::Transactions;
use crate::store::sql::{pooler, statement};

/// The transactions of a connection to a coordinator.
pub(super) const TRANSACTIONS: Transactions = Transactions {
    write: WRITE,
    snapshot: "begin isolation level repeatable read, read only",
    read: None,
    single_writes: true,
};

/// The transactions behind a pooler that keeps no sessions.
pub(super) const POOLED_TRANSACTIONS: Transactions = Transactions {
    write: WRITE,
    snapshot: pooler::POOLED_TRANSACTIONS.snapshot,
    read: pooler::POOLED_TRANSACTIONS.read,
    single_writes: true,
};

/// Begins a transaction that writes. Its limits, and that its commit waits for the disk, hold on the workers as well.
const WRITE: &str = "begin isolation level read committed; \
    set local citus.propagate_set_commands = 'local'; \
    set local synchronous_commit = 'on'; \
    set local statement_timeout = '10s'; \
    set local lock_timeout = '5s'; \
    set local idle_in_transaction_session_timeout = '10s'";

/// Whether a database has the extension.
pub(super) async fn is_citus(connection: &mut PgConnection) -> Result<bool, StoreError> {
    // A simple query, because behind a pooler the messages of a prepared one may reach two sessions.
    let row = connection
        .fetch_one(sqlx::raw_sql(statement!("is_citus.postgres.sql")))
        .await?;
    Ok(row.try_get(0)?)
}

//! Poolers that serve each transaction from another session of PostgreSQL.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::timeout;

use crate::store::StoreError;
use crate::store::sql::open::OpenError;
use crate::store::sql::transactions::Transactions;

/// The transactions behind such a pooler. Each sets what `session_settings.postgres.sql` sets for a session. A transaction that
/// only reads waits for no disk.
pub(crate) const POOLED_TRANSACTIONS: Transactions = Transactions {
    write: "begin isolation level read committed; \
        select set_config('synchronous_commit', case current_setting('synchronous_commit') \
            when 'off' then 'on' else current_setting('synchronous_commit') end, true), \
            set_config('statement_timeout', '10s', true), \
            set_config('lock_timeout', '5s', true), \
            set_config('idle_in_transaction_session_timeout', '10s', true)",
    snapshot: "begin isolation level repeatable read, read only; \
        set local statement_timeout = '10s'; \
        set local lock_timeout = '5s'; \
        set local idle_in_transaction_session_timeout = '10s'",
    read: Some(
        "begin isolation level read committed, read only; \
        set local statement_timeout = '10s'; \
        set local lock_timeout = '5s'; \
        set local idle_in_transaction_session_timeout = '10s'",
    ),
};

/// Which of two connections sends each of the questions that find a pooler. A pooler gives a free session to the next
/// transaction: the one that was used last, so that both connections see the same one, or the one that was used first, so that
/// a connection sees another one than before.
const QUESTIONS: [usize; 12] = [0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1];

/// How long the questions may take. A pool with a single session answers the second connection when the first one closes.
const QUESTIONS_TIMEOUT: Duration = Duration::from_secs(10);

/// Fails if a connection has no session of its own: if its session changes, or if two connections have the same one.
///
/// Both never happen with sessions of their own. Behind a pooler that is used by others at the same moment, a single question
/// may miss them, so there are several.
pub(crate) async fn refuse_transaction_pooler(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<(), OpenError> {
    let questions = ask_for_sessions(connection, options);
    timeout(QUESTIONS_TIMEOUT, questions).await.map_err(|_| {
        StoreError::unavailable(
            "two connections to the database do not get answers side by side; where there is a pooler, a node needs a pool of \
             28 sessions",
        )
    })?
}

async fn ask_for_sessions(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<(), OpenError> {
    let mut other = PgConnection::connect_with(options)
        .await
        .map_err(StoreError::from)?;
    let mut sessions: [Option<i32>; 2] = [None, None];
    for asks in QUESTIONS {
        let asked = if asks == 0 { &mut *connection } else { &mut other };
        let session = session_of(asked).await?;
        let [first, second] = &mut sessions;
        let (own, others) = if asks == 0 {
            (first, second)
        } else {
            (second, first)
        };
        if own.is_some_and(|own| own != session) || *others == Some(session) {
            return Err(OpenError::TransactionPooler);
        }
        *own = Some(session);
    }
    other.close().await.map_err(StoreError::from)?;
    Ok(())
}

/// The server process that answers now. Sent as a simple query, because the messages of a prepared one may reach two sessions.
async fn session_of(connection: &mut PgConnection) -> Result<i32, StoreError> {
    let row = connection
        .fetch_one(sqlx::raw_sql("select pg_backend_pid()"))
        .await?;
    Ok(row.try_get(0)?)
}

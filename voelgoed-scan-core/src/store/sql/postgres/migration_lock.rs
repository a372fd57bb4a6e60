//! The lock of the migrations on PostgreSQL: an advisory lock of the migrating transaction.
//!
//! Whoever waits reads from the database who holds it. The database ends the transaction, and with it the lock, if its process
//! is gone or silent.

use std::process;

use sqlx::{Executor as _, PgConnection, Postgres, SqlStr};

use crate::store::StoreError;
use crate::store::sql::migrate::{LockAttempt, LockHolder, MigrationDialect};
use crate::store::sql::{query, statement};

/// How many bytes of the name of a session PostgreSQL keeps.
const MAX_NAME: usize = 63;

impl MigrationDialect for Postgres {
    // Waiting scans queue behind a migration that waits for a table, so it gives up soon and is tried again. What runs may take
    // long, but a process that is silent loses its transaction.
    const BEGIN_MIGRATION: &'static str = "begin isolation level read committed; \
         set local statement_timeout = 0; \
         set local lock_timeout = '5s'; \
         set local idle_in_transaction_session_timeout = '30s'; \
         set local synchronous_commit = on";
    const BEGIN_CHECK: &'static str = "begin isolation level read committed, read only";
    const TABLE_EXISTS: &'static str = statement!("migrations/table_exists.postgres.sql");
    const CREATE_TABLE: &'static str = statement!("migrations/create_table.postgres.sql");

    async fn try_lock(connection: &mut PgConnection) -> Result<LockAttempt, StoreError> {
        let row = query::<Self>(statement!("migrations/try_lock.postgres.sql"))
            .fetch_optional(connection)
            .await?;
        if row.map_or(Ok(false), |row| row.bool("locked"))? {
            query::<Self>(statement!("migrations/sign_lock.postgres.sql"))
                .text(&own_name())
                .fetch_all(connection)
                .await?;
            return Ok(LockAttempt::Locked);
        }
        let row = query::<Self>(statement!("migrations/lock_holder.postgres.sql"))
            .fetch_optional(connection)
            .await?;
        let holder = row.map(|row| {
            Ok::<_, StoreError>(LockHolder {
                name: row.text("holder")?,
                since: row.time("since")?,
            })
        });
        Ok(LockAttempt::Held(holder.transpose()?))
    }

    async fn run_script(connection: &mut PgConnection, sql: SqlStr) -> Result<(), sqlx::Error> {
        connection.execute(sql).await?;
        Ok(())
    }
}

/// The name of this process for those who wait for it.
fn own_name() -> String {
    let host = whoami::hostname().unwrap_or_else(|_| "an unknown host".to_owned());
    let mut name = format!("process {} on {host}", process::id());
    name.truncate(name.floor_char_boundary(MAX_NAME));
    name
}

//! The statements of retention in the dialect of SQLite.

use sqlx::{Sqlite, SqliteConnection};

use crate::store::StoreError;
use crate::store::sql::retention::{RetentionDialect, RetentionStatements};
use crate::store::sql::{Sql, query, statement};

impl RetentionDialect for Sqlite {
    const RETENTION: RetentionStatements = RetentionStatements {
        clear_tickets: statement!("retention/clear_tickets.sqlite.sql"),
        scans_to_clear: statement!("retention/scans_to_clear.sqlite.sql"),
        clear_scans: statement!("retention/clear_scans.sqlite.sql"),
        clear_acceptances: statement!("retention/clear_acceptances.sqlite.sql"),
        delete_scans: [
            statement!("retention/delete_scan_changes.sqlite.sql"),
            statement!("retention/delete_acceptances.sqlite.sql"),
            statement!("retention/delete_scans.sqlite.sql"),
        ],
    };

    /// `secure_delete` overwrites what is deleted. The pages of before are in the write-ahead log until it is empty.
    async fn remove_deleted_content(database: &Sql<Self>) -> Result<bool, StoreError> {
        database.check_files()?;
        let mut connection = database.write_pool.acquire().await?;
        let truncated = truncate_log(&mut connection).await;
        if truncated.is_err() {
            // It may still have the settings of the checkpoint.
            connection.close_on_drop();
        }
        truncated
    }
}

/// Empties the write-ahead log. False if a reader still needs it.
async fn truncate_log(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let run = |sql| query::<Sqlite>(sql);
    run(statement!("retention/checkpoint.sqlite.sql"))
        .fetch_all(connection)
        .await?;
    // Otherwise scans would wait as long as this waits for a reader.
    run(statement!("retention/do_not_wait.sqlite.sql"))
        .fetch_all(connection)
        .await?;
    let row = run(statement!("retention/truncate_log.sqlite.sql"))
        .fetch_optional(connection)
        .await?;
    run(statement!("retention/wait_again.sqlite.sql"))
        .fetch_all(connection)
        .await?;
    row.map_or(Ok(false), |row| Ok(row.int("busy")? == 0))
}

//! The statements of retention in the dialect of SQLite, and the cleaning of its files.
//!
//! `secure_delete` overwrites what is deleted, and pages that become free. It does not overwrite what the balancing of a tree
//! leaves behind in the gap of a page that stays in use. So every row is moved behind the last one, in chunks: the pages of
//! before become free.

use sqlx::{Sqlite, SqliteConnection};

use crate::store::sql::retention::{RetentionDialect, RetentionStatements};
use crate::store::sql::{Sql, query, statement};
use crate::store::{RewritePlace, StoreError};

/// The tables that hold personal data: the statement that reads the last row, and the one that moves rows.
const TABLES: &[(&str, &str)] = &[
    (
        statement!("retention/last_tickets.sqlite.sql"),
        statement!("retention/move_tickets.sqlite.sql"),
    ),
    (
        statement!("retention/last_scans.sqlite.sql"),
        statement!("retention/move_scans.sqlite.sql"),
    ),
    (
        statement!("retention/last_quarantine.sqlite.sql"),
        statement!("retention/move_quarantine.sqlite.sql"),
    ),
    (
        statement!("retention/last_acceptances.sqlite.sql"),
        statement!("retention/move_acceptances.sqlite.sql"),
    ),
    (
        statement!("retention/last_ticket_media.sqlite.sql"),
        statement!("retention/move_ticket_media.sqlite.sql"),
    ),
    (
        statement!("retention/last_webhook_deliveries.sqlite.sql"),
        statement!("retention/move_webhook_deliveries.sqlite.sql"),
    ),
];

/// More rows than a page holds. The page with the end of the old rows gets the first of the moved ones, which are moved again.
const ROWS_OF_A_PAGE: i64 = 500;

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

    async fn rewrite_chunk(
        database: &Sql<Self>,
        place: RewritePlace,
        limit: usize,
    ) -> Result<Option<RewritePlace>, StoreError> {
        let Some((last, move_rows)) = TABLES.get(place.table) else {
            return Ok(None);
        };
        let mut transaction = database.write().await?;
        let row = query::<Self>(last).fetch_optional(&mut transaction).await?;
        let last = row.map_or(Ok(0), |row| row.int("last"))?;
        let until = place.until.unwrap_or(last).min(last);
        let moved = query::<Self>(move_rows)
            .int(until)
            .int(i64::try_from(limit).unwrap_or(i64::MAX))
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some(if moved > 0 {
            RewritePlace {
                until: Some(until),
                ..place
            }
        } else if place.is_second_round {
            RewritePlace {
                table: place.table + 1,
                until: None,
                is_second_round: false,
            }
        } else {
            RewritePlace {
                until: Some(last.min(until.saturating_add(ROWS_OF_A_PAGE))),
                is_second_round: true,
                ..place
            }
        }))
    }

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

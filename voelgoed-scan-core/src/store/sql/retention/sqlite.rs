//! The statements of retention in the dialect of SQLite, and the cleaning of its files.
//!
//! `secure_delete` overwrites what is deleted, and pages that become free. It does not overwrite what the balancing of a tree
//! leaves behind in a page that stays in use. So the unused part of every page is overwritten, in chunks. For that SQLite needs
//! `SQLITE_ENABLE_DBPAGE_VTAB`, which `.cargo/config.toml` sets; a program that is built without it does a `vacuum`, during which
//! nothing else is written.

use sqlx::{Sqlite, SqliteConnection};

use crate::store::StoreError;
use crate::store::sql::retention::page::clear_unused_part;
use crate::store::sql::retention::{RetentionDialect, RetentionStatements};
use crate::store::sql::{Sql, query, statement};

/// From this page on the number of a page can begin with the byte that marks a page of a table. Pages of other kinds begin with
/// such a number.
const FIRST_AMBIGUOUS_PAGE: i64 = 1 << 25;

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

    async fn clean_pages(database: &Sql<Self>, first: i64, limit: usize) -> Result<Option<i64>, StoreError> {
        let mut transaction = database.write().await?;
        let file = query::<Self>(statement!("retention/file.sqlite.sql"));
        let file = file.fetch_optional(&mut transaction).await?;
        let file =
            file.ok_or_else(|| StoreError::failed("SQLite did not tell how many pages its file has"))?;
        let count = file.int("pages")?;
        if !file.bool("has_single_pages")? || count >= FIRST_AMBIGUOUS_PAGE {
            transaction.rollback().await?;
            return vacuum(database).await.map(|()| None);
        }
        let last = count.min(first + i64::try_from(limit).unwrap_or(count) - 1);
        let pages = query::<Self>(statement!("retention/pages.sqlite.sql"))
            .int(first)
            .int(last)
            .fetch_all(&mut transaction)
            .await?;
        for row in pages {
            let number = row.int("page")?;
            let mut page = row.blob("data")?;
            if clear_unused_part(number, &mut page) {
                query::<Self>(statement!("retention/write_page.sqlite.sql"))
                    .int(number)
                    .bytes(&page)
                    .execute(&mut transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok((last < count).then_some(last + 1))
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

/// Has SQLite write the whole file anew. Nothing else is written meanwhile.
async fn vacuum(database: &Sql<Sqlite>) -> Result<(), StoreError> {
    let mut connection = database.write_pool.acquire().await?;
    query::<Sqlite>(statement!("retention/vacuum.sqlite.sql"))
        .execute(&mut connection)
        .await?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sqlx::Sqlite;

    use super::vacuum;
    use crate::store::RetentionStore as _;
    use crate::store::sql::open::OpenMode;
    use crate::store::sql::{query, sqlite};

    fn times(file: &Path) -> usize {
        let bytes = std::fs::read(file).expect("the file can be read");
        bytes.windows(9).filter(|part| part == b"Qworbachi").count()
    }

    #[tokio::test]
    async fn both_ways_of_cleaning_remove_what_secure_delete_leaves() {
        for has_single_pages in [true, false] {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("gate.db");
            sqlite::migrate(&file).await.expect("migrated");
            let database = sqlite::open(&file, OpenMode::Server, false)
                .await
                .expect("opened");
            for sql in [
                "create table people (id integer primary key, text text) strict",
                "create index people_text on people (text)",
                "with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000)
                insert into people select i, format('%.*cQworbachi', i * 37 % 211, 'x') from n",
                "update people set text = text || ' and a guest' where id % 3 > 0",
                "update people set text = 'cleared'",
            ] {
                let mut connection = database.write_pool.acquire().await.expect("connected");
                query::<Sqlite>(sql).execute(&mut connection).await.expect(sql);
            }
            let store = &database;
            assert!(store.remove_deleted_content().await.expect("the log is emptied"));
            assert!(times(&file) > 0, "secure_delete leaves nothing");
            if has_single_pages {
                let mut page = 1;
                while let Some(next) = store.clean_pages(page, 7).await.expect("cleaned") {
                    assert_eq!(next, page + 7);
                    page = next;
                }
            } else {
                vacuum(store).await.expect("cleaned");
            }
            assert!(store.remove_deleted_content().await.expect("the log is emptied"));
            assert_eq!(times(&file), 0, "single pages: {has_single_pages}");
            let mut connection = database.write_pool.acquire().await.expect("connected");
            let check = query::<Sqlite>("select integrity_check as result from pragma_integrity_check");
            let rows = check.fetch_all(&mut connection).await.expect("checked");
            assert_eq!(rows[0].text("result").expect("a text"), "ok");
        }
    }
}

//! Checks the plans that SQLite makes for the set-based statements.
//!
//! The organization is a parameter of its own, so an index over it and a key could also serve to read all rows of the
//! organization and to compare each with every row of the JSON array. No statement may do this.

use sqlx::{Connection as _, Row as _, SqlSafeStr as _, SqliteConnection};

use super::{code, statements};
use crate::migrations;

#[tokio::test]
async fn every_set_based_statement_finds_each_row_by_its_key() {
    let mut connection = SqliteConnection::connect("sqlite::memory:")
        .await
        .expect("a database in memory");
    migrations::sqlite()
        .run(&mut connection)
        .await
        .expect("the migrations apply");
    let mut checked = 0;
    for (name, text) in statements() {
        if name.ends_with(".postgres.sql") || !text.contains("json_each") {
            continue;
        }
        let sql = format!(
            "explain query plan {}",
            code(&text).collect::<Vec<_>>().join("\n")
        );
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(sql).into_sql_str())
            .fetch_all(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        for row in rows {
            let step: String = row.get("detail");
            let scans_table = step.starts_with("SCAN ")
                && !["SCAN r", "SCAN k", "SCAN json_each"]
                    .iter()
                    .any(|allowed| step.starts_with(allowed));
            assert!(!scans_table, "{name}: {step}");
            assert!(!step.ends_with("(organization_id=?)"), "{name}: {step}");
        }
        checked += 1;
    }
    assert!(checked > 10, "the statements are there");
}

//! The statements of retention in the dialect of PostgreSQL.

use sqlx::Postgres;

use crate::store::StoreError;
use crate::store::sql::retention::{RetentionDialect, RetentionStatements};
use crate::store::sql::{Sql, statement};

impl RetentionDialect for Postgres {
    const RETENTION: RetentionStatements = RetentionStatements {
        clear_tickets: statement!("retention/clear_tickets.postgres.sql"),
        scans_to_clear: statement!("retention/scans_to_clear.postgres.sql"),
        clear_scans: statement!("retention/clear_scans.postgres.sql"),
        clear_acceptances: statement!("retention/clear_acceptances.postgres.sql"),
        delete_scans: [
            statement!("retention/delete_scan_changes.postgres.sql"),
            statement!("retention/delete_acceptances.postgres.sql"),
            statement!("retention/delete_scans.postgres.sql"),
        ],
    };

    async fn clean_pages(_: &Sql<Self>, _: i64, _: usize) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }

    /// The files are the server's. Its vacuum removes what was deleted.
    async fn remove_deleted_content(_: &Sql<Self>) -> Result<bool, StoreError> {
        Ok(true)
    }
}

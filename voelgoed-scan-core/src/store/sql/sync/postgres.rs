//! The statements of an upload in the dialect of PostgreSQL.

use sqlx::Postgres;

use crate::store::sql::statement;
use crate::store::sql::sync::{SyncDialect, SyncStatements};

impl SyncDialect for Postgres {
    const SYNC: SyncStatements = SyncStatements {
        load_gate_events: statement!("sync/load_gate_events.postgres.sql"),
        load_gates: statement!("sync/load_gates.postgres.sql"),
        load_scans: statement!("sync/load_scans.postgres.sql"),
        load_histories: statement!("sync/load_histories.postgres.sql"),
        load_status_changes: statement!("sync/load_status_changes.postgres.sql"),
        load_log: statement!("sync/load_log.postgres.sql"),
        load_quarantined: statement!("sync/load_quarantined.postgres.sql"),
        insert_scans: statement!("sync/insert_scans.postgres.sql"),
        update_scans: statement!("sync/update_scans.postgres.sql"),
        update_log: statement!("sync/update_log.postgres.sql"),
        insert_quarantine: statement!("sync/insert_quarantine.postgres.sql"),
        delete_quarantine: statement!("sync/delete_quarantine.postgres.sql"),
    };
}

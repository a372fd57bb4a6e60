//! The statements of an upload in the dialect of SQLite.

use sqlx::Sqlite;

use crate::store::sql::statement;
use crate::store::sql::sync::{SyncDialect, SyncStatements};

impl SyncDialect for Sqlite {
    const SYNC: SyncStatements = SyncStatements {
        load_gate_events: statement!("sync/load_gate_events.sqlite.sql"),
        load_gates: statement!("sync/load_gates.sqlite.sql"),
        load_scans: statement!("sync/load_scans.sqlite.sql"),
        load_histories: statement!("sync/load_histories.sqlite.sql"),
        load_status_changes: statement!("sync/load_status_changes.sqlite.sql"),
        load_log: statement!("sync/load_log.sqlite.sql"),
        load_quarantined: statement!("sync/load_quarantined.sqlite.sql"),
        insert_scans: statement!("sync/insert_scans.sqlite.sql"),
        update_scans: statement!("sync/update_scans.sqlite.sql"),
        update_log: statement!("sync/update_log.sqlite.sql"),
        insert_quarantine: statement!("sync/insert_quarantine.sqlite.sql"),
        delete_quarantine: statement!("sync/delete_quarantine.sqlite.sql"),
    };
}

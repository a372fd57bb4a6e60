//! Checks that nothing of a deleted event is left: every table that holds rows of events, tickets or scans has a statement that
//! deletes them.

use super::{files, read, source_folder, statements};

/// Tables that keep their rows, each with the reason.
const KEPT: &[(&str, &str)] = &[
    ("deleted_events", "is what is left of a deleted event"),
    ("audit_entries", "the audit log stays"),
    ("pending_audit_acts", "becomes entries of the audit log"),
];

/// The columns that name an event, or what belongs to one.
const COLUMNS: [&str; 3] = [" event_id ", " ticket_id ", " scan_id "];

#[test]
fn every_table_with_rows_of_events_is_purged() {
    let names: Vec<String> = statements().into_iter().map(|(name, _)| name).collect();
    let mut checked = 0;
    for path in files(&source_folder().join("../../../migrations/postgres"), "sql") {
        let text = read(&path);
        for part in text.split("create table ").skip(1) {
            let table = part.split_whitespace().next().unwrap_or_default();
            let columns = part.split(';').next().unwrap_or_default();
            let is_kept = KEPT.iter().any(|(kept, _)| *kept == table);
            if is_kept || !COLUMNS.iter().any(|column| columns.contains(column)) {
                continue;
            }
            checked += 1;
            let is_deleted = [".sql", ".postgres.sql"]
                .iter()
                .any(|end| names.contains(&format!("retention/delete_{table}{end}")));
            assert!(is_deleted, "a deleted event leaves rows in {table}");
        }
    }
    assert!(checked > 15, "the migrations are read");
}

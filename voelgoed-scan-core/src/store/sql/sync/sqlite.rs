//! The statements of a batch in SQLite's words.

use sqlx::Sqlite;

use crate::store::sql::row::{event_columns, gate_columns, kept_columns};
use crate::store::sql::sync::{SyncDialect, SyncStatements};

impl SyncDialect for Sqlite {
    const SYNC: SyncStatements = SyncStatements {
        places: concat!(
            "select ",
            event_columns!(),
            ", ",
            gate_columns!(),
            " from json_each($1) k \
             cross join gates g on g.organization_id = unhex(k.value ->> 'o') and g.id = unhex(k.value ->> 'k') \
             join events e on e.organization_id = g.organization_id and e.id = g.event_id"
        ),
        known: concat!(
            "select ",
            kept_columns!(),
            ", x.payload_sha256 from json_each($1) k \
             cross join scans x on x.organization_id = unhex(k.value ->> 'o') and x.scan_id = unhex(k.value ->> 'k') \
             join devices d on d.organization_id = x.organization_id and d.id = x.device_id"
        ),
        past: concat!(
            "select ",
            kept_columns!(),
            " from json_each($1) k \
             cross join scans x on x.organization_id = unhex(k.value ->> 'o') and x.ticket_id = unhex(k.value ->> 'k') \
             and (x.result = 'valid' or x.part is not null) \
             join devices d on d.organization_id = x.organization_id and d.id = x.device_id"
        ),
        log: "select x.scan_id, x.sequence, x.prev_hash, x.link_hash from json_each($1) k \
             cross join scans x on x.organization_id = $2 and x.device_id = $3 and x.sequence = k.value \
             where x.link_hash is not null",
        quarantined: "select q.scan_id from json_each($1) k \
             cross join quarantine q on q.organization_id = $2 and q.device_id = $3 and q.scan_id = unhex(k.value)",
        insert: "insert into scans (organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, \
             session_id, result, reason, would_have_been, direction, scanned_at, device_scanned_at, received_at, \
             source, decided_by, override_reason, local_result, metadata, payload_sha256, payload_format, \
             payload_kid, shown, part, conflict, winner_scan_id, local_reason, sequence, prev_hash, link_hash) \
             select unhex(value ->> 'organization_id'), unhex(value ->> 'scan_id'), unhex(value ->> 'ticket_id'), \
             value ->> 'ticket_code', unhex(value ->> 'event_id'), unhex(value ->> 'gate_id'), \
             unhex(value ->> 'device_id'), unhex(value ->> 'session_id'), value ->> 'result', value ->> 'reason', \
             value ->> 'would_have_been', value ->> 'direction', value ->> 'scanned_at', \
             value ->> 'device_scanned_at', value ->> 'received_at', value ->> 'source', value ->> 'decided_by', \
             value ->> 'override_reason', value ->> 'local_result', value ->> 'metadata', \
             unhex(value ->> 'payload_sha256'), value ->> 'payload_format', value ->> 'payload_kid', \
             value ->> 'shown', value ->> 'part', value ->> 'conflict', unhex(value ->> 'winner_scan_id'), \
             value ->> 'local_reason', value ->> 'sequence', unhex(value ->> 'prev_hash'), \
             unhex(value ->> 'link_hash') from json_each($1) where true \
             on conflict (organization_id, scan_id) do nothing",
        update: "update scans set result = r.value ->> 'result', reason = r.value ->> 'reason', \
             would_have_been = r.value ->> 'would_have_been', local_result = r.value ->> 'local_result', \
             part = r.value ->> 'part', conflict = r.value ->> 'conflict', \
             winner_scan_id = unhex(r.value ->> 'winner_scan_id'), undone_at = r.value ->> 'undone_at', \
             undone_reason = r.value ->> 'undone_reason', undone_by = unhex(r.value ->> 'undone_by') \
             from json_each($1) r \
             where scans.organization_id = unhex(r.value ->> 'o') and scans.scan_id = unhex(r.value ->> 'k')",
        update_log: "update scans set sequence = r.value ->> 'sequence', prev_hash = unhex(r.value ->> 'prev_hash'), \
             link_hash = unhex(r.value ->> 'link_hash') from json_each($1) r \
             where scans.organization_id = unhex(r.value ->> 'o') and scans.scan_id = unhex(r.value ->> 'k')",
        quarantine: "insert into quarantine (organization_id, device_id, scan_id, event_id, gate_id, ticket_code, \
             local_result, direction, scanned_at, device_scanned_at, received_at, payload_sha256) \
             select unhex(value ->> 'o'), unhex(value ->> 'd'), unhex(value ->> 'k'), unhex(value ->> 'e'), \
             unhex(value ->> 'g'), value ->> 'ticket_code', value ->> 'local_result', value ->> 'direction', \
             value ->> 'scanned_at', value ->> 'device_scanned_at', value ->> 'received_at', \
             unhex(value ->> 'payload_sha256') from json_each($1) where true on conflict do nothing",
        release: "delete from quarantine where organization_id = $2 and device_id = $3 \
             and scan_id in (select unhex(value) from json_each($1))",
    };
}

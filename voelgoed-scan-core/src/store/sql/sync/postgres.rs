//! The statements of a batch in PostgreSQL's words.

use sqlx::Postgres;

use crate::store::sql::row::{event_columns, gate_columns, kept_columns};
use crate::store::sql::sync::{SyncDialect, SyncStatements};

impl SyncDialect for Postgres {
    const SYNC: SyncStatements = SyncStatements {
        places: concat!(
            "select ",
            event_columns!(),
            ", ",
            gate_columns!(),
            " from jsonb_to_recordset($1::jsonb) as k(o uuid, k uuid) \
             join gates g on g.organization_id = k.o and g.id = k.k \
             join events e on e.organization_id = g.organization_id and e.id = g.event_id"
        ),
        known: concat!(
            "select ",
            kept_columns!(),
            ", x.payload_sha256 from jsonb_to_recordset($1::jsonb) as k(o uuid, k uuid) \
             join scans x on x.organization_id = k.o and x.scan_id = k.k \
             join devices d on d.organization_id = x.organization_id and d.id = x.device_id"
        ),
        past: concat!(
            "select ",
            kept_columns!(),
            " from jsonb_to_recordset($1::jsonb) as k(o uuid, k uuid) \
             join scans x on x.organization_id = k.o and x.ticket_id = k.k \
             and (x.result = 'valid' or x.part is not null) \
             join devices d on d.organization_id = x.organization_id and d.id = x.device_id"
        ),
        log: "select x.scan_id, x.sequence, x.prev_hash, x.link_hash \
             from jsonb_array_elements_text($1::jsonb) as k(number) \
             join scans x on x.organization_id = $2 and x.device_id = $3 and x.sequence = k.number::bigint \
             where x.link_hash is not null",
        quarantined: "select q.scan_id from jsonb_array_elements_text($1::jsonb) as k(id) \
             join quarantine q on q.organization_id = $2 and q.device_id = $3 and q.scan_id = k.id::uuid",
        insert: "insert into scans (organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, \
             session_id, result, reason, would_have_been, direction, scanned_at, device_scanned_at, received_at, \
             source, decided_by, override_reason, local_result, metadata, payload_sha256, payload_format, \
             payload_kid, shown, part, conflict, winner_scan_id, local_reason, sequence, prev_hash, link_hash) \
             select organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, session_id, \
             result, reason, would_have_been, direction, scanned_at, device_scanned_at, received_at, source, \
             decided_by, override_reason, local_result, metadata, decode(payload_sha256, 'hex'), payload_format, \
             payload_kid, shown, part, conflict, winner_scan_id, local_reason, sequence, \
             decode(prev_hash, 'hex'), decode(link_hash, 'hex') \
             from jsonb_to_recordset($1::jsonb) as r(organization_id uuid, scan_id uuid, ticket_id uuid, \
             ticket_code text, event_id uuid, gate_id uuid, device_id uuid, session_id uuid, result text, \
             reason text, would_have_been text, direction text, scanned_at bigint, device_scanned_at bigint, \
             received_at bigint, source text, decided_by text, override_reason text, local_result text, \
             metadata text, payload_sha256 text, payload_format text, payload_kid text, shown text, part text, \
             conflict text, winner_scan_id uuid, local_reason text, sequence bigint, prev_hash text, \
             link_hash text) on conflict (organization_id, scan_id) do nothing",
        update: "update scans x set result = r.result, reason = r.reason, would_have_been = r.would_have_been, \
             local_result = r.local_result, part = r.part, conflict = r.conflict, \
             winner_scan_id = r.winner_scan_id, undone_at = r.undone_at, undone_reason = r.undone_reason, \
             undone_by = r.undone_by \
             from jsonb_to_recordset($1::jsonb) as r(o uuid, k uuid, result text, reason text, \
             would_have_been text, local_result text, part text, conflict text, winner_scan_id uuid, \
             undone_at bigint, undone_reason text, undone_by uuid) \
             where x.organization_id = r.o and x.scan_id = r.k",
        update_log: "update scans x set sequence = r.sequence, prev_hash = decode(r.prev_hash, 'hex'), \
             link_hash = decode(r.link_hash, 'hex') \
             from jsonb_to_recordset($1::jsonb) as r(o uuid, k uuid, sequence bigint, prev_hash text, \
             link_hash text) where x.organization_id = r.o and x.scan_id = r.k",
        quarantine: "insert into quarantine (organization_id, device_id, scan_id, event_id, gate_id, ticket_code, \
             local_result, direction, scanned_at, device_scanned_at, received_at, payload_sha256) \
             select o, d, k, e, g, ticket_code, local_result, direction, scanned_at, device_scanned_at, \
             received_at, decode(payload_sha256, 'hex') \
             from jsonb_to_recordset($1::jsonb) as r(o uuid, d uuid, k uuid, e uuid, g uuid, ticket_code text, \
             local_result text, direction text, scanned_at bigint, device_scanned_at bigint, \
             received_at bigint, payload_sha256 text) on conflict do nothing",
        release: "delete from quarantine where organization_id = $2 and device_id = $3 \
             and scan_id in (select k.id::uuid from jsonb_array_elements_text($1::jsonb) as k(id))",
    };
}

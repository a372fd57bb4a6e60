-- Reads the scans in the histories of tickets: admissions, exits,
-- and offline scans that take part in the history whatever their result is.
-- $1: a JSON array of {"k": ticket}. Ids are 32 hexadecimal digits. $2: the organization.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select
    x.organization_id as x_organization_id, x.scan_id as x_scan_id, x.ticket_id as x_ticket_id,
    x.ticket_code as x_ticket_code, x.event_id as x_event_id, x.gate_id as x_gate_id,
    x.device_id as x_device_id, x.session_id as x_session_id, x.result as x_result,
    x.reason as x_reason, x.would_have_been as x_would_have_been, x.direction as x_direction,
    x.scanned_at as x_scanned_at, x.device_scanned_at as x_device_scanned_at,
    x.received_at as x_received_at, x.source as x_source, x.decided_by as x_decided_by,
    x.override_reason as x_override_reason, x.undone_at as x_undone_at,
    x.undone_reason as x_undone_reason, x.undone_by as x_undone_by,
    x.local_result as x_local_result, x.metadata as x_metadata, x.part as x_part,
    x.conflict as x_conflict, x.winner_scan_id as x_winner_scan_id, x.shown as x_shown,
    d.name as x_device_name
from json_each($1) k
cross join scans x on x.organization_id = $2
    and x.ticket_id = unhex(k.value ->> 'k')
    and (x.result = 'valid' or x.part is not null)
left join devices d on d.organization_id = $2 and d.id = x.device_id

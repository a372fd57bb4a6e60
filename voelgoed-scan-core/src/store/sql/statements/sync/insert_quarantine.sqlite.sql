-- Puts scans into quarantine.
-- $1: a JSON array of {"d": device, "k": scan, "e": event, "g": gate} with the other columns.
-- $2: the organization.
-- `where true` separates the select from `on conflict`, as SQLite's grammar requires.
insert into quarantine (
    organization_id, device_id, scan_id, event_id, gate_id, ticket_code, local_result, direction,
    scanned_at, device_scanned_at, received_at, payload_sha256, upload
)
select
    $2, unhex(value ->> 'd'), unhex(value ->> 'k'), unhex(value ->> 'e'),
    unhex(value ->> 'g'), value ->> 'ticket_code', value ->> 'local_result', value ->> 'direction',
    value ->> 'scanned_at', value ->> 'device_scanned_at', value ->> 'received_at',
    unhex(value ->> 'payload_sha256'), value ->> 'upload'
from json_each($1)
where true
on conflict do nothing

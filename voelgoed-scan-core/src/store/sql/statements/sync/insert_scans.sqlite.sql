-- Inserts uploaded scans. A scan whose id exists is left as it is.
-- $1: a JSON array of rows, whose keys are the names of the columns. $2: the organization.
-- `where true` separates the select from `on conflict`, as SQLite's grammar requires.
insert into scans (
    organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, session_id,
    result, reason, would_have_been, direction, scanned_at, device_scanned_at, received_at, source,
    decided_by, override_reason, local_result, metadata, payload_sha256, payload_format,
    payload_kid, shown, part, conflict, winner_scan_id, local_reason, sequence, prev_hash, link_hash
)
select
    $2, unhex(value ->> 'scan_id'), unhex(value ->> 'ticket_id'),
    value ->> 'ticket_code', unhex(value ->> 'event_id'), unhex(value ->> 'gate_id'),
    unhex(value ->> 'device_id'), unhex(value ->> 'session_id'), value ->> 'result',
    value ->> 'reason', value ->> 'would_have_been', value ->> 'direction', value ->> 'scanned_at',
    value ->> 'device_scanned_at', value ->> 'received_at', value ->> 'source',
    value ->> 'decided_by', value ->> 'override_reason', value ->> 'local_result',
    value ->> 'metadata', unhex(value ->> 'payload_sha256'), value ->> 'payload_format',
    value ->> 'payload_kid', value ->> 'shown', value ->> 'part', value ->> 'conflict',
    unhex(value ->> 'winner_scan_id'), value ->> 'local_reason', value ->> 'sequence',
    unhex(value ->> 'prev_hash'), unhex(value ->> 'link_hash')
from json_each($1)
where true
on conflict (organization_id, scan_id) do nothing

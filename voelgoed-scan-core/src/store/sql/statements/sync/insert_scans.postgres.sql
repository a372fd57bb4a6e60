-- Inserts uploaded scans. A scan whose id exists is left as it is.
-- $1: a JSON array of rows, whose keys are the names of the columns. $2: the organization.
insert into scans (
    organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, session_id,
    result, reason, would_have_been, direction, scanned_at, device_scanned_at, received_at, source,
    decided_by, override_reason, local_result, metadata, payload_sha256, payload_format,
    payload_kid, shown, part, conflict, winner_scan_id, local_reason, sequence, prev_hash,
    link_hash
)
select
    $2, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, session_id, result, reason,
    would_have_been, direction, scanned_at, device_scanned_at, received_at, source, decided_by,
    override_reason, local_result, metadata, decode(payload_sha256, 'hex'), payload_format,
    payload_kid, shown, part, conflict, winner_scan_id, local_reason, sequence,
    decode(prev_hash, 'hex'), decode(link_hash, 'hex')
from jsonb_to_recordset($1::jsonb) as r(
    scan_id uuid, ticket_id uuid, ticket_code text, event_id uuid, gate_id uuid, device_id uuid,
    session_id uuid, result text, reason text, would_have_been text, direction text,
    scanned_at bigint, device_scanned_at bigint, received_at bigint, source text, decided_by text,
    override_reason text, local_result text, metadata text, payload_sha256 text,
    payload_format text, payload_kid text, shown text, part text, conflict text,
    winner_scan_id uuid, local_reason text, sequence bigint, prev_hash text, link_hash text
)
on conflict (organization_id, scan_id) do nothing

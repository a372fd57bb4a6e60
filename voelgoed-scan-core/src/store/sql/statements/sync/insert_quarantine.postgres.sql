-- Puts scans into quarantine.
-- $1: a JSON array of {"d": device, "k": scan, "e": event, "g": gate} with the other columns.
-- $2: the organization.
insert into quarantine (
    organization_id, device_id, scan_id, event_id, gate_id, ticket_code, local_result, direction,
    scanned_at, device_scanned_at, received_at, payload_sha256, upload
)
select
    $2, d, k, e, g, ticket_code, local_result, direction, scanned_at, device_scanned_at, received_at,
    decode(payload_sha256, 'hex'), upload
from jsonb_to_recordset($1::jsonb) as r(
    d uuid, k uuid, e uuid, g uuid, ticket_code text, local_result text, direction text,
    scanned_at bigint, device_scanned_at bigint, received_at bigint, payload_sha256 text, upload text
)
on conflict do nothing

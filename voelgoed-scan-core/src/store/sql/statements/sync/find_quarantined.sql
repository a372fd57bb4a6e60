-- Reads a quarantined scan: scan $2 of organization $1. If several devices sent the id, the first that arrived.
select
    device_id, scan_id, event_id, gate_id, local_result, direction, scanned_at, device_scanned_at, received_at,
    payload_sha256, upload
from quarantine
where organization_id = $1 and scan_id = $2
order by received_at, device_id
limit 1

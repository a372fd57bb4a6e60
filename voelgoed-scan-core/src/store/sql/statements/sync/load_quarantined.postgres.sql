-- Reads which scans of device $3 of organization $2 are in quarantine, with their events, gates and corrected times.
-- $1: a JSON array of scan ids.
select q.scan_id, q.event_id, q.gate_id, q.scanned_at
from jsonb_array_elements_text($1::jsonb) as k(id)
join quarantine q on q.organization_id = $2 and q.device_id = $3 and q.scan_id = k.id::uuid

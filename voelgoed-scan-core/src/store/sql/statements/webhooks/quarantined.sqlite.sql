-- Reads scans of device $3 of organization $2 in quarantine, as conflicts. $1: a JSON array of {"k": scan}.
-- `cross join` fixes the order: SQLite reads the JSON array first and finds each row by its key.
select
    'unverified' as kind, q.scan_id, q.ticket_code, q.scanned_at, q.event_id, q.gate_id, g.name as gate_name, q.device_id,
    d.name as device_name, null as winner_scan_id
from json_each($1) k
cross join quarantine q on q.organization_id = $2 and q.device_id = $3 and q.scan_id = unhex(k.value ->> 'k')
left join gates g on g.organization_id = $2 and g.event_id = q.event_id and g.id = q.gate_id
left join devices d on d.organization_id = $2 and d.id = q.device_id

-- Reads scans of device $3 of organization $2 in quarantine, as conflicts. $1: a JSON array of {"k": scan}.
select
    'unverified' as kind, q.scan_id, q.ticket_code, q.scanned_at, q.event_id, q.gate_id, g.name as gate_name, q.device_id,
    d.name as device_name, cast(null as uuid) as winner_scan_id
from jsonb_to_recordset($1::jsonb) as k(k uuid)
join quarantine q on q.organization_id = $2 and q.device_id = $3 and q.scan_id = k.k
left join gates g on g.organization_id = $2 and g.event_id = q.event_id and g.id = q.gate_id
left join devices d on d.organization_id = $2 and d.id = q.device_id

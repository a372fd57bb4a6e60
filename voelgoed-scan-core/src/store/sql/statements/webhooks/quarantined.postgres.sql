-- Reads scans of device $3 of organization $2 in quarantine, as conflicts. $1: a JSON array of {"k": scan}.
-- `offset 0` keeps PostgreSQL from reading all rows of the organization: it finds each row by its key.
select
    'unverified' as kind, q.scan_id, q.ticket_code, q.scanned_at, q.event_id, q.gate_id, g.name as gate_name, q.device_id,
    d.name as device_name, cast(null as uuid) as winner_scan_id
from jsonb_to_recordset($1::jsonb) as k(k uuid)
cross join lateral (
    select *
    from quarantine
    where organization_id = $2 and device_id = $3 and scan_id = k.k
    offset 0
) q
left join gates g on g.organization_id = $2 and g.event_id = q.event_id and g.id = q.gate_id
left join devices d on d.organization_id = $2 and d.id = q.device_id

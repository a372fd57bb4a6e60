-- Reads the conflicts that scans of organization $2 have lost. $1: a JSON array of {"k": scan}.
-- `offset 0` keeps PostgreSQL from reading all rows of the organization: it finds each row by its key.
select
    x.conflict as kind, x.scan_id, x.ticket_code, x.scanned_at, x.event_id, x.gate_id, g.name as gate_name, x.device_id,
    d.name as device_name, w.scan_id as winner_scan_id, w.scanned_at as winner_at, w.gate_id as winner_gate_id,
    wg.name as winner_gate_name, w.device_id as winner_device_id, coalesce(wd.name, wk.name) as winner_device_name
from jsonb_to_recordset($1::jsonb) as k(k uuid)
cross join lateral (
    select *
    from scans
    where organization_id = $2 and scan_id = k.k and conflict is not null
    offset 0
) x
left join lateral (
    select *
    from scans
    where organization_id = $2 and scan_id = x.winner_scan_id
    offset 0
) w on true
left join gates g on g.organization_id = $2 and g.event_id = x.event_id and g.id = x.gate_id
left join gates wg on wg.organization_id = $2 and wg.event_id = w.event_id and wg.id = w.gate_id
left join devices d on d.organization_id = $2 and d.id = x.device_id
left join devices wd on wd.organization_id = $2 and wd.id = w.device_id
left join api_keys wk on wk.organization_id = $2 and wk.id = w.device_id
